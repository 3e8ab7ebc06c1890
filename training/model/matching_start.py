"""First weights for a U-Net that finds flow: costs of block matching at every level of its way down.

Random layers hold next to nothing of how two frames match, so nothing tells a fresh U-Net which way things move, and
zero flow is a place it does not leave for thousands of steps. These weights make the usual costs of block matching:
channels 0 and 1 of each level carry the brightness of both frames down, so that every level sees them smaller; further
ones are the mean absolute differences over 3x3 pixels between frame 0 and frame 1 shifted by a pixel of that level, and
what shifts in opposite directions differ by. All that is only where training begins; channels that are left have
random weights.

Sources: Dosovitskiy et al., "FlowNet", ICCV 2015, section 3, whose correlation layer is given, not learned; Lucas,
Kanade: "An iterative image registration technique", IJCAI 1981, for signs of differences.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from training.errors import RecipeError
from vsrrin.nets.parts.unet import ConvBlock
from vsrrin.nets.spec import NetSpec

from .aids import NormalisedConv, flow_unet

_STRAIGHT = ((-1, 0), (1, 0), (0, -1), (0, 1))
_OBLIQUE = ((-1, -1), (1, 1), (-1, 1), (1, -1))
_FAR_STRAIGHT = ((-2, 0), (2, 0), (0, -2), (0, 2))
_FAR_OBLIQUE = (
    *((-2, -1), (2, 1), (-2, 1), (2, -1), (-1, -2), (1, 2), (-1, 2), (1, -2)),
    *((-2, -2), (2, 2), (-2, 2), (2, -2)),
)
_FRAMES = 2
_CARRIED = 2.0
"""Standard deviations by which normalised brightness and costs are raised, to be left alone by the leaky ReLU."""
_OTHERS = 0.5
"""Factor to the random weights."""


def start_matching(net: nn.Module, spec: NetSpec) -> None:
    """Set the first weights of the U-Net that finds the flow, in place, after `training.model.aids.normalise`.

    Raises:
        RecipeError: The network has no such U-Net, or it is too narrow, or not normalised.
    """
    unet = flow_unet(net, spec)
    if unet is None:
        raise RecipeError("model.matching: this network finds no flow by a U-Net; leave it out")
    for level, block in enumerate(unet.down_path):
        _start_level(cast(ConvBlock, block), colours=3 if level == 0 else 1)


@torch.no_grad()
def _start_level(block: ConvBlock, colours: int) -> None:
    first, second = block.block[0], block.block[2]
    if not (isinstance(first, NormalisedConv) and isinstance(second, NormalisedConv)):
        raise RecipeError(
            "model.matching needs model.normalise = true, and the U-Net that finds the flow not in model.frozen"
        )
    shifts = _shifts(first.out_channels)
    for conv in (first, second):
        conv.weight.mul_(_OTHERS)
        conv.norm.bias[:_FRAMES] = _CARRIED
    _difference(first.weight, shifts, colours)
    _mean(second.weight, len(shifts))
    second.norm.bias[_FRAMES : _FRAMES + len(shifts)] = _CARRIED  # small costs are what tells


def _shifts(width: int) -> Sequence[tuple[int, int]]:
    """Return shifts (dx, dy): first none, then opposite ones in pairs."""
    near = (*_STRAIGHT, *_OBLIQUE)
    for shifts in ((*near, *_FAR_STRAIGHT, *_FAR_OBLIQUE), (*near, *_FAR_STRAIGHT), near, _STRAIGHT):
        if _FRAMES + 2 * (1 + len(shifts)) <= width:
            return ((0, 0), *shifts)
    raise RecipeError(
        f"model.matching: the U-Net that finds the flow begins with {width} channels, and matching needs "
        f"{_FRAMES + 2 * (1 + len(_STRAIGHT))}; give model.settings a larger width, or leave it out"
    )


def _difference(weight: Tensor, shifts: Sequence[tuple[int, int]], colours: int) -> None:
    """Set brightness of both frames, then for each shift frame 0 less the shifted frame 1, and the opposite."""
    weight[: _FRAMES + 2 * len(shifts)] = 0
    share = 1 / colours
    parts = [slice(frame * colours, (frame + 1) * colours) for frame in range(_FRAMES)]
    for frame, part in enumerate(parts):
        weight[frame, part, 1, 1] = share
    for number, shift in enumerate(shifts):
        (x0, x1), (y0, y1) = map(_places, shift)
        for at, sign in ((_FRAMES + 2 * number, share), (_FRAMES + 2 * number + 1, -share)):
            weight[at, parts[0], 1 + y0, 1 + x0] += sign
            weight[at, parts[1], 1 + y1, 1 + x1] -= sign


def _places(way: int) -> tuple[int, int]:
    """Return where frames 0 and 1 are read for a shift of up to two; a kernel reaches one pixel."""
    away = 1 if way > 0 else -1
    return (-away, away) if abs(way) == 2 else (0, way)


def _mean(weight: Tensor, shifts: int) -> None:
    """Set brightness of both frames, the mean cost of each shift, and differences of opposite shifts, of both signs.

    A value and its opposite together are its size, as leaky ReLUs leave one of them.
    """
    costs = [slice(_FRAMES + 2 * number, _FRAMES + 2 * number + 2) for number in range(shifts)]
    weight[: _FRAMES + shifts + 2 * (shifts // 2)] = 0
    for frame in range(_FRAMES):
        weight[frame, frame, 1, 1] = 1
    mean = 1 / 9
    for at, cost in enumerate(costs, _FRAMES):
        weight[at, cost] = mean
    at = _FRAMES + shifts
    for one, other in zip(costs[1::2], costs[2::2], strict=True):
        for sign in (mean, -mean):
            weight[at, one], weight[at, other] = sign, -sign
            at += 1
