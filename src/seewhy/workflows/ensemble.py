"""Combines models into one file: an ensemble of them, or one network with the mean of their weights."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from seewhy.analysis.compare import ModelDifference, compare_predictions
from seewhy.data import Data, Splits
from seewhy.data.images.decode import centre
from seewhy.errors import UsageError
from seewhy.evaluation.decision.answers import decides
from seewhy.evaluation.headline import headline
from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new, to_json
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import pick_device
from seewhy.inference.ensemble import Ensemble
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.forward import full_precision, network_and_views, to_input
from seewhy.inference.loading import load
from seewhy.inference.metadata import MOST_MEMBERS, EnsembleArguments, Member
from seewhy.inference.pytorch import PyTorchPredictor
from seewhy.models.network import Network, flops
from seewhy.models.registry import name_of
from seewhy.text import counted, visible
from seewhy.training.averages import fit_batch_norm
from seewhy.training.layers import batch_norm_momentum
from seewhy.workflows.card import fact
from seewhy.workflows.evaluate import part_of, read_splits

STATISTICS, BATCH = 12_800, 128  # training images that batch-norm statistics are estimated on

Kind = Literal["ensemble", "average"]


@dataclass(frozen=True, eq=False)
class MeasuredMembers:
    """The members and the new model on the validation images of one data set.

    `metrics` has each member by its name, in their order, and the new model last; `best` is the member of
    highest accuracy, `difference` what the new model has over it, image by image.
    """

    metrics: dict[str, Metrics]
    best: str
    difference: ModelDifference


@dataclass(frozen=True, eq=False)
class CombinedModel:
    """The new model file; `members` are digests by name, `measured` is None without data."""

    file: Path
    digest: str
    kind: Kind
    members: dict[str, str]
    parameters: int
    bytes: int
    measured: MeasuredMembers | None

    @property
    def warning(self) -> str | None:
        """What to do if it is less often right than its best member; None if it is not, or not measured."""
        if self.measured is None or self.measured.difference.accuracy.value >= 0:
            return None
        advice = {
            "ensemble": "use that member, or leave out the weakest models",
            "average": "use that member, or combine them without --average-weights; weights of models that "
            "were not fine-tuned from one model have no useful mean",
        }
        lost = -100 * self.measured.difference.accuracy.value
        return f"{lost:.1f} points less right than {self.measured.best} alone: {advice[self.kind]}"

    def json_form(self) -> dict[str, Any]:
        """All of it, with the warning."""
        return {**vars(self), "warning": self.warning}


def ensemble(
    models: Sequence[str | Path],
    *,
    out: str | Path,
    average_weights: bool = False,
    data: Data | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> CombinedModel:
    """Combines two models or more into one new model file, `out`.

    An ensemble answers with the mean of its members' calibrated probabilities (Lakshminarayanan 2017,
    arXiv:1612.01474), and takes the time of all of them. With `average_weights` it is one network with the
    mean of their weights (Wortsman 2022, arXiv:2203.05482), for models of one architecture that were
    fine-tuned from one model. Both have temperature 1 and no threshold until they are calibrated; their
    parents are the members.

    With `data`, the members and the new model are measured on its validation split, and the batch-norm
    statistics of averaged weights are estimated on its training images; without, these are averaged too.
    Raises `UsageError` for models that do not fit together, or if `out` exists.
    """
    file = named_path(out)
    bundles.require_name(file)
    require_new(file)
    members = _members(models)
    bundle = _average(members) if average_weights else _ensemble(members)
    splits = None
    if data is not None:
        splits = read_splits(_classifier(bundle), data, options, on_event)
    if average_weights and batch_norm_momentum(bundle.network) is not None:
        _estimate_statistics(bundle, splits, on_event)
    if any(decides(member.decision) for member in members.values()):
        on_event(
            Note("the members' thresholds and OOD scores are dropped: calibrate the new model")
        )
    kind: Kind = "average" if average_weights else "ensemble"
    measured = None
    if splits is not None:
        name = kind if kind not in members else f"new {kind}"
        bundle = replace(bundle, network=bundles.rounded(bundle.network))
        measured = _measured({**members, name: bundle}, splits, device, on_event)
        if splits.fingerprint == bundle.fingerprint:
            stored = headline(to_json(measured.metrics[name])).model_dump(mode="json")
            bundle = replace(bundle, facts={**bundle.facts, "metrics": {"val": stored}})
    saved = bundles.save(bundle, file)
    return CombinedModel(
        file=file,
        digest=saved.digest,
        kind=kind,
        members={name: member.digest for name, member in members.items()},
        parameters=sum(tensor.numel() for tensor in saved.network.parameters()),
        bytes=file.stat().st_size,
        measured=measured,
    )


def _members(models: Sequence[str | Path]) -> dict[str, Bundle]:
    """The models by short names. Raises `UsageError` unless they are 2 to 32 different single models."""
    if not 2 <= len(models) <= MOST_MEMBERS:
        raise UsageError(f"give 2 to {MOST_MEMBERS} models to combine, not {len(models)}")
    short = [Path(model).name for model in models]
    names = short if len(set(short)) == len(short) else [str(model) for model in models]
    members: dict[str, Bundle] = {}
    for name, model in zip(names, models, strict=True):
        predictor = load(model, device="cpu").predictor
        if not isinstance(predictor, PyTorchPredictor) or isinstance(
            predictor.bundle.network, EnsembleNetwork
        ):
            raise UsageError(
                f"{visible(name)} is not the bundle of a single network: name the bundles that it is made of"
            )
        for other, member in members.items():
            if member.digest == predictor.digest:
                raise UsageError(
                    f"{visible(other)} and {visible(name)} are the same model: name it once"
                )
        members[name] = predictor.bundle
    return members


def _ensemble(members: Mapping[str, Bundle]) -> Bundle:
    """All networks as one, whose logits are the logarithms of the mean of their probabilities."""
    bundle = _without_network(members, "ensemble")
    networks, records = [], []
    for member in members.values():
        assert isinstance(member.network, Network)
        networks.append(member.network)
        order = tuple(member.classes.index(label) for label in bundle.classes)
        records.append(
            Member(
                name=str(name_of(member.network)),
                arguments=bundles.options_of(member.network),
                views=member.views,
                temperature=member.decision.temperature,
                order=None if order == tuple(range(len(order))) else order,
            )
        )
    arguments = EnsembleArguments(members=tuple(records))
    network = EnsembleNetwork(len(bundle.classes), bundle.rule.size, arguments).eval()
    for blank, own in zip(network.members, networks, strict=True):
        network_and_views(blank)[0].load_state_dict(own.state_dict())
    cost = sum(flops(own) * len(one.views) for own, one in zip(networks, records, strict=True))
    return replace(bundle, network=network, facts={**bundle.facts, "flops": cost})


def _average(members: Mapping[str, Bundle]) -> Bundle:
    """One network with the mean of all floats of its state; whole numbers are those of the first."""
    (first_name, first), *others = members.items()
    for name, other in others:
        pairs = {
            "networks": (_network_of(first), _network_of(other)),
            "classes in order": (first.classes, other.classes),
            "TTA views": (first.views, other.views),
        }
        for what, (one, two) in pairs.items():
            if one != two:
                raise UsageError(
                    f"{visible(first_name)} and {visible(name)} have different {what}, so their weights "
                    "have no mean: leave out --average-weights"
                )
    states = [member.network.state_dict() for member in members.values()]
    network = copy.deepcopy(first.network)
    assert isinstance(network, Network)
    mean = {
        name: torch.stack([state[name].double() for state in states]).mean(0).float()
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }
    network.load_state_dict(mean)
    bundle = _without_network(members, "average")
    facts = {**bundle.facts, "flops": flops(network)}
    return replace(bundle, network=network, views=first.views, facts=facts)


def _network_of(member: Bundle) -> tuple[str, dict[str, Any]]:
    return str(name_of(member.network)), bundles.options_of(member.network)


def _without_network(members: Mapping[str, Bundle], recipe: str) -> Bundle:
    """What both forms have: classes, input rule, and facts about the members; the network is the first's.

    Raises `UsageError` as `Ensemble.of` does.
    """
    models = list(members.values())
    together = Ensemble.of([PyTorchPredictor.of(one, torch.device("cpu")) for one in models])
    licenses = {fact(one.facts, str, "recipe", "license") for one in models}
    facts = {
        **together.facts,
        "recipe": {
            "name": recipe,
            "license": licenses.pop() if len(licenses) == 1 else None,
            "data": together.data_settings,
        },
        "members": [
            {
                "recipe": fact(one.facts, str, "recipe", "name"),
                "digest": one.digest,
                "val_accuracy": one.facts.get("val_accuracy"),
            }
            for one in models
        ],
    }
    return Bundle(
        network=models[0].network,
        classes=together.classes,
        rule=together.rule,
        facts=facts,
        fingerprint=together.fingerprint,
        parents=together.parents,
    )


def _estimate_statistics(bundle: Bundle, splits: Splits | None, on_event: OnEvent) -> None:
    """Gives an average the batch-norm statistics of its own activations on training images, where there are
    some; else says that those of the members were averaged."""
    if splits is None or len(splits.train) < 2:
        on_event(
            Note(
                "batch-norm statistics are the mean of the members', which are not quite those of the "
                "averaged network: --data estimates them on its training images"
            )
        )
        return
    order = np.random.default_rng(0).permutation(len(splits.train))[:STATISTICS]
    parts = np.array_split(np.sort(order), max(1, len(order) // BATCH))
    batches = (
        to_input(centre(splits.train.images[rows], bundle.rule.size), "cpu") for rows in parts
    )
    with torch.random.fork_rng(devices=[]), full_precision():
        torch.manual_seed(0)  # of dropout
        fit_batch_norm(bundle.network, batches)
    bundle.network.eval()
    on_event(Note(f"batch-norm statistics are of {counted(len(order), 'training image')}"))


def _measured(
    models: Mapping[str, Bundle], splits: Splits, device: str, on_event: OnEvent
) -> MeasuredMembers:
    """Measures models, of which the last is the new one, on validation."""
    val = part_of(splits, "val")
    predictions = {}
    with full_precision():
        for name, model in models.items():
            shown = _classifier(model, device).predict_set(val, on_event=on_event, what=name)
            # Of a model with another order of classes, the logits are put into that of the labels.
            columns = [model.classes.index(label) for label in val.classes]
            predictions[name] = replace(shown, logits=shown.logits[:, columns])
    measured = {name: metrics(one, "val") for name, one in predictions.items()}
    *members, new = models
    best = max(members, key=lambda name: measured[name].accuracy.value)
    pair = {name: predictions[name] for name in (new, best)}
    comparison = compare_predictions(pair, [val.hashes, val.hashes], "val")
    return MeasuredMembers(measured, best, comparison.differences[0])


def _classifier(bundle: Bundle, device: str = "cpu") -> Classifier:
    return Classifier(PyTorchPredictor.of(bundle, pick_device(device)))
