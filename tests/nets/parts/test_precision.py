"""The choice of precision."""

import pytest
import torch
from torch import nn

from vsrrin.errors import ArgumentError
from vsrrin.nets.parts.precision import keep_fp32, output_layer, to_precision
from vsrrin.nets.parts.unet import UNet


def unet(**options) -> UNet:
    torch.manual_seed(0)
    return UNet(5, 2, 3, **{"align_corners": False, "width": 4, **options}).eval()


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
