"""Motion of prepared pairs, and confidence in the new frames that are made of them."""

import torch
from torch import Tensor

from vsrrin.flow.confidence import REDUCTION, Map, ReducedPair, confidence, reduced
from vsrrin.flow.dis import DisFlow, brightness, half_flow
from vsrrin.nets.parts.warp import double
from vsrrin.nets.spec import NetSpec

from .pairs import Pair

_DIS = DisFlow("fast")
"""For networks without flow."""


def flow_of(pair: Pair, spec: NetSpec) -> Tensor:
    """Return the motion of a pair: the flow that its network was given or has found, else DIS optical flow.

    Args:
        pair: The pair.
        spec: Description of the network that it was prepared for.

    Returns:
        (1, 4, H, W) on any device, in pixels of the frame without padding: (dx, dy) of 0 -> 1, then of 1 -> 0.
    """
    crop = pair.plan.padder.crop
    return crop(_own_flow(pair)) if spec.estimates_flow else crop(double(_half_flow(pair)) * 2)


def confidence_of(pair: Pair, spec: NetSpec, image: Tensor, t: float) -> Map:
    """Return the confidence in a new frame of a pair, see :func:`vsrrin.flow.confidence.confidence`.

    Args:
        pair: The pair.
        spec: Description of the network.
        image: The new frame, (1, 3, H, W) float32, as :meth:`Interpolator.synthesize` returns it.
        t: Its time, in (0, 1).

    Returns:
        (H / 4, W / 4), rounded up, [0, 1].
    """
    with torch.inference_mode():
        return confidence(reduced_pair(pair, spec), reduced(image) * pair.gain, t)


def reduced_pair(pair: Pair, spec: NetSpec) -> ReducedPair:
    """Return frames and motion of a pair, reduced once for all times."""
    if pair.reduced is None:
        crop = pair.plan.padder.crop
        if spec.estimates_flow:
            flow = reduced(crop(_own_flow(pair))) / REDUCTION
        else:
            flow = reduced(_half_flow(pair), REDUCTION // 2) / (REDUCTION // 2)
        pair.reduced = ReducedPair(reduced(crop(pair.img0)), reduced(crop(pair.img1)), flow)
    return pair.reduced


def _own_flow(pair: Pair) -> Tensor:
    """Return the flow that the network has found, padded, (1, 4, H, W)."""
    return pair.plan.grid.join([estimate[:, :4].float() for estimate in pair.estimates])


def _half_flow(pair: Pair) -> Tensor:
    """Return flow from outside the network without padding, (1, 4, H / 2, W / 2) in pixels of that size."""
    height, width = pair.plan.padder.height, pair.plan.padder.width
    rows, columns = -(-height // 2), -(-width // 2)
    if pair.flow is not None:
        return pair.flow[..., :rows, :columns]
    flow = torch.empty(1, 4, rows, columns)
    seen = (brightness(pair.plan.padder.crop(image).cpu()) for image in (pair.img0, pair.img1))
    half_flow(_DIS(next(seen), next(seen)), height, width, flow)
    return flow
