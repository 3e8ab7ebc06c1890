"""What moving images are made of: pictures that are laid over a canvas one after the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .kinds import Form

Dispose = Literal["keep", "clear", "previous"]

type Picture = NDArray[Any]
"""(H, W, 4) uint8, red, green, blue and alpha, which is straight."""

UNTIMED = Fraction(1, 10)
"""Seconds that a frame without a time is shown, as browsers show it."""


class DamagedError(ValueError):
    """Moving image that is not as it must be; the message is a part of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One frame as it is stored.

    Attributes:
        left: Place on the canvas.
        top: As above.
        width: Size; it may reach beyond the canvas.
        height: As above.
        duration: Seconds that the canvas is shown with it.
        dispose: What becomes of its place afterwards: it is kept, cleared, or becomes what it was before.
        blend: Whether it is laid over what is there; else it replaces that.
        opaque: Whether it is known to have no transparent pixel.
        picture: Decodes it.
    """

    left: int
    top: int
    width: int
    height: int
    duration: Fraction
    dispose: Dispose
    blend: bool
    opaque: bool
    picture: Callable[[], Picture]


@dataclass(frozen=True, kw_only=True)
class Animation:
    """A moving image.

    Attributes:
        form: The kind of file.
        width: Pixels of the canvas.
        height: As above.
        parts: Its frames.
        plays: Times that it is played; 0 for ever.
        notes: Messages for the user.
    """

    form: Form
    width: int
    height: int
    parts: tuple[Part, ...]
    plays: int
    notes: tuple[str, ...] = field(default=())


class Reader:
    """Bytes of a file, read from the front.

    Args:
        data: The bytes.
        at: Where to begin.
    """

    def __init__(self, data: memoryview, at: int = 0) -> None:
        self.data, self.at = data, at

    def take(self, count: int) -> memoryview:
        """Return the next bytes.

        Raises:
            DamagedError: The file ends before.
        """
        if self.at + count > len(self.data):
            raise DamagedError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int, order: Literal["little", "big"]) -> int:
        """Return the next bytes as a number."""
        return int.from_bytes(self.take(count), order)


def decode(data: bytes) -> Picture:
    """Decode a PNG or WebP of its own; samples of 16 bits are rounded to 8.

    Raises:
        DamagedError: It cannot be decoded.
    """
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DamagedError(f"it cannot be decoded: {error}") from error
    if stored is None:
        raise DamagedError("it cannot be decoded")
    if stored.dtype == np.uint16:
        stored = ((stored.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if stored.ndim == 2:
        return cv2.cvtColor(stored, cv2.COLOR_GRAY2RGBA)
    return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA if stored.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
