"""Optical flow for networks that take it from outside.

It is found on the CPU, or by tensor operations where the network is, from the frames that are there already: nothing
but their pixels comes from the host. Which is faster with a GPU has not been measured, and the latter does not look for
small things a second time nor match them as wholes, so the former is the default on all devices.
"""

import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from vsrrin.flow.device_flow import DeviceFlow
from vsrrin.flow.dis import Brightness, DisFlow, brightness, half_flow

from .pairs import SourceFrame
from .plan import Plan
from .transfer import Empty

type Motion = DisFlow | DeviceFlow
"""Optical flow found on the host, or by tensor operations on the device."""


def seen_on_host(motion: Motion, image: Tensor, scale: float) -> Brightness | None:
    """Return what a frame (1, 3, H, W) on the CPU is reduced to before flow is found on it; ``None`` on a device."""
    return brightness(image, scale) if isinstance(motion, DisFlow) else None


def padded_flow(motion: Motion, left: SourceFrame, right: SourceFrame, plan: Plan, empty: Empty) -> Tensor:
    """Return the flow of a pair as networks take it, on the device or still on the host; the border is repeated.

    Args:
        motion: Finds it.
        left: Frame 0.
        right: Frame 1.
        plan: The plan for frames of their size.
        empty: Makes the memory for flow on the host.

    Returns:
        (1, 4, H / 2, W / 2) of the padded frames, (dx, dy) in pixels of that size, 0->1 then 1->0.
    """
    height, width = (side // 2 for side in plan.padder.padded)
    if isinstance(motion, DeviceFlow):
        for frame in (left, right):
            frame.there.wait()
        flow = motion(plan.padder.crop(left.image), plan.padder.crop(right.image), plan.scale)
        return F.pad(flow, (0, width - flow.shape[-1], 0, height - flow.shape[-2]), mode="replicate")
    assert left.brightness is not None and right.brightness is not None
    out = empty(1, 4, height, width)
    half_flow(motion(left.brightness, right.brightness), *left.size, out)
    return out
