"""Conversions that are killed, interrupted, or run out of disk: nothing that looks finished, and the same result."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BUNNY
from tests.convert.media.files import ffmpeg, larger_bunny
from vsrrin import ConvertError
from vsrrin.convert import video as convert_module
from vsrrin.convert.video import convert
from vsrrin.convert.work_folder import folder_of

Settings = partial(convert_module.Settings, model="draft")  # what converts is the same, and it is quick
SEGMENT = 6
FRAMES = 48
# Runs a conversion and prints the number of finished frames as it goes, and what is said, on stderr.
DRIVER = """
import sys
from pathlib import Path
from vsrrin.convert.video import Settings, convert

source, target, resume, codec = sys.argv[1:]
settings = Settings(Path(source), Path(target), resume=resume == "resume", codec=codec, segment_frames=6, model="draft")
convert(
    settings,
    progress=lambda progress: print(progress.frames_done, flush=True),
    say=lambda message: print(message, file=sys.stderr, flush=True),
)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return larger_bunny(tmp_path_factory.mktemp("source"), FRAMES // 2)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, int]]:
    """Hashes of all decoded frames of a run with an encoder that nothing interrupts, and the bytes of what it wrote."""

    @cache
    def run(codec: str) -> tuple[str, int]:
        target = tmp_path_factory.mktemp("whole") / "out.mp4"
        convert(Settings(source, target, codec=codec, segment_frames=SEGMENT))
        return frame_hashes(target), target.stat().st_size

    return run


def finish(source: Path, target: Path) -> None:
    """Do what an interrupted `Run` has left, in this process, which is quicker."""
    convert(Settings(source, target, resume=True, codec="libx264", segment_frames=SEGMENT))


def frame_hashes(path: Path) -> str:
    """Times and hashes of all decoded frames."""
    ffmpeg(path.parent, "-i", path.name, "-f", "framemd5", "hashes.txt")
    text = (path.parent / "hashes.txt").read_text()
    (path.parent / "hashes.txt").unlink()
    assert text.count("\n0,") == FRAMES
    return text


class Run:
    """A conversion in a process of its own."""

    def __init__(
        self, source: Path, target: Path, *, resume: bool = False, codec: str = "libx264", **options: Any
    ) -> None:
        arguments = (str(source), str(target), "resume" if resume else "begin", codec)
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def until(self, frames: int) -> None:
        """Wait until so many frames are finished."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if int(line) >= frames:
                return

    def end(self) -> tuple[int, str]:
        """Wait for the end; (exit status, what was said)."""
        _, said = self.process.communicate(timeout=100)
        return self.process.returncode, said


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Where the result goes; only it may be there in the end."""
    path = tmp_path / "out.mp4"
    yield path
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name}


def test_killed_at_random_moments_and_resumed(
    source: Path, target: Path, whole: Callable[[str], tuple[str, int]]
) -> None:
    chosen = random.Random()
    moments = [(chosen.randrange(1, FRAMES), chosen.uniform(0, 0.1)) for _ in range(3)]
    print("killed at", moments)
    for frames, delay in moments:
        run = Run(source, target, resume=folder_of(target).exists())
        run.until(frames)
        time.sleep(delay)
        os.kill(run.process.pid, signal.SIGKILL)
        run.end()
        if target.exists():  # killed after the end: what is there is whole
            assert frame_hashes(target) == whole("libx264")[0]
            target.unlink()
    finish(source, target)
    assert frame_hashes(target) == whole("libx264")[0]


