"""Maps that a network makes of a frame pair before the frame: flow, blending mask, doubt."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_device, resolve_precision
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pairs import Pair
from vsrrin.nets.parts.warp import backward_warp, double

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
        tiles: Number of tiles.
    """

    forward: Map | None
    backward: Map | None
    doubt: Map | None
    share: Map | None
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
        t: Time of the new frame whose mask is wanted.
        options: Options of the engine; its backend is PyTorch's.

    Raises:
        VsrrinError: What :class:`Interpolator` raises.
    """
    net, seen = _watched(model)
    options = options or Options()
    place = resolve_device(options.devices[0])
    backend = TorchBackend(net, model.spec, place, resolve_precision(options.precision, place, model.spec))
    engine = Interpolator(model, options, backend=backend)
    pair = engine.prepare(engine.ready(img0), engine.ready(img1))
    if net is not model.net:
        engine.synthesize(pair, [t])
    crop = pair.plan.padder.crop
    with torch.inference_mode():
        flow, share = _flow(engine, pair), _share(pair, seen, float(t))
        return Maps(
            forward=None if flow is None else _interleaved(crop(flow[:, :2])),
            backward=None if flow is None else _interleaved(crop(flow[:, 2:])),
            doubt=None if flow is None else _flat(_missed(crop(flow))),
            share=None if share is None else _flat(crop(share)),
            tiles=len(pair.plan.grid.tiles),
        )


def _watched(model: Model) -> tuple[nn.Module, list[Tensor]]:
    """Return a copy of the net that writes the weights of both frames into the list; the net itself without mask."""
    seen: list[Tensor] = []
    mask = model.spec.mask
    if mask is None:
        return model.net, seen

    def note(_layer: nn.Module, _arguments: object, result: Tensor) -> None:
        seen.append(mask.weights(result))

    net = copy.deepcopy(model.net)  # others use the model's own meanwhile
    net.get_submodule(mask.layer).register_forward_hook(note)
    return net, seen


def _flow(engine: Interpolator, pair: Pair) -> Tensor | None:
    """Return both flows of the padded frame, (1, 4, H, W) in its pixels."""
    if engine.spec.external_flow:
        # At half the size.
        parts = [double(estimate[:, :4].float()) * 2 for estimate in pair.estimates]
    elif engine.spec.estimates_flow:
        parts = [estimate[:, :4].float() for estimate in pair.estimates]
    else:
        return None
    return pair.plan.grid.join(parts)


def _missed(flow: Tensor) -> Tensor:
    """Return how far from its start a point ends that goes there and back, (1, 1, H, W)."""
    there, back = flow[:, :2], flow[:, 2:]
    return (there + backward_warp(back, there)).square().sum(1, keepdim=True).sqrt()


def _share(pair: Pair, seen: Sequence[Tensor], t: float) -> Tensor | None:
    """Return the mask of the padded frame as the share of frame 1, (1, 1, H, W)."""
    tiles = pair.plan.grid.tiles
    if not seen:
        return None
    masks = [x if x.shape[-2:] == (tiles[0].height, tiles[0].width) else double(x) for x in seen[-len(tiles) :]]
    mask = pair.plan.grid.join(masks)
    weight0, weight1 = (1 - t) * mask[:, :1], t * mask[:, 1:]
    return weight1 / (weight0 + weight1).clamp_min(1e-6)


def _interleaved(flow: Tensor) -> Map:
    """(1, 2, H, W) to (H, W, 2)."""
    return flow[0].permute(1, 2, 0).cpu().numpy()


def _flat(values: Tensor) -> Map:
    """(1, 1, H, W) to (H, W)."""
    return values[0, 0].cpu().numpy()
