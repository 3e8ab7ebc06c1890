"""DIS optical flow of frame pairs on the network's device.

The flow of :class:`vsrrin.flow.dis.DisFlow`, found where the frames are: from brightness on, nothing but tensor
operations, both directions of all pairs in one batch. Nothing waits for the device. It is equal to OpenCV's but
for the order in which patches learn from each other, see :mod:`vsrrin.flow.inverse_search`, and starts from the first
of the two searches of block matching alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from .device_matching import coarse_flow
from .dis import KNEE, OVERBRIGHT, PRESETS, SMALLEST, UPWARDS, DisSettings, Preset, working_size
from .inverse_search import Patches, pyramid_scales
from .refinement import refined
from .resampling import area_reduced, resized, whole_levels


class DeviceFlow:
    """DIS optical flow of frame pairs on any device; thread safe.

    Args:
        preset: "fine" or "fast", see :class:`vsrrin.flow.dis.DisFlow`.
    """

    def __init__(self, preset: Preset = "fine") -> None:
        self.preset = preset

    @torch.no_grad()
    def __call__(self, img0: Tensor, img1: Tensor, scale: float = 1.0) -> Tensor:
        """Return the flow of pairs as networks take it.

        Args:
            img0: Frames 0, (N, 3, H, W) float32, nominally [0, 1].
            img1: Frames 1, likewise.
            scale: Size of the pictures for motion relative to the frames, in (0, 1].

        Returns:
            (N, 4, H / 2, W / 2), rounded up, on the same device: (dx, dy) in pixels of that size, 0->1 then 1->0.
        """
        height, width = img0.shape[-2:]
        grey0, grey1 = greys(brightness(img0, scale), brightness(img1, scale))
        flow = _flow(torch.cat((grey0, grey1)), torch.cat((grey1, grey0)), PRESETS[self.preset])
        forth_and_back = torch.cat(flow.chunk(2), 1)
        rows, columns = flow.shape[-2:]
        half = -(-height // 2), -(-width // 2)
        if (rows, columns) == half:
            return forth_and_back
        factors = width / 2 / columns, height / 2 / rows
        larger = resized(forth_and_back, *half)
        return torch.stack([larger[:, axis] * factors[axis % 2] for axis in range(4)], 1)


def brightness(images: Tensor, scale: float = 1.0) -> Tensor:
    """Return the pictures on which flow is found, (N, 3, H, W) to (N, H', W'): the mean of the channels, reduced.

    Those of :func:`vsrrin.flow.dis.brightness`, on any device.
    """
    total = images.float().mean(1)
    height, width = total.shape[-2:]
    if scale == 1 and (height % 2 or width % 2):
        total = _with_border(total, height + height % 2, width + width % 2)
        height, width = total.shape[-2:]
    return area_reduced(total, *working_size(height, width, scale))


def greys(brightness0: Tensor, brightness1: Tensor) -> tuple[Tensor, Tensor]:
    """Return both frames of pairs in whole grey levels, 0 to 255, (N, H, W), by one map for each pair.

    The map of :func:`vsrrin.flow.dis.greys`; which one it is, is decided on the device.
    """
    both = [torch.nan_to_num(b, nan=0.0, posinf=0.0, neginf=0.0) for b in (brightness0, brightness1)]
    peak = torch.maximum(*(b.amax((1, 2), keepdim=True) for b in both))
    dim = (peak > 0) & (peak < 1 / 16)
    linear = torch.where(dim, 255 / peak, 255.0)
    logarithmic = 255 / torch.log1p(KNEE * peak)
    levels = [
        torch.where(peak > OVERBRIGHT, torch.log1p(KNEE * b.clamp_min(0)) * logarithmic, b * linear) for b in both
    ]
    grey0, grey1 = (x.add(UPWARDS).round().clamp(0, 255) for x in levels)
    return grey0, grey1


def _flow(first: Tensor, second: Tensor, settings: DisSettings) -> Tensor:
    """Flow from the first pictures to the second, both (N, H, W) in grey levels; (N, 2, H, W) in their pixels."""
    height, width = first.shape[-2:]
    start = coarse_flow(first, second)
    first, second = (_with_border(x, max(height, SMALLEST), max(width, SMALLEST)) for x in (first, second))
    rows, columns = size = first.shape[-2:]
    levels = pyramid_scales(rows, columns, settings.finest_scale)
    flow = torch.zeros_like(first)[:, None].expand(-1, 2, -1, -1)
    pyramids = zip(levels, _pyramid(first, levels), _pyramid(second, levels), strict=True)
    for scale, here, there in reversed([*pyramids]):
        rows, columns = here.shape[-2:]
        patches = Patches(here, there, settings.patch_stride)
        flow = resized(flow, rows, columns) * 2  # in pixels twice as small
        motion = patches.at_centres(flow)
        if start is not None:
            guess = patches.at_centres(area_reduced(start, rows, columns)) / 2**scale
            motion = patches.best(torch.stack((motion, guess)))
        flow = patches.flow(patches.found(motion))
        for _ in range(settings.refinement):
            flow = refined(here, there, flow)
    return resized(flow, *size)[..., :height, :width] * float(2 ** levels[0])


def _pyramid(pictures: Tensor, scales: Sequence[int]) -> list[Tensor]:
    """Levels of a pyramid: each of half the size of the one before, in whole grey levels."""
    height, width = pictures.shape[-2:]
    levels = [pictures]
    for scale in scales:
        before, rows, columns = levels[-1], height >> scale, width >> scale
        by_two = before.shape[-2:] == (2 * rows, 2 * columns)
        levels.append(whole_levels(area_reduced(before, rows, columns), by_two))
    return levels[1:]


def _with_border(pictures: Tensor, height: int, width: int) -> Tensor:
    """Pictures (N, H, W), made larger by repeating the last row and column."""
    rows, columns = pictures.shape[-2:]
    return F.pad(pictures[:, None], (0, width - columns, 0, height - rows), mode="replicate")[:, 0]
