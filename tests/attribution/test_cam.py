import pytest
import torch
from attribution.toys import SmallNet, classes, flat_head, pictures
from torch import nn

from seewhy.attribution.cam import cam
from seewhy.attribution.geometry import enlarge
from seewhy.attribution.grad_cam import grad_cam
from seewhy.errors import UsageError
from seewhy.models.registry import build


def test_it_is_what_each_place_adds_to_the_logit() -> None:
    model, x, targets = SmallNet().eval(), pictures(), classes()
    last = model.head[-1]
    with torch.no_grad():
        added = torch.einsum("nc,nchw->nhw", last.weight[targets], model.features(x))
        logits = model(x).gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(added.mean((1, 2)) + last.bias[targets], logits)
    torch.testing.assert_close(cam(model, x, targets), enlarge(model, added, x))


def test_grad_cam_is_cam_divided_by_the_number_of_places() -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    torch.testing.assert_close(16 * grad_cam(model, x, targets), cam(model, x, targets))


def test_so_it_is_on_the_nets_of_the_registry_that_have_such_a_head() -> None:
    model = build("resnet18", num_classes=3, size=32, width=0.125)
    x, targets = pictures(2, 32), classes(2)
    torch.testing.assert_close(
        16 * grad_cam(model, x, targets), cam(model, x, targets), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "head",
    [
        flat_head(16),
        nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(5, 3)),
        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3)),
        nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)
        ),
    ],
)
def test_another_head_is_refused_and_grad_cam_named(head: nn.Module) -> None:
    with pytest.raises(UsageError, match="that of SmallNet is not: take grad_cam"):
        cam(SmallNet(head), pictures(), classes())


def test_a_head_may_be_a_method() -> None:
    class Divided(nn.Module):
        def __init__(self, whole: SmallNet) -> None:
            super().__init__()
            self.backbone, self.fc = whole, whole.head[-1]

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return self.backbone.features(x)

        def head(self, maps: torch.Tensor) -> torch.Tensor:
            return self.fc(maps.mean((2, 3)))

    whole, x, targets = SmallNet(), pictures(), classes()
    for method in (cam, grad_cam):
        torch.testing.assert_close(method(Divided(whole), x, targets), method(whole, x, targets))


def test_a_head_whose_own_code_may_do_more_is_refused() -> None:
    class Scaled(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    head = Scaled(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    with pytest.raises(UsageError, match="take grad_cam"):
        cam(SmallNet(head), pictures(), classes())
