"""Interpolation methods by name: what is evaluated, and what it is compared with.

- ``blend``: the mean of both frames, weighted by t.
- ``dis``: DIS flow in both directions projected linearly, two backward warps blended by t, in NumPy and OpenCV alone,
  so that it also checks the arithmetic of the filter.
- ``mvtools``: FlowInter of the plugin mvtools on 16-bit YUV 4:4:4, blocks of 16 then of 8 pixels, overlapping by half,
  half-pixel vectors, without its scene detection.
- The peers of :mod:`training.measure.peers`, in fp32.
- Models of vsrrin, through the filter as users get them, or the network alone in fp32.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
import vapoursynth as vs
from numpy.typing import NDArray
from torch import Tensor

import vsrrin
from training.errors import TrainingError
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import resolve_device
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options

from . import peers
from .triplets import Picture, dis_flow, grey
from .vs_clips import to_clip, to_picture

type Method = Callable[[Picture, Picture, Fraction], Picture]
"""The frame at t, 0 < t < 1, between two frames."""

NAMES = ("blend", "dis", "mvtools", *peers.PEERS)


def make(name: str, device: str | None = None) -> Method:
    """Make the method of a name.

    Args:
        name: One of `NAMES`; those of peers with or without variants, see :mod:`training.measure.peers`.
        device: Device of peers, as for `vsrrin.interpolate`.

    Raises:
        TrainingError: There is none, or what it needs is not installed.
    """
    if name == "blend":
        return blend
    if name == "dis":
        return plain_dis
    if name == "mvtools":
        if not hasattr(vs.core, "mv"):
            raise TrainingError("mvtools is not installed; install it with: pip install vapoursynth-mvtools")
        return mvtools
    if name.partition(":")[0] in peers.PEERS:
        return peer(name, device)
    raise TrainingError(f"there is no method {name!r}; there are {', '.join(NAMES)}")


# --- baselines -----------------------------------------------------------------------------------------------------


def blend(left: Picture, right: Picture, t: Fraction) -> Picture:
    """Return (1 - t) left + t right."""
    return to_bytes(left.astype(np.float32) * np.float32(1 - t) + right.astype(np.float32) * np.float32(t))


def plain_dis(left: Picture, right: Picture, t: Fraction) -> Picture:
    """Return a blend by t of two backward warps.

    The flow of both directions is projected linearly to t (Super SloMo, equation 4).
    """
    grey_left, grey_right = grey(left), grey(right)
    forth, back = dis_flow(grey_left, grey_right), dis_flow(grey_right, grey_left)
    u = np.float32(t)
    from_left = backward_warp(left, -(1 - u) * u * forth + u * u * back)
    from_right = backward_warp(right, (1 - u) * (1 - u) * forth - u * (1 - u) * back)
    return to_bytes((1 - u) * from_left + u * from_right)


def backward_warp(picture: Picture, flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``picture`` sampled bilinearly at x + flow(x), the border repeated, (H, W, 3).

    OpenCV's remap would round the coordinates to 1/32 of a pixel.
    """
    height, width = picture.shape[:2]
    x = np.clip(np.arange(width, dtype=np.float32) + flow[..., 0], 0, width - 1)
    y = np.clip(np.arange(height, dtype=np.float32)[:, None] + flow[..., 1], 0, height - 1)
    x0, y0 = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0).astype(np.float32)[..., None], (y - y0).astype(np.float32)[..., None]
    upper = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
    lower = picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx
    warped: NDArray[np.float32] = upper * (1 - fy) + lower * fy
    return warped


def mvtools(left: Picture, right: Picture, t: Fraction) -> Picture:
    """Return the frame by FlowInter; the conversion from RGB and back is part of it."""
    mv = vs.core.mv
    clip = to_clip((left, right)).resize.Bicubic(format=vs.YUV444P16, matrix=vs.MATRIX_BT709)
    pyramid = mv.Super(clip, pel=2)
    vectors = [mv.Analyse(pyramid, isb=backward, blksize=16, overlap=8) for backward in (True, False)]
    vectors = [mv.Recalculate(pyramid, found, blksize=8, overlap=4) for found in vectors]
    # A pair that it took for a cut would only be blended, and there are no cuts here.
    new = mv.FlowInter(clip, pyramid, *vectors, time=100 * float(t), thscd2=255)
    with new.resize.Bicubic(format=vs.RGB24).get_frame(0) as frame:
        return to_picture(frame)


# --- networks ------------------------------------------------------------------------------------------------------


def peer(name: str, device: str | None = None) -> Method:
    """Make a method of a published network of others.

    Raises:
        TrainingError: Its package is not installed.
    """
    place = resolve_device(device)
    network = peers.load(name, place)

    def method(left: Picture, right: Picture, t: Fraction) -> Picture:
        return from_tensor(network(to_tensor(left).to(place), to_tensor(right).to(place), float(t)))

    return method


def filtered(model: str, format_name: str = "RGB24", device: str | None = None) -> Method:
    """Make a method of `vsrrin.interpolate`; the conversion to its format and back is part of it."""
    wanted = vs.PresetVideoFormat[format_name]

    def method(left: Picture, right: Picture, t: Fraction) -> Picture:
        clip = to_clip((left, right))
        if wanted != vs.RGB24:
            is_rgb = vs.core.get_video_format(wanted).color_family == vs.RGB
            clip = clip.resize.Bicubic(format=wanted, matrix=vs.MATRIX_RGB if is_rgb else vs.MATRIX_BT709)
        clip = vsrrin.interpolate(clip, t.denominator, model, scene="off", device=device)
        if wanted != vs.RGB24:
            clip = clip.resize.Bicubic(format=vs.RGB24)
        with clip.get_frame(t.numerator) as frame:
            return to_picture(frame)

    return method


def bare(model: Model, device: str | None = None) -> Method:
    """Make a method of a network alone in fp32, without VapourSynth."""
    engine = Interpolator(model, Options(device=device, precision="fp32", backend="torch"), cache_bytes=0)

    def method(left: Picture, right: Picture, t: Fraction) -> Picture:
        return from_tensor(engine.interpolate(to_tensor(left), to_tensor(right), [t])[0])

    return method


def to_tensor(picture: Picture) -> Tensor:
    """Convert a picture to (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float().div_(255)


def from_tensor(image: Tensor) -> Picture:
    """Convert (1, 3, H, W) in [0, 1] to a picture, rounded to 8 bit."""
    return to_bytes(image[0].permute(1, 2, 0).float().cpu().numpy() * np.float32(255))


def to_bytes(values: NDArray[np.floating]) -> Picture:
    """Round values of [0, 255] to 8 bit."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
