"""Padding of pictures to a network's size multiple."""

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Padder:
    """Padding of pictures by edge replication, right and bottom, up to a multiple; and its inverse.

    Attributes:
        height: Height of the pictures, pixels.
        width: Width of the pictures, pixels.
        multiple: Both padded sides are multiples of this.
        minimum: Both padded sides are at least this.
    """

    height: int
    width: int
    multiple: int
    minimum: int = 1

    @property
    def padded(self) -> tuple[int, int]:
        """(height, width) after padding."""
        return (self._round_up(self.height), self._round_up(self.width))

    def pad(self, x: Tensor) -> Tensor:
        """Pad (N, C, height, width) to (N, C, *padded); return the very same tensor if nothing is missing."""
        height, width = self.padded
        if (height, width) == (self.height, self.width):
            return x
        return F.pad(x, (0, width - self.width, 0, height - self.height), mode="replicate")

    def fill_border(self, x: Tensor) -> None:
        """Fill the border of (N, C, *padded) in place with what `pad` adds, without a copy."""
        x[..., : self.height, self.width :] = x[..., : self.height, self.width - 1 : self.width]
        x[..., self.height :, :] = x[..., self.height - 1 : self.height, :]

    def crop(self, x: Tensor) -> Tensor:
        """Return the picture (N, C, height, width) in (N, C, *padded), a view."""
        return x[..., : self.height, : self.width]

    def _round_up(self, side: int) -> int:
        return -(-max(side, self.minimum) // self.multiple) * self.multiple
