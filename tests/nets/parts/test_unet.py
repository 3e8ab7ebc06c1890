"""The U-Net's keys, sizes and conventions."""

import pytest
import torch

from vsrrin.errors import FrameSizeError
from vsrrin.nets.parts.unet import UNet

BLOCKS = ("block.0", "block.2")
KEYS = [
    *(f"down_path.{level}.{block}" for level in range(3) for block in BLOCKS),
    "midconv",
    *(f"up_path.{level}.{part}" for level in range(2) for part in ("up.1", *(f"conv_block.{b}" for b in BLOCKS))),
    "last",
]


def unet(**options) -> UNet:
    torch.manual_seed(0)
    return UNet(5, 2, 3, **{"align_corners": False, "width": 4, **options}).eval()


def test_keys_are_the_published_ones():
    assert list(unet().state_dict()) == [f"{key}.{kind}" for key in KEYS for kind in ("weight", "bias")]


def test_widths_double_on_the_way_down():
    state = unet().state_dict()
    assert state["down_path.0.block.0.weight"].shape == (4, 5, 3, 3)
    assert state["down_path.2.block.2.weight"].shape == (16, 16, 3, 3)
    assert state["up_path.0.up.1.weight"].shape == (8, 16, 3, 3)
    assert state["up_path.1.conv_block.block.0.weight"].shape == (4, 8, 3, 3)
    assert state["last.weight"].shape == (2, 4, 3, 3)


def test_result_has_the_size_of_the_input():
    assert unet()(torch.rand(2, 5, 12, 20)).shape == (2, 2, 12, 20)


def test_one_level_is_a_plain_stack():
    net = UNet(1, 1, 1, align_corners=False, width=2)
    assert net(torch.rand(1, 1, 3, 5)).shape == (1, 1, 3, 5)


@pytest.mark.parametrize(("height", "width"), [(14, 16), (16, 18), (2, 2)])
def test_other_sizes_raise(height, width):
    with pytest.raises(FrameSizeError, match=f"multiples of 4, got {height}x{width}"):
        unet()(torch.rand(1, 5, height, width))


def test_the_way_the_maps_are_enlarged_matters(keyed_state):
    x = torch.rand(1, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    apart, aligned = unet(), unet(align_corners=True)
    for net in (apart, aligned):
        net.load_state_dict(keyed_state(net, {"default": 1.4}))
    assert (apart(x) - aligned(x)).abs().max() > 1e-2
    with pytest.raises(TypeError, match="align_corners"):
        UNet(5, 2, 3)


def test_input_is_not_changed():
    x = torch.rand(1, 5, 8, 8)
    before = x.clone()
    unet()(x)
    assert torch.equal(x, before)
