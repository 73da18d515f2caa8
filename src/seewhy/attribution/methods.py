"""The attribution methods by name; `faithfulness` tests the maps of each.

    method(model, images (N, 3, H, W) in [0, 1], targets (N,)) -> maps (N, H, W)

signed, not scaled. `METHODS` names them all.
"""

from seewhy.attribution.cam import cam
from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.grad_cam_plus_plus import grad_cam_plus_plus
from seewhy.attribution.gradient_shap import gradient_shap
from seewhy.attribution.guided_grad_cam import guided_grad_cam
from seewhy.attribution.integrated_gradients import integrated_gradients
from seewhy.attribution.method import Method
from seewhy.attribution.occlusion import occlusion
from seewhy.attribution.saliency import saliency
from seewhy.attribution.shap import shap
from seewhy.attribution.smooth_grad import smooth_grad
from seewhy.errors import UsageError
from seewhy.text import no_such

METHODS: dict[str, Method] = {
    "cam": cam,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "guided_grad_cam": guided_grad_cam,
    "saliency": saliency,
    "smooth_grad": smooth_grad,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
    "shap": shap,
    "gradient_shap": gradient_shap,
}


def find_method(name: str) -> Method:
    """The method of that name. Raises `UsageError` with the known and the nearest."""
    if name not in METHODS:
        raise UsageError(no_such("method", name, METHODS))
    return METHODS[name]
