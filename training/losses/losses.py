"""What a prediction is measured by in training, by name; each is 0, or next to it, where the prediction is right.

A loss of pictures takes the prediction and the true picture, (N, 3, H, W) float32, nominally [0, 1], and returns a mean
as a tensor without dimensions, so that it does not depend on the size of crops and batches. All are computed in
float32, also where a network runs in half precision.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from training.data.batch import Batch
from training.errors import RecipeError

from .fused import census_distance, pyramid_l1, window_means
from .vgg import VggLoss

_CHARBONNIER = 1e-3
_LEAST_MSE = 2e-5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2
_GAUSSIAN = [math.exp(-(place**2) / (2 * 1.5**2)) for place in range(-5, 6)]
_SSIM_WINDOW = [weight / sum(_GAUSSIAN) for weight in _GAUSSIAN]
_AT_REST = 1e-3
"""Pixels, below which the length of a flow error is smooth."""
_FEW = 0.3
"""Share of the pixels below one of a coarser level that must count for it to count."""


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(prediction, target)


def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
    """A smooth L1: mean of sqrt(d^2 + e^2), e = 0.001.

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging", ICIP 1994;
    e as in Lai et al., "Deep Laplacian pyramid networks", CVPR 2017.
    """
    return ((prediction - target).square() + _CHARBONNIER**2).sqrt().mean()


def log_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over samples of log(1 + MSE / e), e = 2e-5 (47 dB): what mean PSNR counts by.

    A sample whose error falls by a tenth counts the same, be it hard or easy: losses that are means of errors learn
    from hard windows at the cost of slow motion.
    """
    errors = (prediction - target).square().flatten(1).mean(1)
    return torch.log1p(errors / _LEAST_MSE).mean()


def laplacian(prediction: Tensor, target: Tensor) -> Tensor:
    """L1 between Laplacian pyramids of five levels, the last of which is what the others leave.

    Niklaus and Liu, "Softmax splatting for video frame interpolation", CVPR 2020, section 3.3; but every level counts
    by its mean, as in Bojanowski et al., "Optimizing the latent space of generative networks", ICML 2018, whose
    weight of 2^2j is the number of pixels that one of level j stands for. So a constant difference counts as in `l1`.
    """
    return pyramid_l1(prediction - target)  # the pyramid of the difference is the difference of the pyramids


