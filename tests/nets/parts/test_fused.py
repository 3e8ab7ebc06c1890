"""Steps in one pass over memory, against the same in PyTorch."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import needs_numba
from vsrrin.nets.parts import fused
from vsrrin.nets.parts.candidates import PLANES, STEADY, blended, mixed, prior
from vsrrin.nets.parts.convolution_stacks import Levels
from vsrrin.nets.parts.lite_blocks import stack


def scattered(*shape: int, seed: int = 0, spread: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


def innermost(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def pictures(height: int, width: int) -> list[Tensor]:
    """Candidates in every order in memory that warps return: of three channels, and three of four."""
    wide = [innermost(scattered(1, 4, height, width, seed=seed)) for seed in range(PLANES)]
    return [innermost(wide[k][:, :3]) if k < 2 else wide[k][:, :3] for k in range(PLANES)]


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(2, 2), (16, 98), (50, 210)])
def test_a_stack_is_that_of_torch_with_channels_innermost(size, dtype, threads):
    height, width = size
    images = pictures(height, width)
    half = (height // 2, width // 2)
    maps = [scattered(1, 2, *half, seed=10), innermost(scattered(1, 4, *half, seed=11))[:, 1:3]]
    maps.append(torch.full((1, 1, 1, 1), 0.3).expand(1, 1, *half))
    for given in ((images, maps), ([], maps), (images, [])):
        found = fused.stacked(*given, dtype)
        with torch.enable_grad():
            expected = stack(*given, dtype)
        assert found is not None
        assert found.dtype == dtype
        assert found.stride(1) == 1
        assert torch.equal(found, expected)


@needs_numba
def test_a_stack_of_levels_is_rounded_to_the_nearest(threads):
    """And what lies beyond them to the last one."""
    images, maps, levels = pictures(16, 98), [scattered(1, 3, 8, 49, seed=10)], Levels.of(-2.5, 1.7)
    found = fused.stacked(images, maps, torch.float32, levels)
    with torch.enable_grad():
        exact = stack(images, maps, torch.float32) / levels.step + levels.zero
    assert found is not None
    assert found.dtype == torch.uint8
    assert found.stride(1) == 1
    assert (found.min(), found.max()) == (0, 255)
    assert (found - exact.clamp(0, 255)).abs().max() < 0.501
    assert torch.equal(found, stack(images, maps, torch.bfloat16, levels))


@needs_numba
def test_rounding_to_bfloat16_is_that_of_torch():
    """Halfway between two of them too, at both ends of the range and beyond it."""
    steps = torch.arange(-(2**31), 2**31, 2**31 // 20000 + 1, dtype=torch.int64).to(torch.int32)
    values = torch.cat((steps, (steps & ~0xFFFF) | 0x8000)).view(torch.float32)
    values = values[~values.isnan()]
    values = torch.cat((values.new_tensor([0.0, -0.0, float("inf"), 3.4e38, 1e-45]), values))
    picture = values[: len(values) // 200 * 200].view(1, 1, -1, 200)
    found = fused.stacked([], [picture], torch.bfloat16)
    assert found is not None
    assert torch.equal(found.view(torch.int16), picture.to(torch.bfloat16).view(torch.int16))


def plain(planes: list[Tensor], logits: Tensor, t: Tensor, factor: int, residue: Tensor | None) -> Tensor:
    """In float64, by the operations that networks are trained with."""
    with torch.enable_grad():
        weights = torch.softmax(torch.pixel_shuffle(logits.double(), factor) + prior(t, len(planes)), 1)
        picture = mixed([plane.double() for plane in planes], weights)
        return picture if residue is None else picture + torch.pixel_shuffle(residue.double(), factor)


@pytest.mark.parametrize("spread", [0.0, 3.0, 300.0])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("factor", "count"), [(2, PLANES), (4, PLANES), (2, PLANES + STEADY)])
def test_a_blend_is_that_of_torch(factor, count, order, spread, threads):
    """With logits far apart too, of which one is everything."""
    planes, t = (pictures(48, 80) * 2)[:count], torch.full((1, 1, 1, 1), 0.3)
    squares = factor * factor
    out = scattered(1, (count + 3) * squares, 48 // factor, 80 // factor, spread=spread).to(memory_format=order)
    logits, residue = out[:, : count * squares], out[:, count * squares :]
    expected = plain(planes, logits, t, factor, None)
    assert (blended(planes, [logits], t, factor) - expected).abs().max() < 3e-6
    assert (blended(planes, logits.chunk(count, 1), t, factor) - expected).abs().max() < 3e-6
    with_residue = blended(planes, [logits], t, factor, residue.chunk(3, 1))
    assert (with_residue - plain(planes, logits, t, factor, residue)).abs().max() < 3e-6 + spread * 1e-6


@pytest.mark.parametrize("width", [8, 10, 22])
def test_a_blend_of_any_width_and_order_is_that_of_torch(width):
    """Where pixels are taken by eights, and beyond the last of them there may be no memory."""
    planes, t = pictures(6, width), torch.full((1, 1, 1, 1), 0.3)
    logits = scattered(1, 4 * PLANES, 3, width // 2)
    expected = plain(planes, logits, t, 2, None)
    wide = [torch.cat((plane, plane + 1), 3)[..., :width] for plane in planes]
    for same in (planes, [plane.contiguous() for plane in planes], wide, [innermost(plane) for plane in planes]):
        assert (blended(same, [logits], t, 2) - expected).abs().max() < 3e-6


@needs_numba
def test_several_threads_at_once_write_the_same_bits():
    planes, t = pictures(64, 96), torch.full((1, 1, 1, 1), 0.5)
    logits = innermost(scattered(1, 4 * PLANES, 32, 48, spread=4))

    def run(_: int) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            return blended(planes, [logits], t, 2), stack(planes, [logits[:, :2]], torch.bfloat16)

    first = run(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(a, b) for found in pool.map(run, range(16)) for a, b in zip(found, first, strict=True))


def test_what_is_not_theirs_is_left_to_torch():
    half, t = (8, 12), torch.full((2, 1, 1, 1), 0.5)
    maps, planes = [scattered(1, 2, *half)], pictures(16, 24)
    logits = scattered(1, 4 * PLANES, *half)
    assert fused.stacked([], [maps[0].expand(2, -1, -1, -1)], torch.float32) is None
    assert fused.stacked([], [maps[0].double()], torch.float32) is None
    assert fused.stacked([], maps, torch.float16) is None
    twice = [plane.repeat(2, 1, 1, 1) for plane in planes]
    assert fused.blended(twice, [logits.repeat(2, 1, 1, 1)], prior(t), 2, ()) is None
    assert fused.blended(planes * 3, [logits] * 3, prior(t[:1], 3 * PLANES), 2, ()) is None
    assert fused.blended(planes, logits.chunk(4 * PLANES, 1), prior(t[:1]), 2, ()) is None
    assert fused.blended([plane[..., :6] for plane in planes], [logits[..., :3]], prior(t[:1]), 2, ()) is None
    with torch.enable_grad():
        assert fused.stacked([], maps, torch.float32) is None
        assert fused.blended(planes, [logits], prior(t[:1]), 2, ()) is None


def test_a_numba_that_does_not_work_is_no_error(tmp_path: Path):
    """As one that does not fit the installed NumPy, which says so on import."""
    (tmp_path / "numba.py").write_text('raise SystemError("Numba needs another NumPy")', "utf-8")
    script = """
        import logging, torch
        logging.basicConfig(level="INFO")
        from vsrrin.nets.parts import fused
        with torch.inference_mode():
            assert fused.stacked([], [torch.zeros(1, 2, 4, 4)], torch.float32) is None
    """
    paths = os.pathsep.join([str(tmp_path), str(Path(fused.__file__).parents[3])])
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Numba is installed but cannot be used: Numba needs another NumPy" in run.stderr
