"""Frames of moving images as they are shown, in any order.

A frame is laid over what those before it have left. So that any of them is reached soon, what is left is kept at steps
over the whole file, as many as memory is meant for.
"""

from collections import OrderedDict
from threading import Lock

import numpy as np

from .parts import Animation, DamagedError, Part, Picture

_KEPT_BYTES = 256 << 20
_RECENT = 4
"""Frames kept beside: neighbours are asked for together."""


class Canvas:
    """Frames of a moving image; may be used from many threads.

    Args:
        animation: The moving image.
    """

    def __init__(self, animation: Animation) -> None:
        self._parts = animation.parts
        self._blank = np.zeros((animation.height, animation.width, 4), np.uint8)
        self._step = -(-len(self._parts) // max(_KEPT_BYTES // self._blank.nbytes, 1))
        self._under: dict[int, Picture] = {0: self._blank}
        """What some frames are laid over."""
        self._next = 0, self._blank
        self._recent: OrderedDict[int, Picture] = OrderedDict()
        self._lock = Lock()

    def frame(self, number: int) -> Picture:
        """Return a frame, (H, W, 4) uint8; not to be written to.

        Raises:
            DamagedError: A frame that it is made of cannot be decoded.
        """
        with self._lock:
            if number not in self._recent:
                self._make(number)
            return self._recent[number]

    def is_opaque(self) -> bool:
        """Return whether no frame has a transparent pixel; they are decoded where nothing else tells.

        Raises:
            DamagedError: A frame cannot be decoded.
        """
        first, *others = self._parts
        # What is laid over opaque pixels leaves them opaque.
        covered = self._is_whole(first) and first.opaque and first.dispose == "keep"
        if covered and all((part.blend or part.opaque) and part.dispose != "clear" for part in others):
            return True
        return all(bool((self.frame(number)[..., 3] == 255).all()) for number in range(len(self._parts)))

    def _make(self, number: int) -> None:
        known = {**self._under, self._next[0]: self._next[1]}
        begin = max(start for start in known if start <= number)
        under = known[begin]
        if (alone := next((n for n in range(number, begin, -1) if self._is_alone(n)), None)) is not None:
            begin, under = alone, self._blank
        for n in range(begin, number + 1):
            if n % self._step == 0:
                self._under[n] = under
            shown, under = _laid(n, self._parts[n], under)
            self._recent[n] = shown
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        self._next = number + 1, under

    def _is_whole(self, part: Part) -> bool:
        height, width, _ = self._blank.shape
        return part.left == part.top == 0 and part.width >= width and part.height >= height

    def _is_alone(self, number: int) -> bool:
        """Return whether nothing before a frame can be seen in it or after it."""
        part = self._parts[number]
        return self._is_whole(part) and (part.opaque or not part.blend) and part.dispose != "previous"


def _laid(number: int, part: Part, under: Picture) -> tuple[Picture, Picture]:
    """Return a frame, and what it leaves for the next."""
    shown = under.copy()
    place = slice(part.top, part.top + part.height), slice(part.left, part.left + part.width)
    here = shown[place]
    try:
        picture = part.picture()
    except DamagedError as error:
        raise DamagedError(f"frame {number}: {error}") from error
    if picture.shape[:2] != (part.height, part.width):
        raise DamagedError(f"frame {number} has another size than it says")
    picture = picture[: here.shape[0], : here.shape[1]]
    here[:] = _over(picture, here) if part.blend else picture
    if part.dispose == "previous":
        return shown, under
    if part.dispose == "clear":
        left = shown.copy()
        left[place] = 0
        return shown, left
    return shown, shown


def _over(picture: Picture, under: Picture) -> Picture:
    """Lay a picture over another."""
    alpha = picture[..., 3:]
    result: Picture = np.where(alpha > 0, picture, under)
    mixed = (alpha[..., 0] > 0) & (alpha[..., 0] < 255) & (under[..., 3] > 0)
    if mixed.any():
        above, below = (each[mixed].astype(np.float64) for each in (picture, under))
        share = above[:, 3:] / 255
        whole = above[:, 3:] + below[:, 3:] * (1 - share)
        colours = (above[:, :3] * above[:, 3:] + below[:, :3] * below[:, 3:] * (1 - share)) / whole
        result[mixed] = np.rint(np.concatenate([colours, whole], -1))
    return result
