"""Conversions by a cluster whose processes are killed.

    python -m scripts.trials.cluster [--moments 20] [--seed 0]

A scheduler and two workers run on this machine, and ``vsrrin convert --cluster`` with a video whose sound and subtitles
are kept. At a random moment one worker, both, the scheduler or the command is killed (SIGKILL). What is missing is
started again, and the conversion resumed, every third time without the cluster. In the end, times and hashes of all
decoded frames and sound, and the subtitles, must be those of a run without a cluster; before the end no file may have
the name of the target. The exit status is 1 if anything is otherwise.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from scripts.trials.outputs import contents
from vsrrin.convert.work_folder import folder_of

_WORKERS = ("one", "two")
_VICTIMS = ("a worker", "both workers", "the scheduler", "the command")
_SLOW = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=2:duration=60", "-f", "lavfi", "-i", "sine=duration=60")
"""A video of 120 frames, two a second, so that ten seconds, a segment, are quickly made: there are six."""


class Cluster:
    """A scheduler and two workers, in processes of their own.

    Args:
        folder: Folder for what they write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return (self._folder / "address.txt").read_text()

    def mend(self) -> None:
        """Start what does not run; all, if the scheduler does not."""
        if "scheduler" not in self._running:
            for name in list(self._running):
                self.kill(name)
            self._start("scheduler", "--port", "0")
            self._wait("scheduler", "Scheduler at:")
            said = (self._folder / "scheduler.txt").read_text()
            (self._folder / "address.txt").write_text(said.partition("Scheduler at:")[2].split()[0])
        missing = [name for name in _WORKERS if name not in self._running]
        for name in missing:
            place = ("--local-directory", str(self._folder / name), "--name", name)
            self._start(
                "worker", self.address, "--no-nanny", "--nthreads", "1", "--memory-limit", "0", *place, name=name
            )
        for name in missing:
            self._wait(name, "Registered to")

    def kill(self, name: str) -> None:
        """Kill a process, if it runs."""
        if (process := self._running.pop(name, None)) is not None:
            process.kill()
            process.wait()

    def end(self) -> None:
        """Kill all."""
        for name in list(self._running):
            self.kill(name)

    def _start(self, kind: str, *arguments: str, name: str = "") -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", "--host", "127.0.0.1"]
        with (self._folder / f"{name or kind}.txt").open("wb") as log:
            self._running[name or kind] = subprocess.Popen([*command, *arguments], stdout=log, stderr=log)

    def _wait(self, name: str, text: str) -> None:
        while text not in (log := (self._folder / f"{name}.txt").read_text(errors="replace")):
            if self._running[name].poll() is not None:
                raise SystemExit(f"{name} does not start: {log}")
            time.sleep(0.1)


class Trials:
    """Conversions that are killed.

    Args:
        folder: Folder for all files.
        chooser: What the moments and the victims are drawn from.

    Attributes:
        findings: What was not as it should be.
    """

    def __init__(self, folder: Path, chooser: Random) -> None:
        self._folder, self._chooser = folder, chooser
        self.findings: list[str] = []
        subtitles = folder / "subtitles.srt"
        subtitles.write_text("1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:31,000 --> 00:00:32,000\ntwo\n")
        self._source, self._target, self._log = folder / "in.mkv", folder / "out.mkv", folder / "said.txt"
        codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac", "-c:s", "srt")
        command = [
            "ffmpeg",
            "-v",
            "error",
            *_SLOW,
            "-i",
            str(subtitles),
            *("-map", "0", "-map", "1", "-map", "2"),
            *codecs,
        ]
        subprocess.run([*command, str(self._source)], check=True)
        self._cluster = Cluster(folder)

    def run(self, moments: int) -> str:
        """Kill so many conversions, and return the figures."""
        victims: Counter[str] = Counter()
        identical = alone = 0
        try:
            self._finish(())
            whole = contents(self._target)
            begun = time.monotonic()
            self._cluster.mend()
            self._finish(("--cluster", self._cluster.address, "--overwrite"))
            seconds = time.monotonic() - begun
            for number in range(moments):
                self._clear()
                self._cluster.mend()
                victim = self._chooser.choice(_VICTIMS)
                if self._killed(victim, self._chooser.uniform(0, 1.1) * seconds):
                    victims[victim] += 1
                if not self._target.exists():
                    self._cluster.mend()
                    there = ("--cluster", self._cluster.address) if number % 3 else ()
                    alone += not there
                    self._finish((*there, "--resume"))
                if contents(self._target) == whole:
                    identical += 1
                else:
                    self._find(f"{victim}: the output differs")
        finally:
            self._cluster.end()
        killed = ", ".join(f"{victim} {count}" for victim, count in sorted(victims.items()))
        return f"{moments} conversions, killed: {killed}; resumed without the cluster: {alone}; identical: {identical}"

    def _killed(self, victim: str, after: float) -> bool:
        """Run a conversion of which a process is killed, unless it ends before; wait for its end."""
        command = self._start(("--cluster", self._cluster.address))
        try:
            command.wait(after)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        if victim == "the command":
            command.kill()
        else:
            names = {"a worker": _WORKERS[:1], "both workers": _WORKERS, "the scheduler": ("scheduler",)}[victim]
            for name in names:
                self._cluster.kill(name)
        status = command.wait()
        if status not in (0, 1, -signal.SIGKILL) or (status == 1 and self._target.exists()):
            self._find(f"{victim}: status {status}: {self._log.read_text()}")
        if "Traceback" in (said := self._log.read_text()):
            self._find(f"{victim}: {said}")
        return True

    def _finish(self, arguments: Sequence[str]) -> None:
        status = self._start(arguments).wait()
        if status:
            self._find(f"{' '.join(arguments)}: status {status}: {self._log.read_text()}")

    def _start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        files = (str(self._source), str(self._target), "--model", "draft")
        with self._log.open("wb") as log:
            return subprocess.Popen([sys.executable, "-m", "vsrrin", "convert", *files, *arguments], stderr=log)

    def _clear(self) -> None:
        self._target.unlink(missing_ok=True)
        shutil.rmtree(folder_of(self._target), ignore_errors=True)

    def _find(self, what: str) -> None:
        self.findings.append(what)
        print(f"finding: {what}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the trials, print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="conversions that are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vsrrin-trials-") as name:
        trials = Trials(Path(name), Random(options.seed))
        print(trials.run(options.moments))
    print(f"findings: {len(trials.findings)}")
    return int(bool(trials.findings))


if __name__ == "__main__":
    sys.exit(main())