def test_killed_once_keeps_what_is_finished(
    source: Path, target: Path, whole: Callable[[str], tuple[str, int]]
) -> None:
    run = Run(source, target, codec="libx265")
    run.until(3 * SEGMENT + 2)
    os.kill(run.process.pid, signal.SIGKILL)
    run.end()
    kept = {path: path.stat().st_mtime_ns for path in folder_of(target).glob("*.nut")}
    assert len(kept) >= 3
    assert not target.exists()
    result = convert(Settings(source, target, codec="libx265", segment_frames=SEGMENT, resume=True))
    assert result.resumed_frames == len(kept) * SEGMENT
    assert frame_hashes(target) == whole("libx265")[0]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_target(kind: signal.Signals, source: Path, target: Path) -> None:
    run = Run(source, target)
    run.until(2 * SEGMENT + 1)
    run.process.send_signal(kind)
    status, said = run.end()
    assert status != 0
    assert not target.exists()
    assert list(folder_of(target).glob("*.nut"))
    if kind == signal.SIGINT:  # SIGTERM ends a process at once unless the program handles it, as the command does
        assert "resume=True continues" in said
        assert not list(folder_of(target).glob("*.part"))
    finish(source, target)
    frame_hashes(target)


def _limit(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("segments", [0.7, 3], ids=["in a segment", "while joining"])
def test_a_disk_that_takes_no_more(
    segments: float, source: Path, target: Path, whole: Callable[[str], tuple[str, int]]
) -> None:
    expected, size = whole("libx264")
    per_segment = size // (FRAMES // SEGMENT)
    status, said = Run(source, target, preexec_fn=lambda: _limit(int(segments * per_segment))).end()
    assert status != 0
    assert "ConvertError" in said and "cannot be written: File too large" in said
    assert not target.exists()
    finish(source, target)
    assert frame_hashes(target) == expected


def test_work_in_progress_is_neither_shared_nor_forgotten(source: Path, target: Path) -> None:
    run = Run(source, target)
    run.until(SEGMENT)
    os.kill(run.process.pid, signal.SIGSTOP)  # or it might end before this process is as far
    for resume in (False, True):
        with pytest.raises(ConvertError, match="another run is converting"):
            convert(Settings(source, target, resume=resume, segment_frames=SEGMENT, codec="libx264"))
    os.kill(run.process.pid, signal.SIGCONT)
    run.until(2 * SEGMENT)
    os.kill(run.process.pid, signal.SIGKILL)
    run.end()
    with pytest.raises(ConvertError, match="resume=True continues it, overwrite=True begins again"):
        convert(Settings(source, target))
    with pytest.raises(ConvertError, match=r"encoder was .*crf.*18.*, is .*crf.*30.*overwrite=True"):
        convert(Settings(source, target, resume=True, crf=30, segment_frames=SEGMENT, codec="libx264"))
    assert list(folder_of(target).glob("*.nut"))
    assert convert(Settings(source, target, overwrite=True)).resumed_frames == 0


def test_an_input_that_has_changed_is_not_continued(source: Path, target: Path, tmp_path: Path) -> None:
    copied = target.with_name("copy.mp4")
    copied.write_bytes(source.read_bytes())
    run = Run(copied, target)
    run.until(SEGMENT + 1)
    os.kill(run.process.pid, signal.SIGKILL)
    run.end()
    os.utime(copied, (1, 1))
    with pytest.raises(ConvertError, match="input was"):
        convert(Settings(copied, target, resume=True, segment_frames=SEGMENT, codec="libx264"))
    convert(Settings(copied, target, overwrite=True, segment_frames=SEGMENT))
    copied.unlink()


def test_resume_begins_where_there_is_nothing(source: Path, target: Path) -> None:
    assert convert(Settings(source, target, resume=True)).resumed_frames == 0


def test_an_error_before_the_first_segment_leaves_nothing(source: Path, target: Path) -> None:
    status, said = Run(source, target, preexec_fn=lambda: _limit(100)).end()
    assert status != 0
    assert "cannot be written" in said
    assert not folder_of(target).exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_damaged_input_gives_an_error_and_no_target(suffix: str, target: Path, tmp_path: Path) -> None:
    damaged = tmp_path / f"damaged{suffix}"
    picture = ("-vf", "scale=160:90", "-frames:v", "50", "-c:v", "libx264", "-bf", "2")
    ffmpeg(tmp_path, "-i", str(BUNNY), *picture, damaged.name)
    data = bytearray(damaged.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = random.Random(0).randbytes(1500)
    damaged.write_bytes(data)
    with pytest.raises(ConvertError, match="damaged or incomplete"):
        convert(Settings(damaged, target))
    damaged.unlink()
