"""The U-Net's keys, sizes and conventions, and the choice of precision."""

import pytest
import torch
from torch import nn

from vsrrin.errors import ArgumentError, FrameSizeError
from vsrrin.nets.parts.unet import UNet, check_inputs, keep_fp32, output_layer, to_precision

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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_precision_of_hidden_and_output_layers(dtype):
    net = to_precision(unet(), dtype)
    types = {name: parameter.dtype for name, parameter in net.named_parameters()}
    assert {name for name, found in types.items() if found == torch.float32} >= {"last.weight", "last.bias"}
    assert {found for name, found in types.items() if not name.startswith("last.")} == {dtype}
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in net.parameters() if p.dim() == 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_result_is_contiguous_float32_near_that_of_float32(dtype):
    x = torch.rand(1, 5, 16, 16, generator=torch.Generator().manual_seed(0))
    out = to_precision(unet(), dtype)(x)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    assert torch.allclose(out, unet()(x), atol=1e-2 if dtype == torch.bfloat16 else 1e-3)


def test_precision_can_be_taken_back():
    net = to_precision(to_precision(unet(), torch.bfloat16), torch.float32)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}


def test_to_precision_names_what_is_allowed():
    with pytest.raises(ArgumentError, match=r"float32, float16 or bfloat16, got torch\.int8"):
        to_precision(unet(), torch.int8)


def test_output_layer_works_in_its_own_type():
    layer = nn.Conv2d(1, 1, 1)
    keep_fp32(layer)
    nn.init.ones_(layer.weight)
    nn.init.constant_(layer.bias, 300.125)  # bfloat16 knows 300 and 302
    assert output_layer(layer, torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16)).item() == 300.125


def test_check_inputs_accepts_what_fits():
    frame = torch.rand(2, 3, 16, 32)
    check_inputs("f", 16, frame, frame, t=torch.full((2, 1, 1, 1), 0.5), flow=torch.zeros(2, 4, 8, 16))


def test_check_inputs_refuses_nothing_to_work_on():
    empty = torch.rand(1, 3, 0, 16)
    with pytest.raises(FrameSizeError, match="f: height and width must be multiples of 16, got 0x16"):
        check_inputs("f", 16, empty, empty)
