"""What a graph can show in place of pictures."""

from fractions import Fraction
from typing import Protocol

import vapoursynth as vs

from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pairs import Pair


class View(Protocol):
    """What is shown in place of pictures."""

    judges: bool
    """Whether frames carry confidence."""

    def blank(self, clip: vs.VideoNode) -> vs.VideoNode:
        """Return a clip of the format and size of what is shown of a clip."""
        ...

    def engines(self, options: Options) -> list[Interpolator] | None:
        """Return engines of its own, ``None`` for those of the filter."""
        ...

    def new(
        self, engine: Interpolator, pair: Pair, left: vs.VideoFrame, t: Fraction
    ) -> tuple[vs.VideoFrame, float | None]:
        """Return what is shown in place of a new frame, and confidence if frames carry it."""
        ...

    def other(self, shown: vs.VideoFrame) -> vs.VideoFrame:
        """Return what is shown in place of a frame that is not new."""
        ...
