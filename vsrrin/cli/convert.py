"""``vsrrin convert``: arguments, messages and exit status."""

import argparse
import logging
import os
import platform
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from vsrrin import __version__
from vsrrin.clip.timing import parse_ratio
from vsrrin.convert import moments, several
from vsrrin.convert.targets import MOVING_IMAGES, VIDEOS, is_folder
from vsrrin.errors import ArgumentError, ConvertError, VsrrinError

from . import arguments, cluster, outline, rates
from . import progress as cli_progress

# Loading torch takes seconds, so the work is imported by the functions that do it: help and Ctrl-C stay quick.
if TYPE_CHECKING:
    from vsrrin.convert.cluster.crew import Crew
    from vsrrin.convert.image_folder import FolderConversion
    from vsrrin.convert.prepare import Settings
    from vsrrin.convert.run import Progress, Result
    from vsrrin.convert.video import VideoConversion

_PACKAGES = ("vapoursynth", "vapoursynth-bestsource", "torch", "av", "opencv-python-headless")

_OF_FILTER = "interlaced (_FieldBased): deinterlace first"
_OF_COMMAND = (
    "interlaced by its flag, and the first is not: with --deinterlace frame or field all frames are deinterlaced, with "
    "--progressive none is"
)
"""A warning of the filter, and what the command says instead."""

_DESCRIPTION = """\
Add frames between the frames of a video, of a moving image (GIF, APNG, WebP) or of a folder of images. Sound,
subtitles, chapters, attachments, metadata and rotation are kept; what the output's format cannot hold is converted,
left out or refused, with a message. It is verified at the end, and gets its name only then.

  vsrrin convert in.mkv out.mkv --fps 2x                 twice the frame rate
  vsrrin convert in.mp4 out.webm --fps 60 --model rrin.pth
  vsrrin convert frames/ out_frames/ --sf 3              three new images between two
  vsrrin convert in.gif out.gif --loop                   a loop, from its last frame to the first, too
  vsrrin convert in.mp4 slow.mp4 --sf 3 --fps 24 --audio stretch   slow motion
  vsrrin convert *.mkv --out-dir smooth/                 several files, one after the other

frame rate:
  --fps 2x           twice the rate of the source (also 5/2x); the default
  --fps 60           60 frames per second, whatever the source has; 60000/1001 for what is called 59.94
  --sf 3             3 new frames between two: four times the rate
  --speed 1/2        half as fast, at the rate of the source or at --fps; keyframes make a ramp, --speed 0=1,2.5=1/4,4=1
  --sf 3 --fps 24    3 new frames between two, all shown at 24 per second: slow motion, 4 times slower if the source has
                     24. Sound would be out of step, so say --audio drop, or --audio stretch (slower, at the same
                     pitch). Where 24 is the rate that --sf gives anyway, nothing is slower.

Ctrl-C, a full disk or a power cut lose little: the same command with --resume continues. Exit status: 0 all is written
and verified; 1 it could not be done; 2 wrong usage; 130 interrupted by Ctrl-C; 143 terminated."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``convert`` to a parser."""
    parser = commands.add_parser(
        "convert",
        usage="vsrrin convert IN OUT [options]\n       vsrrin convert IN [IN ...] --out-dir DIR [options]",
        help="add frames to video files, or to folders of images",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        metavar="IN",
        nargs="+",
        help="a video, a GIF, APNG or animated WebP, or a folder of PNG, JPEG, WebP or TIFF; then OUT: a video "
        f"({', '.join(VIDEOS)}), a moving image ({', '.join(MOVING_IMAGES)}), or a folder of PNGs (a name without "
        "extension)",
    )
    parser.add_argument(
        "--out-dir",
        metavar="DIR",
        type=Path,
        help="folder for the outputs of all IN; a folder of videos stands for them",
    )
    _add_frames(parser)
    _add_output(parser)
    _add_running(parser)
    cluster.add(parser)
    parser.set_defaults(run=_run)


