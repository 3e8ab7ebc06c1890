"""Backward warping, and projection of flow to a time between two frames.

Sources: projection of bidirectional flow: Jiang et al., "Super SloMo", CVPR 2018, eq. 4.

The only ``grid_sample`` of the project is here, and OpenCV's ``remap``, which does the exact kinds on the CPU.
Published networks differ in three details of it, and their weights have learned to live with theirs, so none is left
to a default: see :class:`WarpArithmetic`. Coordinates need float32 (in bfloat16 column 300 cannot be told from 301), so
everything here is float32 whatever the arguments are.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .frame_pool import scratch
from .opencv_layout import as_planes, interleaved, merged
from .tracing import is_traced, may_take_shortcuts

_OPENCV_LIMIT = 2**15 - 1
"""OpenCV's remap takes pictures of sides below this,"""
_OPENCV_CHANNELS = 4
"""and of so many channels at most."""


@dataclass(frozen=True, slots=True)
class WarpArithmetic:
    """Convention that turns a position in pixels into a sample.

    ``divide_by`` names what positions are divided by to bring them to [-1, 1]; ``align_corners`` says how
    ``grid_sample`` turns them back; ``outside`` is what is read beyond the picture. Only (True, "size-1") is exact;
    (True, "size") samples x at x * (W - 1) / W, (False, "size") at x - 1/2. ``kernel`` is what lies between pixels:
    bilinear blurs what moved by half a pixel, bicubic (Keys, a = -3/4) keeps it, and takes three times as long.
    """

    align_corners: bool
    divide_by: Literal["size-1", "size"]
    outside: Literal["border", "zeros"]
    kernel: Literal["bilinear", "bicubic"] = "bilinear"


EXACT = WarpArithmetic(align_corners=True, divide_by="size-1", outside="border")
SHARP = WarpArithmetic(align_corners=True, divide_by="size-1", outside="border", kernel="bicubic")
PUBLISHED = WarpArithmetic(align_corners=True, divide_by="size", outside="zeros")
FORK = WarpArithmetic(align_corners=False, divide_by="size", outside="zeros")


