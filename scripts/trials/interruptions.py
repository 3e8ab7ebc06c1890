"""Conversions that are killed, run out of disk or memory, or whose source changes under way.

    python -m scripts.trials.interruptions [kills disk source memory clock] [--moments 30] [--points 10] [--seed 0]

kills
    A conversion to each container and to a folder of images is killed (SIGKILL) at random moments, a third of them near
    its end, and so is every second run that resumes it; then it is resumed until it is done.
disk
    It runs on a file system of its own that is too small, at points between nothing and enough; then there is space,
    and it is resumed. Needs root, for ``mount -t tmpfs``.
source
    The source is replaced, written anew in place, shortened or removed after the first frames.
memory
    Frames of 1920x1080 with the usual network in a control group (version 1, needs root), and with a limit of the
    process's own data (RLIMIT_DATA).
clock
    It is killed, and all files of its work are dated a day ahead, as after the clock was set back; it is resumed.

Wherever a conversion is done in the end, times and hashes of all decoded frames and sound, and the subtitles, are those
of a run that nothing interrupted; elsewhere it must be refused with a VsrrinError. Before the end no file has the name
of the target. The exit status is 1 if anything is otherwise.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch.fx.experimental.symbolic_shapes  # noqa: F401, as PyTorch would load it in each process

from scripts.trials import seeds
from scripts.trials.outputs import contents
from vsrrin.convert.convert_file import convert_file
from vsrrin.convert.run import Progress
from vsrrin.convert.work_folder import folder_of
from vsrrin.errors import VsrrinError

_TARGETS = ("out.mkv", "out.mp4", "out.mov", "out.webm", "out")
_FRAMES = 48
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")
_GIB = 2**30


class Run:
    """A conversion in a process of its own, forked from this one, which has loaded the libraries but not used them."""

    def __init__(self, source: Path, target: Path, limit: Callable[[], None] | None = None, **settings: Any) -> None:
        self._said = target.parent.parent / "said.txt"
        self._frames, frames = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(frames)
            return
        status = 3
        try:
            with self._said.open("w") as said:
                os.dup2(said.fileno(), 2)
                if limit is not None:
                    limit()
                settings = {"factor": 2, "model": "draft", "segment_frames": 12, **settings}
                convert_file(source, target, progress=partial(_tell, frames), **settings)
                status = 0
        except VsrrinError as error:
            self._said.write_text(str(error))
            status = 1
        except BaseException:
            self._said.write_text(traceback.format_exc())
        finally:
            os._exit(status)

    def until(self, frames: int) -> None:
        """Wait until so many frames are made."""
        while frames > 0 and (made := os.read(self._frames, frames)):
            frames -= len(made)

    def kill(self, after: float) -> None:
        """Kill the process, unless it ends before that."""
        time.sleep(after)
        os.kill(self._pid, signal.SIGKILL)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status, negative for a signal, and what was said."""
        _, status = os.waitpid(self._pid, 0)
        os.close(self._frames)
        return os.waitstatus_to_exitcode(status), self._said.read_text(errors="replace")


def _tell(pipe: int, state: Progress) -> None:
    os.write(pipe, b".")


