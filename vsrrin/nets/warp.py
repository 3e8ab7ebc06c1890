"""Backward warping and the projection of flow to a time between two frames.

Sources: projection of bidirectional flow: Jiang et al., "Super SloMo", CVPR 2018, eq. 4.

The only ``grid_sample`` of the project is here. Published networks differ in three details of it, and their weights
have learned to live with theirs, so none of the three is left to a default: see :class:`WarpArithmetic`.
Coordinates need float32 (in bfloat16 column 300 cannot be told from 301), so everything here is float32 whatever the
arguments are.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class WarpArithmetic:
    """How a position in pixels is turned into a sample.

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
    """Pixel coordinates of a picture, as two vectors that broadcast against each other.

    Returns:
        x (W) and y (H, 1), float32, from 0 to W - 1 and to H - 1.
    """
    x = torch.arange(width, dtype=torch.float32, device=device)
    y = torch.arange(height, dtype=torch.float32, device=device)
    return x, y[:, None]


def backward_warp(image: Tensor, flow: Tensor, arithmetic: WarpArithmetic = EXACT, *, top: int = 0) -> Tensor:
    """Sample a picture where the flow points to.

    Args:
        image: (N, C, H, W), any range.
        flow: (N, 2, h, W), (dx, dy) in pixels: the result at p is ``image`` at p + flow(p). All rows, or h of them.
        arithmetic: How positions become samples.
        top: Row of the picture that the first row of ``flow`` belongs to.

    Returns:
        (N, C, h, W) float32.
    """
    height, width = image.shape[-2:]
    less = 1 if arithmetic.divide_by == "size-1" else 0
    # A side of one pixel has no span to divide by; any scale will do, as there is one column to read.
    scale_x, scale_y = 2.0 / max(width - less, 1), 2.0 / max(height - less, 1)
    x, y = pixel_grid(flow.shape[-2], width, flow.device)
    if top:
        y = y + top
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
    if image.shape[0] == 1 and image.device.type == "cpu":
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


def project_flow(flow_0_1: Tensor, flow_1_0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Flow from a time between two frames to each of them, by linear motion (Super SloMo, eq. 4).

    Args:
        flow_0_1: (N, 2, H, W), (dx, dy) in pixels, frame 0 to frame 1.
        flow_1_0: (N, 2, H, W), frame 1 to frame 0.
        t: (N, 1, 1, 1) in (0, 1).

    Returns:
        Flow from t to frame 0 and from t to frame 1, both (N, 2, H, W) in pixels.
    """
    to_0 = t * t * flow_1_0 - (1 - t) * t * flow_0_1
    to_1 = (1 - t) * (1 - t) * flow_0_1 - t * (1 - t) * flow_1_0
    return to_0, to_1
