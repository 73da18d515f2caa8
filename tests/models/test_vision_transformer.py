"""Vision transformers: timm's arithmetic, and a map whose mean is the class token."""

import pytest
import torch
from models.conftest import TimmOutputs
from torch.nn import functional

from seewhy.config.networks import NETWORKS
from seewhy.errors import UsageError
from seewhy.models.registry import Network, build, cost
from seewhy.models.vision_transformer import DotProduct, resampled


def small(size: int = 32, **options: float) -> Network:
    torch.manual_seed(0)
    return build("vit", num_classes=5, size=size, embedding=24, blocks=3, **options).eval()


def renamed(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state with timm's names, with ours, as the card of the weights tells them."""
    card = NETWORKS[name].pretrained
    assert card is not None
    for there, here in card.renamed:
        state = {k.replace(there, here) if k.startswith(there) else k: v for k, v in state.items()}
    return state


@pytest.mark.parametrize("name", ["vit_tiny", "vit_small"])
def test_the_weights_of_timm_load_strictly_and_give_its_logits(
    name: str, timm_outputs: TimmOutputs
) -> None:
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    state, logits = timm_outputs(f"{name}_patch16_224", (x - 0.5) / 0.5)
    network = build(name, num_classes=1000, size=224).eval()
    card, half = NETWORKS[name].pretrained, torch.full((3,), 0.5)
    assert card is not None and card.mean == card.std == tuple(half.tolist())
    network.load_state_dict({**renamed(name, state), "mean": half, "std": half})
    with torch.no_grad():
        torch.testing.assert_close(network(x), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters", "channels"),
    [("vit_tiny", 5_717_416, 192), ("vit_small", 22_050_664, 384)],
)
def test_the_size_is_the_papers_and_the_cost_lacks_what_no_class_depends_on(
    name: str, parameters: int, channels: int
) -> None:
    counted = cost(name, num_classes=1000, size=224)
    assert counted.parameters == parameters
    tokens, patches = 197, 196
    block = tokens * 12 * channels**2 + 2 * tokens**2 * channels
    whole = 12 * block + patches * 16 * 16 * 3 * channels + channels * 1000
    spared = patches * 8 * channels**2 + (2 * tokens**2 - tokens) * channels
    assert counted.flops == pytest.approx(2 * (whole - spared), rel=0.002)


def test_the_mean_of_the_map_is_the_class_token_after_the_last_attention() -> None:
    network = small()
    last, x = network.blocks[-1], torch.rand(2, 3, 32, 32)
    tokens = []
    last.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
    maps = network.features(x)
    normed = last.norm1(tokens[0])
    q, k, v = last.attn.product.by_head(last.attn.qkv(normed))
    attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    expected = (tokens[0] + last.attn.proj(attended))[:, 0]
    assert maps.shape == (2, 24, 8, 8)
    torch.testing.assert_close(maps.mean((2, 3)), expected)
    assert (maps.flatten(2).std(2) > 0).all()


def test_attention_in_bfloat16_has_the_outputs_and_gradients_of_float32() -> None:
    product = DotProduct(heads=2)
    qkv = torch.randn(2, 17, 3 * 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact, rounded = (qkv.to(dtype).requires_grad_() for dtype in (torch.float32, torch.bfloat16))
    expected = product(exact)
    with torch.autocast("cpu", torch.bfloat16):
        y = product(rounded)
    assert y.dtype is torch.bfloat16
    for output in (expected, y):
        output.square().sum().backward()
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.02)
    torch.testing.assert_close(rounded.grad.float(), exact.grad, rtol=0.05, atol=0.05)


def test_each_place_of_the_map_is_that_of_its_patch() -> None:
    """A value that attention takes from one patch alone changes that place alone."""
    network, x = small(), torch.rand(1, 3, 32, 32)
    last = network.blocks[-1]

    def value_of_one(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, 1 + 8 * 2 + 5, 48:] += 1  # the values of the patch in row 2, column 5
        return output

    before = network.features(x)
    last.attn.qkv.register_forward_hook(value_of_one)
    changed = (network.features(x) - before).abs().amax(1)[0] > 1e-6
    assert changed.nonzero().tolist() == [[2, 5]]


def test_on_another_grid_the_logits_are_timms(timm_outputs: TimmOutputs) -> None:
    x = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    state, logits = timm_outputs("vit_tiny_patch16_224", x, dynamic_img_size=True)
    network = build("vit_tiny", num_classes=1000, size=160).eval()
    plain = {"mean": torch.zeros(3), "std": torch.ones(3)}
    network.load_state_dict({**renamed("vit_tiny", state), **plain})
    with torch.no_grad():
        torch.testing.assert_close(network(x), logits, rtol=1e-5, atol=1e-5)


def test_positions_on_another_grid_keep_the_class_token() -> None:
    positions = torch.randn(1, 1 + 14 * 14, 8, generator=torch.Generator().manual_seed(0))
    assert resampled(positions, 14, 14) is positions
    larger = resampled(positions, 24, 18)
    assert larger.shape == (1, 1 + 24 * 18, 8) and torch.equal(larger[:, 0], positions[:, 0])
    flat = torch.ones(1, 1 + 16, 2) * torch.tensor([3.0, -1.0])
    torch.testing.assert_close(resampled(flat, 7, 5), flat[:, :1].expand(1, 36, 2))


def test_weights_of_another_size_are_read_and_their_positions_resampled() -> None:
    small_one, large_one = small(32), small(48)
    large_one.load_state_dict(small_one.state_dict())
    torch.testing.assert_close(
        large_one.tokens.pos_embed, resampled(small_one.tokens.pos_embed, 12, 12)
    )
    x = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(large_one(x), small_one(x))  # as the smaller does by itself
    with pytest.raises(RuntimeError, match="size mismatch for tokens"):
        large_one.load_state_dict(
            {**small_one.state_dict(), "tokens.pos_embed": torch.zeros(1, 65, 8)}
        )


@pytest.mark.parametrize(("size", "patch"), [(8, 4), (64, 4), (65, 16), (224, 16)])
def test_the_patch_fits_the_images(size: int, patch: int) -> None:
    network = build("vit", num_classes=2, size=size, embedding=16, heads=2, blocks=1)
    assert network.patch_embed.proj.kernel_size == (patch, patch)
    assert network.tokens.pos_embed.shape[1] == 1 + (size // patch) ** 2


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (32, {"patch": 2, "heads": 5}, "5 heads cannot share 192 channels"),
        (8, {"patch": 16}, "patches of 16 pixels do not fit into images of 8 pixels"),
        (512, {"patch": 4}, r"512 pixels have 16,384 patches of 4 pixels, more than 4,096"),
    ],
)
def test_what_does_not_fit_is_refused(size: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("vit", num_classes=2, size=size, **options)


def test_stochastic_depth_drops_more_of_the_later_blocks() -> None:
    network = build("vit", num_classes=2, size=8, blocks=3, drop_path=0.4)
    rates = [getattr(block.drop_path1, "rate", 0.0) for block in network.blocks]
    assert rates == [0.0, 0.2, 0.4] and network.head.drop_path2.rate == 0.4
    x = torch.rand(2, 3, 8, 8)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))