class Trials:
    """The trials and what they found.

    Args:
        folder: Folder for all files.
        chooser: What the moments are drawn from.

    Attributes:
        findings: What was not as it should be.
    """

    def __init__(self, folder: Path, chooser: Random) -> None:
        self._folder, self._chooser = folder, chooser
        self.findings: list[str] = []
        (folder / "subtitles.srt").write_text(
            "1\n00:00:00,000 --> 00:00:00,900\none\n\n2\n00:00:01,200 --> 00:00:01,500\ntwo\n"
        )
        sound = ("-c:a", "flac", "-c:s", "srt")
        self._source = seeds.write_video(folder, "in.mkv", *_X264, *sound, frames=_FRAMES, size="160x90")
        raw = ("-c:v", "rawvideo", "-an", "-sn")  # so large that not all of it is in memory after the first frames
        self._mute = seeds.write_video(folder, "mute.avi", *raw, frames=_FRAMES, size="480x270")
        self._work = folder / "work"

    def kills(self, moments: int) -> str:
        """Kill conversions at random moments and resume them."""
        killed = done = 0
        for name in _TARGETS:
            whole, seconds, _ = self._whole(name)
            for number in range(moments):
                target, resume = self._fresh() / name, False
                for kill in (True, number % 2 == 0, number % 4 == 0, False):
                    if not kill and not resume:
                        continue
                    run = Run(self._source, target, resume=resume)
                    if kill:
                        late = self._chooser.random() < 1 / 3
                        run.kill(self._chooser.uniform(0.8 if late else 0, 1.1) * seconds)
                    status, said = run.end()
                    killed += status == -signal.SIGKILL
                    if status not in (0, -signal.SIGKILL):
                        self._find(f"kills: {name}: {said}")
                    if status == 0 or target.exists():
                        shutil.rmtree(folder_of(target), ignore_errors=True)  # killed while it was removed
                        break
                    resume = True
                done += self._is_same(f"kills: {name}", target, whole)
        return f"{len(_TARGETS)} targets, {len(_TARGETS) * moments} conversions, {killed} kills, {done} identical"

    def disk(self, points: int) -> str:
        """Let a file system become full at several points, give it more space and resume."""
        full = done = 0
        for name in _TARGETS:
            whole, _, size = self._whole(name)
            for point in range(points):
                self._fresh()
                with _mounted(self._work, round(2.2 * size * (point + 1) / (points + 1))) as enlarge:
                    target = self._work / name
                    status, said = Run(self._source, target).end()
                    if status == 1 and not target.exists() and "No space left" in said:
                        full += 1
                    elif status != 0:
                        self._find(f"disk: {name} at {point}: status {status}: {said}")
                    if status:
                        enlarge()
                        status, said = Run(self._source, target, resume=True).end()
                        if status:
                            self._find(f"disk: {name} at {point}, resumed: status {status}: {said}")
                    done += self._is_same(f"disk: {name} at {point}", target, whole)
        return f"{len(_TARGETS) * points} conversions, {full} on a full disk, {done} identical in the end"

    def source(self) -> str:
        """Change the source under way."""
        refused = done = 0
        for original in (self._source, self._mute):
            for name in ("out.mkv", "out"):
                whole = self._whole(name, original)[0]
                for change in (_replaced, _rewritten, _shortened, _removed):
                    what = f"source: {original.name} {change.__name__.removeprefix('_')}, {name}"
                    target, copy = self._fresh() / name, self._folder / f"copy{original.suffix}"
                    shutil.copy2(original, copy)
                    run = Run(copy, target)
                    run.until(3)
                    change(copy)
                    status, said = run.end()
                    if status == 1 and not target.exists():
                        refused += 1
                        print(f"{what}: {said.strip()[:300]}")
                    elif status:
                        self._find(f"{what}: status {status}: {said}")
                    elif self._is_same(what, target, whole):
                        done += 1
                        print(f"{what}: done, identical")
                    copy.unlink(missing_ok=True)
        return f"16 changes, {refused} refused, {done} done and identical"

    def memory(self) -> str:
        """Convert large frames in little memory."""
        source = seeds.write_video(self._folder, "large.mkv", *_X264, "-an", "-sn", frames=3, size="1920x1080")
        outcomes = []
        for gib, kind in ((1.0, _in_group), (1.5, _in_group), (1.5, _with_limit), (2.5, _with_limit)):
            run = Run(source, self._fresh() / "out.mkv", partial(kind, round(gib * _GIB)), model="rrin_lite")
            status, said = run.end()
            outcomes.append(
                f"{gib} GiB{kind.__name__.replace('_', ' ')}: status {status}: {said.strip()[-300:] or 'done'}"
            )
            if status not in (0, 1):
                self._find(f"memory: {outcomes[-1]}")
        return "\n".join(outcomes)

    def clock(self) -> str:
        """Date the files of unfinished work ahead, and resume."""
        done = 0
        for name in _TARGETS:
            whole = self._whole(name)[0]
            target = self._fresh() / name
            run = Run(self._source, target)
            run.until(30)
            run.kill(0)
            run.end()
            ahead = time.time() + 86400
            for file in (*folder_of(target).iterdir(), folder_of(target)):
                os.utime(file, (ahead, ahead))
            status, said = Run(self._source, target, resume=True).end()
            if status:
                self._find(f"clock: {name}: {said}")
            done += self._is_same(f"clock: {name}", target, whole)
        return f"{len(_TARGETS)} conversions, {done} identical"

    def _whole(self, name: str, source: Path | None = None) -> tuple[str, float, int]:
        """Return contents, seconds and bytes of a conversion that nothing interrupts."""
        target, begun = self._fresh() / name, time.monotonic()
        status, said = Run(source or self._source, target).end()
        if status:
            raise SystemExit(f"{name}: an uninterrupted run ends with {status}: {said}")
        files = [target] if target.is_file() else list(target.iterdir())
        return contents(target), time.monotonic() - begun, sum(file.stat().st_size for file in files)

    def _is_same(self, what: str, target: Path, whole: str) -> bool:
        if not target.exists():
            self._find(f"{what}: no output")
        elif contents(target) != whole:
            self._find(f"{what}: the output differs")
        elif left := {entry.name for entry in target.parent.iterdir()} - {target.name}:
            self._find(f"{what}: left: {left}")
        else:
            return True
        return False

    def _fresh(self) -> Path:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        return self._work

    def _find(self, what: str) -> None:
        self.findings.append(what)
        print(f"finding: {what}", flush=True)


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[Callable[[], object]]:
    """Mount a file system of so many bytes, and yield a function that makes it large."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield partial(subprocess.run, ["mount", "-o", "remount,size=64m", str(folder)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _in_group(size: int) -> None:
    """Put this process into a control group with so much memory."""
    group = Path("/sys/fs/cgroup/memory/vsrrin-trial")
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(size))
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _with_limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _replaced(file: Path) -> None:
    other = file.with_name(f"other{file.suffix}")
    other.write_bytes(_other(file))
    os.replace(other, file)


def _rewritten(file: Path) -> None:
    data = _other(file)
    with file.open("r+b") as written:
        written.write(data)


def _shortened(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _removed(file: Path) -> None:
    file.unlink()


def _other(file: Path) -> bytes:
    """Return a file of the same length whose later pictures are a little different."""
    data = bytearray(file.read_bytes())
    for position in range(len(data) // 3, len(data), 997):
        data[position] ^= 1
    return bytes(data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run trials, print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ("kills", "disk", "source", "memory", "clock")
    parser.add_argument("trials", nargs="*", choices=kinds, default=kinds)
    parser.add_argument("--moments", type=int, default=30, help="conversions to each target that are killed")
    parser.add_argument("--points", type=int, default=10, help="sizes of the small file system")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    counts = {"kills": [options.moments], "disk": [options.points]}
    with tempfile.TemporaryDirectory(prefix="vsrrin-trials-") as name:
        trials = Trials(Path(name), Random(options.seed))
        for kind in options.trials:
            print(f"{kind}: {getattr(trials, kind)(*counts.get(kind, []))}", flush=True)
    print(f"findings: {len(trials.findings)}")
    return int(bool(trials.findings))


if __name__ == "__main__":
    sys.exit(main())
