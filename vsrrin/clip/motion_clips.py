"""Clips of what new frames are made of, in place of the frames: motion, mask, confidence, moved source frames."""

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
import vapoursynth as vs
from torch import Tensor

from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pairs import Pair
from vsrrin.engine.pool import shared_by
from vsrrin.engine.trust import confidence_of, flow_of
from vsrrin.engine.watched import WatchedInterpolator
from vsrrin.errors import ArgumentError
from vsrrin.flow.confidence import enlarged
from vsrrin.nets.parts.warp import SHARP, backward_warp, project_flow
from vsrrin.nets.registry import NETS

from . import frames, graph
from .alpha import premultiplied
from .clip_checks import check_clip
from .frames import Colour, Plane
from .timing import Timing
from .view import View

MotionKind = Literal["flow", "mask", "confidence", "sources"]


def build(clip: vs.VideoNode, timing: Timing, options: Options, kind: MotionKind) -> vs.VideoNode:
    """Return a clip of what new frames are made of, with a frame for each moment of a timing.

    Args:
        clip: The source, as :func:`vsrrin.motion` takes it.
        timing: The map from output frames to moments of the source.
        options: Options of interpolation.
        kind: What is shown.

    Raises:
        VsrrinError: There is no such kind, the network has no mask, or see :func:`vsrrin.clip.graph.build`.
    """
    if kind not in _VIEWS:
        raise ArgumentError(f"kind must be one of {', '.join(map(repr, _VIEWS))}, not {kind!r}")
    if "_Alpha" in check_clip(clip).props:
        clip = premultiplied(clip)
    return graph.build(clip, timing, options, view=_VIEWS[kind](), name="motion")


class _Flow:
    """Motion from the left to the right source frame, as red and green."""

    judges = False

    def blank(self, clip: vs.VideoNode) -> vs.VideoNode:
        return clip.std.BlankClip(format=vs.RGBS, keep=True)

    def engines(self, options: Options) -> list[Interpolator] | None:
        return None

    def new(
        self, engine: Interpolator, pair: Pair, left: vs.VideoFrame, t: Fraction
    ) -> tuple[vs.VideoFrame, float | None]:
        to_0, to_1 = _to_both(flow_of(pair, engine.spec), t)
        dx, dy = (to_1 - to_0)[0].cpu().numpy()
        return _filled(left, vs.RGBS, (dx, dy, np.zeros_like(dx))), None

    def other(self, shown: vs.VideoFrame) -> vs.VideoFrame:
        return _filled(shown, vs.RGBS, (np.float32(0),) * 3)


class _Grey(ABC):
    """Map of the depth of the clip, of full range."""

    judges = False
    of_others = 0.0
    """Value in frames that are not new."""

    def blank(self, clip: vs.VideoNode) -> vs.VideoNode:
        return clip.std.BlankClip(format=_grey_like(clip.format), keep=True)

    def engines(self, options: Options) -> list[Interpolator] | None:
        return None

    def new(
        self, engine: Interpolator, pair: Pair, left: vs.VideoFrame, t: Fraction
    ) -> tuple[vs.VideoFrame, float | None]:
        values, confidence = self.values(engine, pair, t)
        return _filled(left, _grey_like(left.format), (values,)), confidence

    def other(self, shown: vs.VideoFrame) -> vs.VideoFrame:
        return _filled(shown, _grey_like(shown.format), (np.float32(self.of_others),))

    @abstractmethod
    def values(self, engine: Interpolator, pair: Pair, t: Fraction) -> tuple[Plane, float | None]:
        """Return the map of a new frame, (H, W) in [0, 1], and confidence if it is judged."""


class _Confidence(_Grey):
    """How far new frames can be trusted."""

    judges = True
    of_others = 1.0

    def values(self, engine: Interpolator, pair: Pair, t: Fraction) -> tuple[Plane, float | None]:
        (image,) = engine.synthesize(pair, [t])
        trust = confidence_of(pair, engine.spec, image, float(t))
        return enlarged(trust, *image.shape[-2:]), float(trust.mean())


class _Mask(_Grey):
    """Share of the right source frame in new frames, as the network weighs them."""

    def engines(self, options: Options) -> list[Interpolator] | None:
        model = shared_by(options)[0].model
        if model.spec.mask is None:
            able = ", ".join(spec.name for spec in NETS if spec.mask)
            raise ArgumentError(f'kind="mask" needs a network that weighs both frames ({able}), not {model.spec.name}')
        return [WatchedInterpolator(model, options, device) for device in options.devices]

    def values(self, engine: Interpolator, pair: Pair, t: Fraction) -> tuple[Plane, float | None]:
        assert isinstance(engine, WatchedInterpolator)
        _, share = engine.watch(pair, t)
        assert share is not None
        return share[0, 0].cpu().numpy(), None


class _Sources:
    """Both source frames moved to the time of the new frame, side by side."""

    judges = False

    def blank(self, clip: vs.VideoNode) -> vs.VideoNode:
        return clip.std.BlankClip(width=2 * clip.width, keep=True)

    def engines(self, options: Options) -> list[Interpolator] | None:
        return None

    def new(
        self, engine: Interpolator, pair: Pair, left: vs.VideoFrame, t: Fraction
    ) -> tuple[vs.VideoFrame, float | None]:
        crop, colour = pair.plan.padder.crop, Colour.of_frame(left)
        with torch.inference_mode():
            sides = [
                (backward_warp(crop(image), to, SHARP) / pair.gain).clamp(pair.low, pair.high).cpu()
                for image, to in zip((pair.img0, pair.img1), _to_both(flow_of(pair, engine.spec), t), strict=True)
            ]
        return _beside(*(frames.from_tensor(side, left, colour, vs.core.core) for side in sides)), None

    def other(self, shown: vs.VideoFrame) -> vs.VideoFrame:
        return _beside(shown, shown)


_VIEWS: dict[str, type[View]] = {
    "flow": _Flow,
    "mask": _Mask,
    "confidence": _Confidence,
    "sources": _Sources,
}


def _to_both(flow: Tensor, t: Fraction) -> tuple[Tensor, Tensor]:
    """Return the flow from t to both frames."""
    with torch.inference_mode():
        return project_flow(flow[:, :2], flow[:, 2:], torch.full((1, 1, 1, 1), float(t), device=flow.device))


def _grey_like(shape: vs.VideoFormat) -> int:
    return int(vs.core.query_video_format(vs.GRAY, shape.sample_type, shape.bits_per_sample, 0, 0).id)


def _filled(like: vs.VideoFrame, kind: int, planes: tuple[Plane | np.float32, ...]) -> vs.VideoFrame:
    """Return a frame of another's size with planes of these values, integers of [0, 1]; of its properties the shape."""
    frame = vs.core.core.create_video_frame(vs.core.get_video_format(kind), like.width, like.height)
    for index, values in enumerate(planes):
        target = np.asarray(frame[index])
        if target.dtype.kind == "u":
            values = np.rint(values * np.float32(2**frame.format.bits_per_sample - 1))
        np.copyto(target, values, casting="unsafe")
    frame.props.update({key: like.props[key] for key in ("_SARNum", "_SARDen") if key in like.props})
    frame.props["_Range"] = 1
    return frame


def _beside(left: vs.VideoFrame, right: vs.VideoFrame) -> vs.VideoFrame:
    """Return a frame of both, with the properties of the first."""
    frame = vs.core.core.create_video_frame(left.format, 2 * left.width, left.height)
    for index in range(left.format.num_planes):
        np.concatenate((left[index], right[index]), axis=1, out=np.asarray(frame[index]))
    frame.props.update(left.props)
    return frame