def _add_frames(parser: argparse.ArgumentParser) -> None:
    frames = parser.add_argument_group("frames")
    frames.add_argument("--fps", metavar="2x|RATE", help="see above (default: 2x, unless there is --sf)")
    frames.add_argument("--sf", metavar="N", type=int, help="new frames between two; see above")
    frames.add_argument(
        "--speed", metavar="S|KEYS", help="1/2 is half as fast; or keyframes, seconds=speed: 0=1,2.5=1/4,4=1"
    )
    frames.add_argument(
        "--ease", choices=("none", "linear", "smooth"), default="none", help="how the speed changes between keyframes"
    )
    frames.add_argument("--loop", action="store_true", help="move from the last frame to the first, without a jump")
    arguments.add_part(frames)
    frames.add_argument("--input-fps", metavar="RATE", help="rate of a folder of images (default: 24)")
    arguments.add_interlacing(frames)
    arguments.add_options(frames)
    frames.add_argument(
        "--repair", metavar="LIST|auto", help="replace damaged frames: a file as vsrrin damage prints it, or auto"
    )
    frames.add_argument("--chop_forward", action="store_true", help="tiles if memory demands it, which is the default")


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--codec", metavar="C", help="libx264, libx265, libsvtav1, libvpx-vp9, ffv1 ... (default: usual)"
    )
    output.add_argument("--crf", metavar="N", type=float, help="quality, less is better; what it means is the codec's")
    output.add_argument("--preset", metavar="P", help="the codec's speed, such as medium or 6")
    output.add_argument("--pix-fmt", metavar="F", help="such as yuv420p10le (default: as the source)")
    sound = output.add_mutually_exclusive_group()
    sound.add_argument("--audio", default="keep", choices=("keep", "drop", "stretch"), help="(default: keep)")
    sound.add_argument("--no-audio", action="store_const", const="drop", dest="audio", help="the same as --audio drop")
    output.add_argument("--no-subtitles", action="store_false", dest="subtitles", help="leave subtitles out")
    output.add_argument("--overwrite", action="store_true", help="replace OUT, and forget unfinished work on it")


