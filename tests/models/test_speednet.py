import json

import numpy as np
import pytest
import torch

from seewhy.config.networks import NETWORKS
from seewhy.models.network import flops
from seewhy.models.registry import build


def test_its_blocks_have_the_channels_that_are_asked_for():
    network = build("speednet", num_classes=10, size=32, channels=(64, 256, 256))
    assert network.features(torch.zeros(1, 3, 32, 32)).shape == (1, 256, 3, 3)
    # those of airbench
    assert flops(network) == pytest.approx(236e6, rel=0.01)
    narrow = build("speednet", num_classes=10, size=32, channels=(64, 256, 256), width=0.5)
    assert narrow.block1.conv1.out_channels == 32


@pytest.mark.parametrize("channels", [(64, 256), (64, 256, 4)])
def test_other_channels_are_refused(channels):
    with pytest.raises(ValueError, match="channels"):
        NETWORKS["speednet"](channels=channels)


def test_the_third_convolution_of_a_block_adds_to_its_first():
    network = build("speednet", num_classes=10, size=32, convolutions=3).eval()
    plain = build("speednet", num_classes=10, size=32).eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    x = torch.rand(2, 24, 31, 31)
    first = torch.relu(plain.block1.norm1(plain.block1.pool(plain.block1.conv1(x))))
    third = network.block1.norm3(network.block1.conv3(plain.block1(x)))
    assert torch.equal(network.block1(x), torch.relu(third + first))


def test_what_a_bundle_stores_of_it_builds_it_again():
    network = build("speednet", num_classes=10, size=32, channels=(16, 24, 24))
    again = build("speednet", **network.arguments)
    assert again.block3.conv2.weight.shape == network.block3.conv2.weight.shape
    assert json.loads(json.dumps(network.arguments)) == network.arguments


@pytest.mark.parametrize(("size", "most"), [(17, 5_000), (32, 5_000), (128, 320), (1024, 5)])
def test_large_images_are_whitened_by_fewer_of_them_so_that_memory_is_bounded(size, most):
    network = build("speednet", num_classes=3, size=size)
    shown = []
    network.whitening.fit = lambda x: shown.append(len(x))
    # One image that takes no memory, many times.
    one = np.zeros((1, 2, 2, 3), np.uint8)
    network.fit_input(np.broadcast_to(one, (20_000, 2, 2, 3)))
    assert 0.5 * most < shown[0] <= most
