"""Engine of which the network's blending mask is seen."""

import copy
from fractions import Fraction
from threading import local

import torch
from torch import Tensor, nn

from vsrrin.checkpoint.loader import Model
from vsrrin.nets.parts.warp import double

from .backends.torch_backend import TorchBackend, resolve_device, resolve_precision
from .interpolator import Interpolator
from .options import Device, Options
from .pairs import Pair


class WatchedInterpolator(Interpolator):
    """Interpolator that also tells how its network weighs the two frames; it runs in PyTorch, whatever the backend.

    Args:
        model: The network.
        options: Options of the engine.
        device: One of their devices; ``None`` for the first.
    """

    def __init__(self, model: Model, options: Options, device: Device | None = None) -> None:
        place = resolve_device(options.devices[0] if device is None else device)
        seen = self._seen = local()  # threads take turns at the network, and look later at what they have seen
        net, mask = model.net, model.spec.mask
        if mask is not None:

            def note(_layer: nn.Module, _arguments: object, result: Tensor) -> None:
                if hasattr(seen, "weights"):
                    seen.weights.append(mask.weights(result))

            net = copy.deepcopy(net)  # others use the model's own meanwhile
            net.get_submodule(mask.layer).register_forward_hook(note)
        backend = TorchBackend(net, model.spec, place, resolve_precision(options.precision, place, model.spec))
        super().__init__(model, options, backend=backend)

    def watch(self, pair: Pair, t: float | Fraction) -> tuple[Tensor, Tensor | None]:
        """Make a new frame of a prepared pair, and tell the share that frame 1 has in it.

        Returns:
            The frame, as :meth:`Interpolator.synthesize` makes it, and the share, (1, 1, H, W) in [0, 1] on any device;
            ``None`` if the network has no mask.
        """
        self._seen.weights = []
        (image,) = self.synthesize(pair, [t])
        weights: list[Tensor] = self._seen.weights
        del self._seen.weights
        if not weights:
            return image, None
        with torch.inference_mode():
            tiles = pair.plan.grid.tiles
            # What was seen before belongs to tiles that did not fit into memory.
            masks = torch.cat(weights)[-len(tiles) :].float()
            if masks.shape[-2:] != (tiles[0].height, tiles[0].width):
                masks = torch.cat([double(mask) for mask in masks.chunk(len(tiles))])
            weight0, weight1 = pair.plan.padder.crop(pair.plan.grid.join(masks.chunk(len(tiles)))).chunk(2, 1)
            of_1 = float(t) * weight1
            return image, of_1 / ((1 - float(t)) * weight0 + of_1).clamp_min(1e-6)