def census(prediction: Tensor, target: Tensor) -> Tensor:
    """Distance of the census transforms of the brightness: which pixels are brighter than which, whatever the light.

    The soft ternary transform of 7x7 and its distance as in Meister, Hur, Roth, "UnFlow", AAAI 2018, section 3.2, after
    Stein, "Efficient computation of optical flow using the census transform", DAGM 2004, and Zabih and Woodfill.
    """
    return census_distance(prediction.mean(1, keepdim=True) * 255, target.mean(1, keepdim=True) * 255)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - SSIM, mean over windows and channels; 0 to 2.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004, eq. 13:
    Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03), windows inside the picture. Smaller pictures are
    enlarged to a window by their border.
    """
    bottom, right = (max(len(_SSIM_WINDOW) - size, 0) for size in target.shape[-2:])
    if bottom or right:
        prediction, target = (F.pad(x, (0, right, 0, bottom), mode="replicate") for x in (prediction, target))
    a, b = prediction, target
    mean_a, mean_b, squares, product = window_means(torch.stack((a, b, a * a + b * b, a * b)), _SSIM_WINDOW).unbind()
    both = mean_a * mean_b
    means = mean_a * mean_a + mean_b * mean_b
    similarity = (2 * both + _SSIM_C1) * (2 * (product - both) + _SSIM_C2)
    return 1 - (similarity / ((means + _SSIM_C1) * (squares - means + _SSIM_C2))).mean()


def gradient(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the differences between neighbouring pixels, rows and columns.

    Mathieu, Couprie, LeCun, "Deep multi-scale video prediction beyond mean square error", ICLR 2016, eq. 6 with
    alpha = 1, but signed differences.
    """
    error = prediction - target
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def flow(estimate: Tensor, truth: Tensor, trust: Tensor) -> Tensor:
    """Mean length of the error of flow where the truth counts, pixels of the estimate's size.

    Args:
        estimate: (N, 4, h, w), (dx, dy) in pixels of that size, 0->1 then 1->0; of the size of the truth or half.
        truth: (N, 4, H, W) likewise, in pixels of its size.
        trust: (N, 2, H, W): 1 where it counts, else 0. At half the size four pixels must count.

    Returns:
        The mean; 0 where nothing counts.

    Raises:
        RecipeError: The estimate has another size.
    """
    size, full = tuple(estimate.shape[-2:]), tuple(truth.shape[-2:])
    if size == (full[0] // 2, full[1] // 2):
        truth = F.avg_pool2d(truth, 2) / 2
        trust = (F.avg_pool2d(trust, 2) > 0.99).float()  # the mean of four ones
    elif size != full:
        raise RecipeError(
            f"loss.flow: the network's flow is {size[1]}x{size[0]} for pictures of {full[1]}x{full[0]}; "
            f"it is known how to compare flow of the same size or of half of it"
        )
    return _mean_length(estimate - truth, trust)


def flow_relative(estimate: Tensor, truth: Tensor, trust: Tensor) -> Tensor:
    """The same, each error as a share of the length of the true flow plus one pixel.

    What moves far and cannot be found yet does not drown what moves a little and can.

    Args:
        estimate: (N, 4, H, W), (dx, dy) in pixels, 0->1 then 1->0.
        truth: Likewise.
        trust: (N, 2, H, W): 1 where it counts, else 0.

    Raises:
        RecipeError: The estimate has another size.
    """
    if estimate.shape[-2:] != truth.shape[-2:]:
        raise RecipeError(
            f"loss.flow_relative: the network's flow is {estimate.shape[-1]}x{estimate.shape[-2]} for pictures of "
            f"{truth.shape[-1]}x{truth.shape[-2]}; it is for flow of the pictures' size"
        )
    return _mean_share(estimate, truth, trust)


def flow_levels(shown: Sequence[Tensor], truth: Tensor, trust: Tensor) -> Tensor:
    """Sum of `flow_relative` over the coarser levels of a U-Net, see :class:`training.model.aids.TaughtUNet`.

    Args:
        shown: (N, 4, H / k, W / k) each, for a whole k, in pixels of full size.
        truth: (N, 4, H, W), pixels.
        trust: (N, 2, H, W): 1 where it counts, else 0. A pixel of a level is told the mean of what counts.

    Returns:
        The sum of the levels' mean errors, as shares.
    """
    total = truth.new_zeros(())
    for flow in shown:
        factor = truth.shape[-1] // flow.shape[-1]
        share = F.avg_pool2d(trust, factor)
        told = F.avg_pool2d(truth * trust.repeat_interleave(2, 1), factor)
        told = told / share.clamp(min=_FEW).repeat_interleave(2, 1)
        total = total + _mean_share(flow.float(), told, share * (share > _FEW))
    return total


def _mean_share(estimate: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    squares = truth.square()
    return _mean_length(estimate - truth, weight, 1 + (squares[:, 0::2] + squares[:, 1::2]).sqrt())


def _mean_length(error: Tensor, weight: Tensor, of: Tensor | float = 1.0) -> Tensor:
    """Mean length of (N, 4, h, w), both directions, divided by ``of``, by weight (N, 2, h, w); 0 where nothing
    weighs."""
    squares = error.square()
    # Smooth at 0, where the root has no gradient.
    length = (squares[:, 0::2] + squares[:, 1::2] + _AT_REST**2).sqrt() - _AT_REST
    mean: Tensor = (length / of * weight).sum() / weight.sum().clamp(min=1)
    return mean


PICTURE_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "log_mse": log_mse,
    "laplacian": laplacian,
    "census": census,
    "ssim": ssim,
    "gradient": gradient,
}
_FLOW_LOSSES = {"flow": flow, "flow_relative": flow_relative}
OF_FLOW = ("flow", "flow_relative", "flow_levels")
"""Losses that need no picture."""
NAMES = (*PICTURE_LOSSES, *OF_FLOW, "vgg")


class Loss:
    """A weighted sum of losses; see `make_loss`."""

    def __init__(self, weights: Mapping[str, float], vgg: VggLoss | None = None) -> None:
        self.weights = dict(weights)
        self._pictures = dict(PICTURE_LOSSES)
        if vgg is not None:
            self._pictures["vgg"] = vgg

    def __call__(
        self, prediction: Tensor, batch: Batch, *, flow: Tensor | None = None, shown: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a prediction.

        Args:
            prediction: The picture, (N, 3, H, W).
            batch: What it was made for.
            flow: The network's flow, (N, 4, h, w), see :func:`flow`; None if it has none.
            shown: What its levels show, see :func:`flow_levels`.

        Returns:
            The sum, to be differentiated, and the value of each loss without its weight, detached.

        Raises:
            RecipeError: ``flow`` has a weight, but there is none.
        """
        parts: dict[str, Tensor] = {}
        with torch.autocast(batch.target.device.type, enabled=False):
            for name in self.weights:
                parts[name] = self._part(name, prediction, batch, flow, shown)
        total = torch.stack([weight * parts[name] for name, weight in self.weights.items()]).sum()
        return total, {name: part.detach() for name, part in parts.items()}

    def _part(
        self, name: str, prediction: Tensor, batch: Batch, estimate: Tensor | None, shown: Sequence[Tensor]
    ) -> Tensor:
        if name == "flow_levels":
            return flow_levels(shown, batch.truth, batch.trust)
        if name in _FLOW_LOSSES:
            if estimate is None:
                raise RecipeError(f"loss.{name}: this network gives no flow; leave the weight out, or make it 0")
            return _FLOW_LOSSES[name](estimate.float(), batch.truth, batch.trust)
        return self._pictures[name](prediction.float(), batch.target)


def make_loss(weights: Mapping[str, float], *, vgg_weights: Path | None = None) -> Loss:
    """A weighted sum of losses.

    Args:
        weights: By the names in `NAMES`, from 0 on; those of 0 are not computed.
        vgg_weights: File of the weights for ``vgg``; see :class:`training.losses.vgg.VggLoss`.

    Raises:
        RecipeError: A name is unknown, a weight is negative or not finite, none is above 0, or the weights for
            ``vgg`` are not there.
    """
    for name, weight in weights.items():
        if name not in NAMES:
            raise RecipeError(f"loss.{name}: there is no loss of this name; there are {', '.join(NAMES)}")
        if not math.isfinite(weight) or weight < 0:
            raise RecipeError(f"loss.{name}: the weight is {weight}; give a number from 0 on")
    used = {name: float(weight) for name, weight in weights.items() if weight > 0}
    if not used:
        raise RecipeError(f"loss: no loss has a weight above 0; give one to at least one of {', '.join(NAMES)}")
    return Loss(used, VggLoss(vgg_weights) if "vgg" in used else None)
