from .attribution.explanations import explain_images as explain_images
from .attribution.faithfulness import faithfulness as faithfulness
from .attribution.grad_cam import grad_cam as grad_cam
from .config.data import DataConfig as DataConfig
from .config.recipe import Recipe as Recipe
from .config.recipe import load_recipe as load_recipe
from .data import ImageSet as ImageSet
from .data import Splits as Splits
from .data import load_data as load_data
from .errors import SeeWhyError as SeeWhyError
from .evaluation.metrics import Metrics as Metrics
from .evaluation.metrics import metrics as metrics
from .evaluation.predictions import Predictions as Predictions
from .files import to_json as to_json
from .inference.classifier import Classifier as Classifier
from .inference.loading import load as load
from .inference.locate import shipped_models as shipped_models
from .run import Run as Run
from .workflows.analyse import analyse as analyse
from .workflows.calibrate import calibrate as calibrate
from .workflows.compare import compare as compare
from .workflows.data import (
    check_data as check_data,
)
from .workflows.data import (
    data_statistics as data_statistics,
)
from .workflows.data import (
    split_data as split_data,
)
from .workflows.evaluate import evaluate as evaluate
from .workflows.experiments.ablation import ablate as ablate
from .workflows.experiments.learning_curve import learning_curve as learning_curve
from .workflows.experiments.lr_range import find_lr as find_lr
from .workflows.experiments.repetition import folds as folds
from .workflows.experiments.repetition import seeds as seeds
from .workflows.experiments.tuning import tune as tune
from .workflows.explain import explain as explain
from .workflows.labels import apply_review as apply_review
from .workflows.labels import find_label_issues as find_label_issues
from .workflows.models import (
    info as info,
)
from .workflows.models import (
    network_costs as network_costs,
)
from .workflows.models import (
    network_layers as network_layers,
)
from .workflows.predict import label_images as label_images
from .workflows.predict import predict as predict
from .workflows.preview import preview as preview
from .workflows.report import report as report
from .workflows.robustness import robustness as robustness
from .workflows.train import train as train
from .workflows.train import training_events as training_events

__version__: str
