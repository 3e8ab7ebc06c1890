"""Runner of conversions, which keeps finished work and names a target only when it is whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from .prepare import Settings
from .work_folder import WorkFolder


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a conversion.

    Attributes:
        frames_done: Output frames encoded, those of earlier runs included.
        frames_total: All output frames.
        resumed_frames: Output frames that earlier runs have encoded.
        cuts: Output frames with which a new scene begins, as far as known.
        workers: Frames per second of each worker, by its name; empty where this process does the work.
    """

    frames_done: int
    frames_total: int
    resumed_frames: int
    cuts: tuple[int, ...] = ()
    workers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of a conversion.

    Attributes:
        target: The file or folder that was written.
        frames: Its video frames or images.
        duration: Of its video, seconds.
        cuts: Output frames with which a new scene begins.
        resumed_frames: Output frames that earlier runs had encoded.
        notes: Messages for the user; those of what is lost come last.
    """

    target: Path
    frames: int
    duration: Fraction
    cuts: tuple[int, ...]
    resumed_frames: int
    notes: tuple[str, ...]


class Conversion(Protocol):
    """Prepared conversion to one kind of target."""

    settings: Settings
    unit: str
    """Name of the units counted, such as "frames"."""

    @property
    def frames(self) -> int:
        """Number of output frames."""
        ...

    @property
    def duration(self) -> Fraction:
        """Length of the output in seconds."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user."""
        ...

    @property
    def signature(self) -> Mapping[str, object]:
        """Values that output frames depend on, as JSON can hold them."""
        ...

    def finished(self, work: WorkFolder) -> int:
        """Return the number of output frames in the work folder."""
        ...

    def make(self, work: WorkFolder, report: Callable[[Progress], None]) -> tuple[int, ...]:
        """Make the output frames that are missing, and return those with which a new scene begins."""
        ...

    def publish(self, work: WorkFolder) -> None:
        """Verify the output and give it the target's name."""
        ...


def run(
    conversion: Conversion,
    *,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Run a conversion.

    The target exists only once all of it has been written and verified. Work finished by an interrupted run stays in a
    hidden folder beside the target, for ``settings.resume``.

    Args:
        conversion: The conversion.
        progress: Called after each frame, from the calling thread.
        say: Called with messages for the user.

    Raises:
        VsrrinError: A frame cannot be made, or the output cannot be written or fails verification.
        KeyboardInterrupt: The run was interrupted.
    """
    settings, total, unit = conversion.settings, conversion.frames, conversion.unit
    say, progress = say or _nothing, progress or _nothing
    said = conversion.notes
    for note in said:
        say(note)
    with WorkFolder(
        settings.target, conversion.signature, resume=settings.resume, overwrite=settings.overwrite
    ) as work:
        try:
            resumed = conversion.finished(work)
            if resumed:
                say(f"{resumed} of {total} {unit} were finished before")
            cuts = conversion.make(work, progress)
            conversion.publish(work)
            for note in conversion.notes[len(said) :]:
                say(note)
        except BaseException as error:
            if done := conversion.finished(work):
                say(f"{done} of {total} {unit} are finished and kept in {work.path}: resume=True continues from there")
            elif isinstance(error, KeyboardInterrupt):
                say(f"nothing is kept, as no part of the {unit} was finished: begin again")
            raise
    return Result(
        target=settings.target,
        frames=total,
        duration=conversion.duration,
        cuts=cuts,
        resumed_frames=resumed,
        notes=conversion.notes,
    )


def _nothing(_: object) -> None:
    pass