def _add_running(parser: argparse.ArgumentParser) -> None:
    running = parser.add_argument_group("running")
    running.add_argument("--resume", action="store_true", help="continue a run that was interrupted")
    running.add_argument("--dry-run", action="store_true", help="print what would be done, and write nothing")
    running.add_argument("--log", metavar="FILE", type=Path, help="write all messages with times, settings, cuts")
    running.add_argument("--quiet", action="store_true", help="print nothing but errors")


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C."""


class _Stop:
    """Handler of Ctrl-C and SIGTERM."""

    def __init__(self) -> None:
        self._asked: KeyboardInterrupt | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._asked = _TerminatedError() if number == signal.SIGTERM else KeyboardInterrupt()
        raise self._asked

    def check(self) -> None:
        """Raise the interruption again: where VapourSynth calls Python from C, exceptions are printed and lost."""
        if self._asked is not None:
            raise self._asked


def _run(options: argparse.Namespace) -> int:
    jobs = _jobs(options.paths, options.out_dir)
    speed = rates.settings(options.fps, options.sf, rates.pacing(options.speed))
    start, end = arguments.part(options)
    input_fps = parse_ratio(options.input_fps or "24", "--input-fps")
    for source, _ in jobs:
        if options.input_fps and source.exists() and not source.is_dir():
            raise ArgumentError(f"--input-fps is for folders of images; {source} has a rate of its own")
    if options.chop_forward and hasattr(options, "tile"):
        raise ArgumentError("--chop_forward leaves tiles to memory and --tile sets them: give one of them")
    _check_log(options.log, jobs)
    with _stoppable() as stop, ExitStack() as stack:
        log = cli_progress.Log(options.log) if options.log and not options.dry_run else None
        reporter = stack.enter_context(cli_progress.Reporter(log, quiet=options.quiet))
        work = _Work(options, reporter, stop, input_fps, target=jobs[0][1])
        try:
            from vsrrin.checkpoint import inspection
            from vsrrin.convert.prepare import Settings

            model = inspection.locate(getattr(options, "model", str(Settings.model)))
            stack.enter_context(_vapoursynth_log(reporter))
            work.common = {"start": start, "end": end, "model": model, **speed}
            work.crew = stack.enter_context(cluster.crew(options, reporter.say))
            if options.out_dir is None:
                work.convert(*jobs[0])
                return 0
            if not options.out_dir.exists():
                options.out_dir.mkdir()
                if options.dry_run:
                    stack.callback(options.out_dir.rmdir)
            return work.convert_all(jobs)
        except KeyboardInterrupt as error:
            terminated = isinstance(error, _TerminatedError)
            reporter.say(f"{'terminated' if terminated else 'interrupted'}: {work.target} is not written")
            return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


@dataclass
class _Work:
    """Conversions of one run, and the target of the one at hand."""

    options: argparse.Namespace
    reporter: cli_progress.Reporter
    stop: _Stop
    input_fps: Fraction
    target: str
    common: dict[str, object] = field(default_factory=dict)
    """Settings of all of them."""
    crew: "Crew | None" = None
    """Workers, if they are to be made by others than this process."""

    def convert(self, source: Path, target: str) -> None:
        """Convert, or print what would be done."""
        from vsrrin.convert import convert_file
        from vsrrin.convert.prepare import Settings
        from vsrrin.convert.video import VideoConversion

        self.target, folder = target, is_folder(target, "OUT")
        settings = arguments.make(Settings, self.options, source=source, target=Path(target), **self.common)
        _log_start(self.reporter, settings)
        conversion = convert_file.prepared(settings, folder=folder, image_rate=self.input_fps)
        if cluster.wanted(self.options):
            if not isinstance(conversion, VideoConversion):
                raise ArgumentError(f"--workers and --cluster are for videos, and {target} is none: leave them out")
            if self.crew is not None:
                self.crew.take(conversion, self.input_fps)
        if self.options.dry_run:
            _dry_run(conversion)
        else:
            _convert(conversion, self.reporter, self.stop, folder=folder)

    def convert_all(self, jobs: Sequence[tuple[Path, str]]) -> int:
        """Convert all, whatever fails, and return the exit status."""
        failed: list[str] = []
        there = 0
        for source, target in jobs:
            if self.options.resume and os.path.lexists(target):
                there += 1
                self.reporter.say(f"{target} is there already")
                continue
            self.reporter.restart()
            self.reporter.say(f"{source} to {target}")
            try:
                self.convert(source, target)
            except BrokenPipeError:  # nobody reads what a dry run prints
                raise
            except (VsrrinError, OSError) as error:
                self.reporter.complain(str(error) if str(source) in str(error) else f"{source}: {error}")
                failed.append(str(source))
        said = f"{len(jobs) - there - len(failed)} of {len(jobs)} done"
        said += f", {there} were there already" if there else ""
        if failed:
            self.reporter.complain(f"{said}, {len(failed)} failed: {', '.join(failed)}")
            return 1
        self.reporter.say(said)
        return 0


def _jobs(paths: Sequence[str], folder: Path | None) -> list[tuple[Path, str]]:
    """Return each source with its target."""
    if folder is None:
        if len(paths) != 2:
            raise ArgumentError(
                f"IN and OUT are needed, two names, and {len(paths)} {'is' if len(paths) == 1 else 'are'} given; with "
                "--out-dir DIR all names are IN"
            )
        is_folder(paths[1], "OUT")
        return [(Path(paths[0]), paths[1])]
    jobs = several.targets([Path(path) for path in paths], folder)
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"--out-dir must be a folder, not the file {folder}")
    return jobs


def _dry_run(conversion: "VideoConversion | FolderConversion") -> None:
    from vsrrin.convert.video import VideoConversion

    lines = outline.of_video(conversion) if isinstance(conversion, VideoConversion) else outline.of_folder(conversion)
    for label, text in lines:
        print(f"{label:<11}{arguments.in_flags(text)}")


def _convert(
    conversion: "VideoConversion | FolderConversion", reporter: cli_progress.Reporter, stop: _Stop, *, folder: bool
) -> None:
    from vsrrin.convert.run import run

    known: set[int] = set()

    def progress(state: "Progress") -> None:
        stop.check()
        for cut in sorted(set(state.cuts) - known):
            reporter.note(f"cut: a new scene begins with output frame {cut}")
        known.update(state.cuts)
        done, total, resumed = state.frames_done, state.frames_total, state.resumed_frames
        reporter.progress(done, total, cuts=len(state.cuts), resumed=resumed, workers=state.workers)

    result = run(conversion, progress=progress, say=reporter.say)
    reporter.note(f"cuts: {', '.join(map(str, result.cuts)) or 'none'}")
    reporter.say(f"verified: {_done(result, folder=folder)}")


def _done(result: "Result", *, folder: bool) -> str:
    cuts = f"{len(result.cuts)} cut{'' if len(result.cuts) == 1 else 's'}"
    if folder:
        return f"{result.target} has {result.frames} images, {cuts}"
    return f"{result.target} has {result.frames} frames, {moments.written(result.duration)}, {cuts}"


def _check_log(log: Path | None, jobs: Sequence[tuple[Path, str]]) -> None:
    if log is None:
        return
    if any(log.absolute() in (source.absolute(), Path(target).absolute()) for source, target in jobs):
        raise ArgumentError(f"--log {log} is the input or the output: give another name")
    if not log.parent.is_dir():
        raise ConvertError(f"--log {log}: the folder {log.parent} does not exist: make it first")


def _log_start(reporter: cli_progress.Reporter, settings: "Settings") -> None:
    reporter.note(f"command: {shlex.join(sys.argv)}")
    reporter.note(f"versions: vsrrin {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            reporter.note(f"version: {package} {metadata.version(package)}")
    for setting in fields(settings):
        reporter.note(f"setting: {setting.name} = {getattr(settings, setting.name)}")


@contextmanager
def _vapoursynth_log(reporter: cli_progress.Reporter) -> Iterator[None]:
    """Lead VapourSynth's messages into the log, and warnings to the user too."""
    import vapoursynth as vs

    def listen(kind: int, text: str) -> None:
        if kind >= vs.MESSAGE_TYPE_WARNING:
            reporter.say(text.removeprefix("vsrrin: ").replace(_OF_FILTER, _OF_COMMAND))
        else:
            reporter.note(f"VapourSynth: {text}")

    handle = vs.core.core.add_log_handler(listen)
    logging.getLogger("vapoursynth").disabled = True  # it would print warnings once more
    try:
        yield
    finally:
        logging.getLogger("vapoursynth").disabled = False
        vs.core.core.remove_log_handler(handle)


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """Let SIGTERM end the run like Ctrl-C, so that finished work is kept and reported."""
    stop = _Stop()
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody has it ignored
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
