"""Steps of the RRIN-lite networks in one pass over memory each, on the CPU, where Numba is installed.

What they compute is written in PyTorch where they are called, in :mod:`vsrrin.nets.parts.lite_blocks` and
:mod:`vsrrin.nets.parts.candidates`: that runs on other devices, for several frames at once and for training, and these
equal it within the rounding of float32. A function returns ``None`` where it cannot do its step.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from .convolution_stacks import Levels
from .frame_pool import scratch
from .opencv_layout import interleaved
from .warp import may_use_opencv

_BLEND_LEAST = 8
"""Columns of the smallest picture that `blended` takes."""
_WARP_LEAST = 6
"""Rows and columns of the smallest one that `warped` takes."""


@cache
def kernels(module: str = "vsrrin.nets.parts.kernels") -> ModuleType | None:
    """Return a module of compiled kernels by its name; ``None`` without Numba, or where it does not work."""
    if find_spec("numba") is None:
        return None
    try:
        import_module("numba")  # first of all, for what it says of itself
        from . import blend_kernel, carry_kernel, warp_kernel  # noqa: F401

        found = import_module(module)
    except (
        Exception
    ) as error:  # an installation that does not fit NumPy, Python or the processor; nothing depends on it
        logging.getLogger("vsrrin").info("Numba is installed but cannot be used: %s", error)
        return None
    return found


def numba_version() -> str:
    """Return the version of Numba if it computes these steps, which changes last bits; "none" if not."""
    return "none" if kernels() is None else str(import_module("numba").__version__)


def stacked(
    images: Sequence[Tensor], maps: Sequence[Tensor], dtype: torch.dtype, levels: Levels | None = None
) -> Tensor | None:
    """Return the input of a stack of convolutions, see `vsrrin.nets.parts.lite_blocks.stack`.

    The channels are innermost in memory, as convolutions read them. It is uint8 if there are levels.
    """
    parts = (*images, *maps)
    if dtype not in (torch.float32, torch.bfloat16) or not _suit(*parts) or (found := kernels()) is None:
        return None
    height, width = (side // 2 for side in images[0].shape[2:]) if images else maps[0].shape[2:]
    squares = _table(images)
    table = np.array(squares + _table(maps), np.int64)
    channels = len(table) + 3 * len(squares)
    out = scratch.empty(height, width, channels, dtype=dtype if levels is None else torch.uint8)
    memory = out.view(torch.int16).numpy().view(np.uint16) if out.dtype == torch.bfloat16 else out.numpy()
    gain, shift = (1.0, 0.0) if levels is None else (1 / levels.step, float(levels.zero))
    in_bands(height, lambda first, last: found.stack(memory, table, len(squares), gain, shift, first, last))
    return out.permute(2, 0, 1)[None]


def blended(
    planes: Sequence[Tensor], logits: Sequence[Tensor], start: Tensor, factor: int, residue: Sequence[Tensor]
) -> Tensor | None:
    """Return the picture of candidates, see `vsrrin.nets.parts.candidates.blended`.

    Args:
        planes: See there.
        logits: See there.
        start: What `vsrrin.nets.parts.candidates.prior` returned.
        factor: See there.
        residue: See there.
    """
    height, width = planes[0].shape[2:]
    parts, square = (*logits, *residue), factor * factor
    whole = factor in (2, 4) and all(part.shape[1] % square == 0 for part in parts)
    if not whole or width < _BLEND_LEAST or not _suit(*planes, *parts) or kernels() is None:
        return None
    from .blend_kernel import MOST, blend

    if len(planes) > MOST:
        return None
    pictures = [interleaved(plane[0]) for plane in planes]
    # The pixels of a square lie side by side, as convolutions and warps leave them.
    parts = tuple(part if part.stride(1) == 1 else part.contiguous(memory_format=torch.channels_last) for part in parts)
    nothing = np.zeros(square, np.float32)
    squares = _table(parts)[::square] + ([] if residue else [(nothing.ctypes.data, 0, 0)] * 3)
    begins = [(picture.ctypes.data, picture.strides[0]) for picture in pictures] + [(0, 0)] * 3
    table = np.array([(*begin, *rest) for begin, rest in zip(begins, squares, strict=True)], np.int64)
    add = start.float().flatten().contiguous().numpy()
    out = scratch.empty(height, width, 3)
    memory = out.numpy()
    in_bands(height // factor, lambda first, last: blend(memory, table, add, factor, first, last))
    return out.permute(2, 0, 1)[None]


def carried(
    flow: Tensor, back: Tensor, way: Tensor, read: Tensor, whole: Tensor, limits: tuple[float, float, float]
) -> Tensor | None:
    """Return fast motion carried to its place, see `vsrrin.nets.parts.carried_motion.carried`.

    Args:
        flow: See there.
        back: See there.
        way: See there.
        read: See there.
        whole: Motion of most of the picture, (1, 2, 1, 1).
        limits: By how many pixels it must be faster, steps of speed a pixel, and pixels that both ways may be apart.
    """
    if not _suit(flow, back, way, read, whole) or kernels() is None:
        return None
    from .carry_kernel import carry

    table = np.array(_table((flow, back, read)), np.int64)
    numbers = np.array((float(way), *whole.flatten().tolist(), *limits), np.float32)
    carry(table, numbers, *flow.shape[2:])
    return read


def warps(image: Tensor) -> bool:
    """Return whether `warped` takes a picture."""
    return image.shape[1] == 3 and min(image.shape[2:]) >= _WARP_LEAST and _suit(image) and kernels() is not None


def warped(image: Tensor, flow: Tensor, *, sharp: bool) -> Tensor | None:
    """Return a picture sampled by flow of half its size, see `vsrrin.nets.parts.candidates.sampled`.

    Args:
        image: See there.
        flow: See there.
        sharp: Bicubic, not bilinear.
    """
    if not warps(image) or not _suit(flow) or any(image.shape[k] != 2 * flow.shape[k] for k in (2, 3)):
        return None
    from .warp_kernel import warp

    pixels = interleaved(image[0])
    if pixels.strides[0] * len(pixels) >= 2**34:  # a part of a picture so wide that places in it take more than 32 bits
        pixels = np.ascontiguousarray(pixels)
    # Of the same in all rows one does.
    pairs = np.ascontiguousarray(interleaved(flow[0, :, : 1 if flow.stride(2) == 0 else None])).view(np.int64)[..., 0]
    out = scratch.empty(*pixels.shape)
    memory, address, row = out.numpy(), pixels.ctypes.data, pixels.strides[0]
    in_bands(len(pixels), lambda first, last: warp(memory, address, row, pairs, sharp, first, last))
    return out.permute(2, 0, 1)[None]


def _suit(*parts: Tensor) -> bool:
    return may_use_opencv(*parts) and all(len(part) == 1 and part.dtype == torch.float32 for part in parts)


def _table(parts: Sequence[Tensor]) -> list[tuple[int, int, int]]:
    """Return address, bytes to the next row and bytes to the next pixel of each channel of pictures."""
    return [
        (part.data_ptr() + 4 * channel * part.stride(1), 4 * part.stride(2), 4 * part.stride(3))
        for part in parts
        for channel in range(part.shape[1])
    ]


def in_bands(rows: int, run: Callable[[int, int], None]) -> None:
    """Run a kernel on all rows, in as many threads as PyTorch would take."""
    count = min(torch.get_num_threads(), rows)
    if count <= 1:
        run(0, rows)
        return
    ends = [rows * band // count for band in range(count + 1)]
    for done in [_pool().submit(run, *band) for band in pairwise(ends)]:
        done.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="vsrrin-kernel")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads are not copied