def pixel_grid(height: int, width: int, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """Return pixel coordinates of a picture, as two vectors that broadcast against each other.

    Returns:
        x (W) and y (H, 1), float32, from 0 to W - 1 and to H - 1.
    """
    x = torch.arange(width, dtype=torch.float32, device=device)
    y = torch.arange(height, dtype=torch.float32, device=device)
    return x, y[:, None]


def backward_warp(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic = EXACT) -> Tensor:
    """Sample a picture where the flow points to.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, H, W), (dx, dy) in pixels: the result at p is ``image`` at p + flow(p).
        arithmetic: How positions become samples.

    Returns:
        (N, C, H, W) float32; on the CPU, without gradients, with the channels innermost in memory.
    """
    if _suits_opencv(image, flow, arithmetic):
        return _by_opencv(image, flow, arithmetic)
    height, width = image.shape[-2:]
    less = 1 if arithmetic.divide_by == "size-1" else 0
    # A side of one pixel has no span to divide by; any scale will do, as there is one column to read.
    scale_x, scale_y = 2.0 / max(width - less, 1), 2.0 / max(height - less, 1)
    x, y = pixel_grid(height, width, flow.device)
    # linspace makes the pair on the device; torch.tensor would copy it there and wait.
    scale = torch.linspace(scale_x, scale_y, 2, device=flow.device).view(1, 2, 1, 1)
    # Planar, and only viewed as (N, H, W, 2): grid_sample reads that as fast as an interleaved grid, and it is made
    # in two passes over one allocation.
    grid = flow.float() * scale
    grid[:, 0] += x * scale_x - 1.0
    grid[:, 1] += y * scale_y - 1.0
    return _sample(image.float(), grid.permute(0, 2, 3, 1), arithmetic)


def _sample(image: Tensor, grid: Tensor, arithmetic: WarpArithmetic) -> Tensor:
    """``grid_sample`` of (N, C, H, W) at (N, H, W, 2), using all cores for a single picture too.

    On the CPU PyTorch shares the work out by picture of the batch, so one picture is cut into bands of rows that are
    looked up in the same picture. The values are the same.
    """
    bands = 1
    if image.shape[0] == 1 and image.device.type == "cpu" and not is_traced():
        while 2 * bands <= torch.get_num_threads() and grid.shape[1] % (2 * bands) == 0:
            bands *= 2
    if bands > 1:
        _, height, width, _ = grid.shape
        image = image.expand(bands, -1, -1, -1)
        grid = grid.view(bands, height // bands, width, 2)
    sampled = F.grid_sample(
        image,
        grid,
        mode=arithmetic.kernel,
        padding_mode=arithmetic.outside,
        align_corners=arithmetic.align_corners,
    )
    return sampled if bands == 1 else sampled.transpose(0, 1).reshape(1, image.shape[1], height, width)


def double(x: Tensor) -> Tensor:
    """Return (N, C, H, W) at twice the height and width, bilinear, values unchanged."""
    if may_use_opencv(x) and x.shape[0] == 1 and x.shape[1] <= _OPENCV_CHANNELS and x.dtype == torch.float32:
        size = 2 * x.shape[3], 2 * x.shape[2]
        into = _scratch(size[1], size[0], x.shape[1])
        return as_planes(cv2.resize(interleaved(x[0]), size, into, interpolation=cv2.INTER_LINEAR))
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def halve(image: Tensor) -> Tensor:
    """Return (N, C, H, W), H and W even, at half the height and width: means of two by two pixels."""
    if may_use_opencv(image) and image.shape[0] == 1 and image.shape[1] <= _OPENCV_CHANNELS:
        size = image.shape[3] // 2, image.shape[2] // 2
        into = _scratch(size[1], size[0], image.shape[1])
        return as_planes(cv2.resize(interleaved(image[0]), size, into, interpolation=cv2.INTER_AREA))
    return F.avg_pool2d(image.float(), 2)


def in_fours(image: Tensor) -> Tensor:
    """Return a picture (N, 3, H, W), on the CPU with a fourth channel: then it is sampled in half of the time.

    That is so with the bilinear kernel, and worth it for a picture that is sampled more than once.
    """
    if may_use_opencv(image) and image.shape[:2] == (1, 3):
        into = _scratch(image.shape[2], image.shape[3], 4)
        return as_planes(cv2.cvtColor(interleaved(image[0]), cv2.COLOR_RGB2RGBA, into))
    return image


def may_use_opencv(*tensors: Tensor) -> bool:
    """Return whether OpenCV takes tensors and may be used; on a CPU it needs a third of the time."""
    return may_take_shortcuts() and all(
        type(x) is Tensor and x.device.type == "cpu" and max(x.shape[-2:]) < _OPENCV_LIMIT for x in tensors
    )


def _suits_opencv(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> bool:
    return (
        may_use_opencv(image, flow)
        and (arithmetic.align_corners, arithmetic.divide_by, arithmetic.outside) == (True, "size-1", "border")
        and image.shape[0] == flow.shape[0]
        and image.shape[-2:] == flow.shape[-2:]
    )


def _by_opencv(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic) -> Tensor:
    samples = []
    for sample, moved in zip(image, flow, strict=True):
        by = interleaved(moved)
        parts = [_remap(_four_or(part), by, arithmetic) for part in sample.split(_OPENCV_CHANNELS)]
        samples.append(torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts, -1)))
    stacked = samples[0][None] if len(samples) == 1 else torch.stack(samples)
    return stacked.permute(0, 3, 1, 2)[:, : image.shape[1]]


def _remap(picture: NDArray[np.float32], by: NDArray[np.float32], arithmetic: WarpArithmetic) -> NDArray[np.float32]:
    kernel = cv2.INTER_CUBIC if arithmetic.kernel == "bicubic" else cv2.INTER_LINEAR
    flags = kernel | cv2.WARP_RELATIVE_MAP
    into = _scratch(*picture.shape)
    warped = cv2.remap(picture, by, None, flags, into, cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(warped, np.float32).reshape(picture.shape)


def _scratch(height: int, width: int, channels: int) -> NDArray[np.float32]:
    """Return memory for what OpenCV makes, which has no axis for a single channel."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.asarray(scratch.empty(*shape).numpy())


def _four_or(part: Tensor) -> NDArray[np.float32]:
    """`interleaved`, but four channels in place of two, for which OpenCV rounds positions to 1/32 pixel."""
    return merged([*part.float()] * 2) if part.shape[0] == 2 else interleaved(part)


def project_flow(flow_0_1: Tensor, flow_1_0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Project flow to a time between two frames, by linear motion (Super SloMo, eq. 4).

    Args:
        flow_0_1: (N, 2, H, W), (dx, dy) in pixels, frame 0 to frame 1.
        flow_1_0: (N, 2, H, W), frame 1 to frame 0.
        t: (N, 1, 1, 1) in (0, 1).

    Returns:
        Flow from t to frame 0 and from t to frame 1, both (N, 2, H, W) in pixels.
    """
    if may_use_opencv(flow_0_1, flow_1_0) and len(flow_0_1) == 1 and t.device.type == "cpu":
        forth, back, time = interleaved(flow_0_1[0]), interleaved(flow_1_0[0]), float(t)
        shares = ((time - 1) * time, time * time), ((1 - time) ** 2, (time - 1) * time)
        to_0, to_1 = (as_planes(cv2.addWeighted(forth, there, back, here, 0)) for there, here in shares)
        return to_0, to_1
    to_0 = t * t * flow_1_0 - (1 - t) * t * flow_0_1
    to_1 = (1 - t) * (1 - t) * flow_0_1 - t * (1 - t) * flow_1_0
    return to_0, to_1


def blend(first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """Return (1 - t) * first + t * second; may overwrite ``first``.

    Args:
        first: (N, C, H, W) float32.
        second: Likewise.
        t: (N, 1, 1, 1).
    """
    if may_use_opencv(first, second) and len(first) == 1 and t.device.type == "cpu":
        time = float(t)
        a, b = interleaved(first[0]), interleaved(second[0])
        return as_planes(cv2.addWeighted(a, 1 - time, b, time, 0, dst=a))
    return torch.lerp(first, second, t)
