"""Variational refinement of flow, as batched tensor operations.

Brox, Bruhn, Papenberg, Weickert: "High Accuracy Optical Flow Estimation Based on a Theory for Warping", ECCV 2004:
brightness and gradient stay along the motion, and motion is smooth but for jumps. One linearisation, solved by
successive over-relaxation, of the pixels of one colour of a chessboard after those of the other. Data terms are divided
by gradients; this and all numbers are as in OpenCV's DIS, found by comparison, to which flow is equal up to rounding.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from vsrrin.nets.parts.warp import backward_warp, pixel_grid

_SMOOTHNESS, _BRIGHTNESS, _GRADIENT = 20.0, 5.0, 10.0
"""Weights of the three terms: alpha, delta and gamma."""
_EPSILON = 0.01**2
"""Of the robust function sqrt(x^2 + epsilon)."""
_ZETA = 0.1**2
"""What is added to squared gradients before dividing by them."""
_SWEEPS = 5
_RELAXATION = 1.6


def refined(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """Return refined flow.

    Args:
        first: (N, H, W) float32, 0 to 255.
        second: Likewise.
        flow: (N, 2, H, W), (dx, dy) in pixels, from the first to the second.
    """
    (uu, uv, vv), rights = _data_terms(first, backward_warp(second[:, None], flow)[:, 0])
    steep = (_to_next(flow, -1).square() + _to_next(flow, -2).square()).sum(1)
    ties = _Ties(_SMOOTHNESS / (steep + _EPSILON).sqrt())
    right_u, right_v = (
        right + ties.pull(F.pad(axis, (1, 1, 1, 1))) - ties.total * axis
        for right, axis in zip(rights, flow.unbind(1), strict=True)
    )
    uu, vv = uu + ties.total, vv + ties.total
    x, y = pixel_grid(first.shape[-2], first.shape[-1], first.device)
    black = (x + y) % 2 == 0
    # With a border of zeros, which nothing is tied to.
    around_u, around_v = (F.pad(torch.zeros_like(first), (1, 1, 1, 1)) for _ in range(2))
    u, v = around_u[:, 1:-1, 1:-1], around_v[:, 1:-1, 1:-1]
    for colour in (black, ~black) * _SWEEPS:
        solved = (ties.pull(around_u) + right_u).addcmul_(v, uv, value=-1).div_(uu)
        u.copy_(torch.where(colour, torch.lerp(u, solved, _RELAXATION), u))
        solved = (ties.pull(around_v) + right_v).addcmul_(u, uv, value=-1).div_(vv)
        v.copy_(torch.where(colour, torch.lerp(v, solved, _RELAXATION), v))
    return flow + torch.stack((u, v), 1)


class _Ties:
    """Ties of pixels with the four around, (N, H, W): how much their motion should be alike.

    Args:
        tie: That with the pixels to the right and below.
    """

    def __init__(self, tie: Tensor) -> None:
        self._right, self._below = tie.clone(), tie.clone()
        self._right[..., -1], self._below[:, -1] = 0, 0
        self._left, self._above = F.pad(self._right, (1, -1)), F.pad(self._below, (0, 0, 1, -1))
        self.total = self._right + self._below + self._left + self._above

    def pull(self, around: Tensor) -> Tensor:
        """Return the sum of the four pixels around each, times the ties with them, of (N, H + 2, W + 2)."""
        total = self._right * around[:, 1:-1, 2:]
        total.addcmul_(self._below, around[:, 2:, 1:-1]).addcmul_(self._left, around[:, 1:-1, :-2])
        return total.addcmul_(self._above, around[:, :-2, 1:-1])


def _data_terms(first: Tensor, warped: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Equations for what is added to flow: the matrix (uu, uv, vv) at each pixel, and both right sides."""
    mean, change = (first + warped) / 2, warped - first
    x, y = _slope(mean, -1), _slope(mean, -2)
    xx, xy, yy = _slope(x, -1), _slope(x, -2), _slope(y, -2)
    change_x, change_y = _slope(change, -1), _slope(change, -2)
    steep = x.square() + y.square() + _ZETA
    steep_x, steep_y = xx.square() + xy.square() + _ZETA, yy.square() + xy.square() + _ZETA
    bright = _BRIGHTNESS / (change.square() / steep + _EPSILON).sqrt() / steep
    gradient = _GRADIENT / (change_x.square() / steep_x + change_y.square() / steep_y + _EPSILON).sqrt()
    of_x, of_y = gradient / steep_x, gradient / steep_y
    uu = bright * x * x + of_x * xx * xx + of_y * xy * xy + _ZETA
    uv = bright * x * y + of_x * xx * xy + of_y * xy * yy
    vv = bright * y * y + of_x * xy * xy + of_y * yy * yy + _ZETA
    right_u = bright * change * x + of_x * xx * change_x + of_y * xy * change_y
    right_v = bright * change * y + of_x * xy * change_x + of_y * yy * change_y
    return (uu, uv, vv), (-right_u, -right_v)


def _slope(x: Tensor, dim: int) -> Tensor:
    """Difference of the pixels on both sides, not halved; the border is repeated."""
    pad = (1, 1, 0, 0) if dim == -1 else (0, 0, 1, 1)
    around = F.pad(x[:, None], pad, mode="replicate")[:, 0]
    length = x.shape[dim]
    return around.narrow(dim, 2, length) - around.narrow(dim, 0, length)


def _to_next(x: Tensor, dim: int) -> Tensor:
    """Difference to the next pixel, 0 for the last one."""
    difference = x.diff(dim=dim)
    return F.pad(difference, (0, 1) if dim == -1 else (0, 0, 0, 1))
