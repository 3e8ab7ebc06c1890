"""Maps of a frame pair and its new frame: flow, blending mask, doubt, confidence."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsrrin.checkpoint.loader import Model
from vsrrin.engine.options import Options
from vsrrin.engine.trust import confidence_of, flow_of
from vsrrin.engine.watched import WatchedInterpolator
from vsrrin.flow.confidence import enlarged, missed

type Map = NDArray[np.float32]


@dataclass(frozen=True)
class Maps:
    """Maps of a frame's size, float32.

    Attributes:
        forward: Flow from frame 0 to frame 1, (H, W, 2), (dx, dy) in pixels; ``None`` for networks without flow.
        backward: Flow from frame 1 to frame 0, likewise.
        doubt: By how many pixels a point of frame 0 is missed on the way to frame 1 and back, (H, W): large where it
            is hidden in frame 1, or where flow is wrong.
        share: Share of frame 1 in the blend, (H, W), 0 to 1; ``None`` if the network has no mask.
        confidence: How far the new frame can be trusted, (H, W), 0 to 1, see :mod:`vsrrin.flow.confidence`.
        tiles: Number of tiles.
    """

    forward: Map | None
    backward: Map | None
    doubt: Map | None
    share: Map | None
    confidence: Map
    tiles: int


def maps_of(
    model: Model,
    img0: Tensor,
    img1: Tensor,
    t: Fraction,
    options: Options | None = None,
) -> Maps:
    """Return the maps of a frame pair, made as the filter makes new frames: same device, precision, tiles, scale.

    The mask is that of the pair's only new frame; where there are several, that of their middle is moved along.

    Args:
        model: The network.
        img0: Frame 0, (1, 3, H, W) float32 RGB.
        img1: Frame 1, likewise.
        t: Time of the new frame whose mask and confidence are wanted.
        options: Options of the engine; its backend is PyTorch's.

    Raises:
        VsrrinError: What :class:`Interpolator` raises.
    """
    engine = WatchedInterpolator(model, options or Options())
    pair = engine.prepare(engine.ready(img0), engine.ready(img1))
    new, share = engine.watch(pair, t)
    has_flow = model.spec.external_flow or model.spec.estimates_flow
    with torch.inference_mode():
        flow = flow_of(pair, model.spec) if has_flow else None
        return Maps(
            forward=None if flow is None else _interleaved(flow[:, :2]),
            backward=None if flow is None else _interleaved(flow[:, 2:]),
            doubt=None if flow is None else _flat(missed(flow[:, :2], flow[:, 2:])),
            share=None if share is None else _flat(share),
            confidence=enlarged(confidence_of(pair, model.spec, new, float(t)), *img0.shape[-2:]),
            tiles=len(pair.plan.grid.tiles),
        )


def _interleaved(flow: Tensor) -> Map:
    """(1, 2, H, W) to (H, W, 2)."""
    return flow[0].permute(1, 2, 0).cpu().numpy()


def _flat(values: Tensor) -> Map:
    """(1, 1, H, W) to (H, W)."""
    return values[0, 0].cpu().numpy()
