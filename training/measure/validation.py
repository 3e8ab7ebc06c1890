"""Validation of a network during training: PSNR on triplets of video files.

The network is run as the filter runs it, in 8 bit RGB, but without VapourSynth and on flow that is found once, so that
it can be done often; the figures are those of :mod:`training.evaluate` up to the noise of half precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from training.errors import DatasetError
from vsrrin.engine.backends.torch_backend import TorchBackend, resolve_precision
from vsrrin.engine.padding import Padder
from vsrrin.engine.plan import automatic_scale
from vsrrin.flow.dis import DisFlow, brightness, check_preset, half_flow
from vsrrin.flow.own_flow_scale import best_explaining, shrunk_flow, unlike
from vsrrin.nets.spec import NetSpec

from .metrics import psnr
from .triplets import BUCKETS, Picture, Triplet, triplets


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """Triplet prepared for networks; pictures stay in 8 bit, as there are many."""

    left: Tensor
    """(3, H, W) uint8; ``right`` likewise."""
    right: Tensor
    truth: Picture
    t: float
    bucket: str
    flow: Tensor | None
    """Flow from outside, padded, (1, 4, H'/2, W'/2) float32."""


class Validation:
    """Validation of networks of one kind on the same triplets.

    Args:
        folder: Folder of video files.
        limit: At most so many triplets.
        spec: The networks' description. For one that knows only the middle, triplets of other times are left out.
        device: Device on which networks are run.
        arithmetic: Theirs; where they find motion themselves, it says whether the engine would choose its scale by the
            pair.

    Raises:
        DatasetError: The folder has no triplets to measure with.
    """

    def __init__(
        self, folder: Path, limit: int | None, spec: NetSpec, device: torch.device, arithmetic: str = "exact"
    ) -> None:
        found = triplets(folder, limit=limit)
        usable = [triplet for triplet in found if spec.arbitrary_t or triplet.span.t == 0.5]
        if not usable:
            raise DatasetError(f"{folder} has no triplet with a true frame in the middle, which {spec.name} needs")
        self._spec, self._device, self._seeks = spec, device, arithmetic == "exact"
        motion = DisFlow(check_preset(spec.flow_preset)) if spec.external_flow else None
        self._cases = [_case(triplet, spec, motion) for triplet in usable]

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """Measure a network.

        Returns:
            ``psnr``, the mean in dB, and ``psnr_slow``, ``psnr_medium``, ``psnr_fast``, those of triplets by their
            motion, as far as there are any.
        """
        backend = TorchBackend(net, self._spec, self._device, resolve_precision("auto", self._device, self._spec))
        scores = [
            (case.bucket, psnr(_picture(backend, case, self._spec, self._seeks), case.truth)) for case in self._cases
        ]
        result = {"psnr": fmean(score for _, score in scores)}
        for bucket in BUCKETS:
            own = [score for name, score in scores if name == bucket]
            if own:
                result[f"psnr_{bucket}"] = fmean(own)
        return result


COLUMNS: Sequence[str] = ("psnr", *(f"psnr_{bucket}" for bucket in BUCKETS))
"""All names that a measurement may have."""


def _case(triplet: Triplet, spec: NetSpec, motion: DisFlow | None) -> Case:
    left, right = (torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1))) for x in (triplet.left, triplet.right))
    flow = None
    if motion is not None:
        height, width = triplet.left.shape[:2]
        padded = Padder(height, width, spec.size_multiple).padded
        flow = torch.empty(1, 4, padded[0] // 2, padded[1] // 2)
        scale = automatic_scale(height, width)
        seen = [brightness(_image(picture), scale) for picture in (left, right)]
        half_flow(motion(seen[0], seen[1]), height, width, flow)
    return Case(left=left, right=right, truth=triplet.truth, t=float(triplet.span.t), bucket=triplet.bucket, flow=flow)


def _picture(backend: TorchBackend, case: Case, spec: NetSpec, seeks: bool) -> Picture:
    padder = Padder(case.left.shape[1], case.left.shape[2], spec.size_multiple)
    device = backend.device
    img0, img1 = (padder.pad(_image(picture).to(device)) for picture in (case.left, case.right))
    flow = None if case.flow is None else case.flow.to(device)
    t = torch.full((1, 1, 1, 1), case.t, device=device)
    estimate = _found(backend, spec, img0, img1, seeks) if spec.estimates_flow else backend.estimate(img0, img1, flow)
    made = padder.crop(backend.synthesize(img0, img1, estimate, t))
    return np.asarray(made[0].mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy())


def _found(backend: TorchBackend, spec: NetSpec, img0: Tensor, img1: Tensor, seeks: bool) -> Tensor:
    """Return the network's own flow, at the scale the engine would choose; all of a picture fits into memory."""

    def estimate(img0: Tensor, img1: Tensor) -> Tensor:
        return backend.estimate(img0, img1, None)

    def at(scale: float) -> Tensor:
        return estimate(img0, img1) if scale == 1 else shrunk_flow(estimate, img0, img1, scale, spec.size_multiple)

    scale = automatic_scale(*img0.shape[-2:])
    if not seeks:
        return at(scale)
    with torch.inference_mode():
        return best_explaining(at, lambda flow: unlike(img0, img1, flow), scale, *img0.shape[-2:])


def _image(picture: Tensor) -> Tensor:
    """Convert to (1, 3, H, W) float32 in [0, 1]."""
    return picture[None].float().div_(255)
