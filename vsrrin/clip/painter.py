"""Pictures of moments between source frames: a source frame, a new one, or what is shown at a cut."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock

import vapoursynth as vs
from torch import Tensor

from vsrrin.engine.cache import BoundedCache
from vsrrin.engine.cores import threads
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pairs import SourceFrame
from vsrrin.engine.trust import confidence_of

from . import fallback, frames, props
from .clip_checks import say
from .frames import Colour
from .overlay_search import Sketch
from .overlays import Overlays, overlays_of, sketch_of
from .stills import keep_still
from .timing import FrameTime
from .view import View

_OVERLAY_BYTES = 2**26
_SKETCH_BYTES = 2**25


@dataclass(kw_only=True)
class Painter:
    """Maker of the pictures of moments from the source frames around them; called from many threads."""

    engines: Sequence[Interpolator]
    """One for each device; they take turns. None for a proxy."""
    options: Options
    view: View | None = None
    _overlays: BoundedCache[Overlays] = field(
        default_factory=lambda: BoundedCache(_OVERLAY_BYTES, lambda overlays: overlays.bytes)
    )
    """Those of the pairs that are at work."""
    _sketches: BoundedCache[Sketch] = field(default_factory=lambda: BoundedCache(_SKETCH_BYTES, lambda it: it.bytes))
    """Those of their frames."""
    _warned: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    @property
    def acts_at_cuts(self) -> bool:
        """True where a cut decides what is shown."""
        return self.options.scene != "off"

    @property
    def judges(self) -> bool:
        """True where frames carry confidence; those of a proxy do not."""
        return self.view.judges if self.view else self.options.fallback != "none" and bool(self.engines)

    def picture(
        self, left: vs.VideoFrame, right: vs.VideoFrame, time: FrameTime, cuts: Mapping[int, bool | None]
    ) -> tuple[vs.VideoFrame, props.Kind, float | None]:
        """Return the picture of a moment, with the properties of its left frame, where it comes from, and confidence.

        Confidence is ``None`` where nobody asked for it.
        """
        kind: props.Kind = "held"
        shown = left
        if time.is_source:
            kind = "source"
        elif not time.is_pair:
            pass
        elif self.acts_at_cuts and any(cuts.get(k) for k in range(time.left, time.right)):
            if self.options.at_cut == "blend":
                shown, kind = frames.blend(left, right, float(time.t), vs.core.core), "blend"
            elif self.shows_right(time):
                shown = right
        elif not frames.equal(left, right):
            with threads(self._engine_of(time.left).threads) if self.engines else nullcontext():
                return self._interpolate(left, right, time)
        return self.view.other(shown) if self.view else shown.copy(), kind, 1.0 if self.judges else None

    def _interpolate(
        self, left: vs.VideoFrame, right: vs.VideoFrame, time: FrameTime
    ) -> tuple[vs.VideoFrame, props.Kind, float | None]:
        if not self.engines:
            return frames.blend(left, right, round(float(time.t)), vs.core.core), "new", None
        engine = self._engine_of(time.left)

        key, colour = (time.left, time.right), Colour.of_frame(left)
        searches = self.options.overlays == "guard"
        overlays = self._overlays.get(key, lambda: self._found(key, left, right)) if searches else Overlays()

        def ready(side: int, frame: vs.VideoFrame) -> SourceFrame:
            def fill(out: Tensor) -> None:
                frames.to_tensor(frame, Colour.of_frame(frame), out)
                overlays.take_out(out, side)

            # What is taken out depends on the pair.
            name = (*key, side) if overlays.regions else key[side]
            return engine.source_frame(name, (frame.height, frame.width), fill)

        pair = engine.pair(key, lambda: (ready(0, left), ready(1, right)))
        if self.view:
            picture, confidence = self.view.new(engine, pair, left, time.t)
            return picture, "new", confidence
        (image,) = engine.synthesize(pair, [time.t])
        trust = confidence_of(pair, engine.spec, image, float(time.t)) if self.judges else None
        overlays.put_back(image, time.t)
        new = frames.from_tensor(image, left, colour, vs.core.core)
        if self.options.overlays != "off":
            keep_still(new, left, right, colour)
        if trust is None:
            return new, "new", None
        return *fallback.applied(new, trust, (left, right), time.t, self.options), float(trust.mean())

    def _found(self, key: tuple[int, int], left: vs.VideoFrame, right: vs.VideoFrame) -> Overlays:
        before = self._sketches.get(key[0], lambda: sketch_of(left))
        return overlays_of(left, right, (before, self._sketches.get(key[1], lambda: sketch_of(right))))

    def _engine_of(self, left: int) -> Interpolator:
        """Return the engine of a pair, chosen by its number alone: it has its device whatever was asked for before.

        Where every second frame repeats the one before, only every second pair is work; so the order of the devices
        shifts by one after every round.
        """
        count = len(self.engines)
        return self.engines[(left + left // count) % count]

    def shows_right(self, time: FrameTime) -> bool:
        """Return whether the right frame is shown where a cut lies between."""
        return self.options.at_cut == "nearest" and 2 * time.t >= 1

    def check_progressive(self, number: int, frame: vs.VideoFrame) -> None:
        """Warn once of a source frame that is interlaced."""
        if frames.int_prop(frame.props, "_FieldBased", 0):
            self.warn_once("interlaced", f"source frame {number} is interlaced (_FieldBased): deinterlace first")

    def warn_once(self, subject: str, message: str) -> None:
        """Log a warning unless there was one on this subject."""
        with self._lock:
            if subject in self._warned:
                return
            self._warned.add(subject)
        say(message, warning=True)
