"""Frame properties of source and output frames.

New frames inherit the properties that describe the picture (matrix, range, chroma location, HDR data, ...) from their
left source frame, without those that only hold for that one frame. Every output frame says where it comes from:

======================  =============================================================================
``_VSRRIN_Kind``        "source" (that very source frame), "new" (interpolated), "held" (a source frame shown
                        again: at a cut, between two equal frames, after the last one, or as the fallback of
                        a new one), "blend" (two frames mixed, at a cut or as the fallback) or "blur" (the
                        mean of many); a frame that is only partly replaced by the fallback is "new"
``_VSRRIN_Left``        number of the left source frame
``_VSRRIN_Right``       number of the right source frame
``_VSRRIN_TNum``,       time step t as a fraction; 0/1 for source frames
``_VSRRIN_TDen``
``_VSRRIN_Damage``      of :func:`vsrrin.repair` without a list only: "black", "flash", "green", "torn",
                        "frozen", or "none"
``_VSRRIN_Repeat``      with ``duplicates="spread"`` only: 1 where the source frame of this moment repeats
                        the one before it and motion is spread over it, else 0
``_VSRRIN_Confidence``  with a ``fallback``, and in :func:`vsrrin.motion` of "confidence": the expected share
                        of the new frame, before the fallback, that is right, as explained in
                        :mod:`vsrrin.flow.confidence`; 1 for frames that are not new
======================  =============================================================================
"""

from collections.abc import Mapping, MutableMapping
from fractions import Fraction
from typing import Any, Literal

from .timing import FrameTime

Kind = Literal["source", "new", "held", "blend"]

# True of one decoded picture only: a new frame has no coded picture type and was not in the file at any time.
OF_ONE_FRAME = ("_PictType", "_AbsoluteTime", "_VSRRIN_Damage")

_INT64 = 2**63 - 1


def frame_duration(props: Mapping[str, Any]) -> Fraction | None:
    """Return the duration of a frame in seconds, or ``None`` if its properties hold none."""
    num, den = props.get("_DurationNum"), props.get("_DurationDen")
    if not isinstance(num, int) or not isinstance(den, int) or num <= 0 or den <= 0:
        return None
    return Fraction(num, den)


def marked_cut(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool | None:
    """Return whether the marks of a scene detector say that a new scene begins with ``right``.

    Some detectors mark the last frame of a scene, some the first of the next, some both: either of the two counts.
    ``None`` means that neither frame carries a mark, so that no detector has been run.
    """
    marks = [props[key] for props, key in ((left, "_SceneChangeNext"), (right, "_SceneChangePrev")) if key in props]
    return any(marks) if marks else None


def write(
    props: MutableMapping[str, Any],
    time: FrameTime,
    kind: Kind,
    *,
    duration: Fraction | None,
    begins_scene: bool | None,
    ends_scene: bool | None,
    repeat: bool | None = None,
    confidence: float | None = None,
) -> None:
    """Turn the properties of a source frame, in place, into those of an output frame made of it.

    Args:
        props: Properties of the source frame; changed in place.
        time: The moment of the output frame.
        kind: Origin of the picture.
        duration: Seconds that it is shown; ``None`` removes the property.
        begins_scene: Whether it is the first output frame of a scene; ``None`` if cuts are not known.
        ends_scene: Whether it is the last output frame of a scene; ``None`` if cuts are not known.
        repeat: Whether motion is spread over the source frame of its moment; ``None`` if nobody looked.
        confidence: How far the new frame can be trusted; ``None`` if nobody looked.
    """
    if kind != "source":
        for key in OF_ONE_FRAME:
            props.pop(key, None)
    for key in ("_DurationNum", "_DurationDen"):
        props.pop(key, None)
    if duration is not None:
        duration = _representable(duration)
        props["_DurationNum"], props["_DurationDen"] = duration.numerator, duration.denominator
    for key, flag in (("_SceneChangePrev", begins_scene), ("_SceneChangeNext", ends_scene)):
        if flag is None:
            props.pop(key, None)
        else:
            props[key] = int(flag)
    t = _representable(time.t)
    props["_VSRRIN_Kind"] = kind
    props["_VSRRIN_Left"], props["_VSRRIN_Right"] = time.numbers
    props["_VSRRIN_TNum"], props["_VSRRIN_TDen"] = t.numerator, t.denominator
    for key, found in (("_VSRRIN_Repeat", repeat), ("_VSRRIN_Confidence", confidence)):
        props.pop(key, None)
        if found is not None:
            props[key] = int(found) if key == "_VSRRIN_Repeat" else found


def _representable(value: Fraction) -> Fraction:
    """Return a value that fits VapourSynth's 64-bit properties: itself, or a fraction near it that is not 0."""
    if value.numerator <= _INT64 and value.denominator <= _INT64:
        return value
    near = min(value, Fraction(2**31)).limit_denominator(2**31)
    return near or (Fraction(1, 2**31) if value else near)
