"""Conversion of thousands of damaged files, each of which must be converted or refused.

    python -m scripts.trials.fuzz [--files 2000] [--first 0] [--workers 2] [--keep FOLDER]

Small videos of ten formats, with sound and subtitles, are written by ``ffmpeg`` and damaged by chance: flipped bits,
runs of other bytes, missing and repeated parts, boxes in another order, lengths of 0 and of the largest numbers. Each
is converted with ``draft``, in processes that do one after another. Findings are

- an exception that is no VsrrinError, a crash, and more than a minute of computing;
- an exit status other than 0 and 1 (2 where it is the rate that was asked for), and memory above a limit;
- an output that ``ffmpeg`` cannot decode whole, or with other frames than was said;
- an output, a temporary file or a useless work folder that a refusal leaves behind.

The number of a file is the seed of its damage: ``--first N --files 1`` makes it again, and ``--keep`` keeps it. The
exit status is 1 if there are findings.
"""

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.trials import seeds
from scripts.trials.mutations import mutated
from scripts.trials.outputs import decoded
from scripts.trials.workers import Outcome, Worker, each
from vsrrin.cli.main import main as vsrrin_main

_TARGETS = ("out.mkv", "out.mp4", "out.mov", "out.webm", "out")
_SOUND = re.compile(r"\[(flac|mp[23]\w*|aac|opus|vorbis|alac|pcm\w*) @")
"""Beginning of errors of sound, for which ``ffmpeg`` looks even if it is not to decode it."""
_MOST = 2000
"""MiB that a conversion of such small files may need; the libraries alone take some 700."""


@dataclass(kw_only=True)
class Case:
    """One damaged file and what became of it.

    Attributes:
        number: Seed of the damage.
        source: Name of the file.
        damage: What was done to it.
        arguments: Those of the command after the name of the source.
        status: Exit status of the command.
        frames: Frames of the output, 0 without.
        mib: Most memory of the process.
        said: What the command said.
        passed_on: Whether the sound is damaged, as that of the source is.
        findings: What is wrong with all that.
    """

    number: int
    source: str
    damage: str
    arguments: list[str]
    status: int | None = None
    frames: int = 0
    mib: int = 0
    said: str = ""
    passed_on: bool = False
    findings: list[str] = field(default_factory=list)


def run_command(arguments: Sequence[str], folder: str) -> tuple[int, str]:
    """Run ``vsrrin`` in this process, in a folder; return its exit status and what it said."""
    said = io.StringIO()
    tempfile.tempdir = folder
    with chdir(folder), redirect_stdout(said), redirect_stderr(said):
        try:
            status = vsrrin_main(arguments)
        except SystemExit as stopped:
            status = stopped.code if isinstance(stopped.code, int) else 1
    return status, said.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, convert, print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="number of damaged files")
    parser.add_argument("--first", type=int, default=0, help="number of the first; the seed of its damage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for files with findings, and for cases.jsonl")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vsrrin-fuzz-") as name:
        videos = [(path.name, path.read_bytes()) for path in seeds.write_videos(Path(name))]
        cases = list(_converted(videos, range(options.first, options.first + options.files), options, Path(name)))
    print(report(cases))
    return int(any(case.findings for case in cases))


def _converted(
    videos: Sequence[tuple[str, bytes]], numbers: range, options: argparse.Namespace, folder: Path
) -> Iterator[Case]:
    def one(number: int, worker: Worker) -> Case:
        return _try(number, *videos[number % len(videos)], worker, folder / str(number), options.keep)

    for case in each(numbers, one, run_command, workers=options.workers):
        if case.findings:
            print(f"{case.number}: {case.source}: {case.damage}: {'; '.join(case.findings)}", flush=True)
        yield case


def _try(number: int, name: str, data: bytes, worker: Worker, folder: Path, keep: Path | None) -> Case:
    """Damage a file, convert it, and judge what is there then."""
    damaged, damage = mutated(data, number)
    folder.mkdir()
    (folder / name).write_bytes(damaged)
    target = _TARGETS[number // 10 % len(_TARGETS)]
    speed = ["--fps", "60"] if number // 50 % 4 == 3 else ["--fps", "2x"]
    case = Case(number=number, source=name, damage=damage, arguments=[target, *speed, "--model", "draft"])
    outcome = worker.run(["convert", name, *case.arguments], str(folder))
    case.findings += _judged(case, outcome, folder)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if case.findings:
            (keep / f"{number}-{name}").write_bytes(damaged)
        with (keep / "cases.jsonl").open("a") as file:
            file.write(f"{json.dumps(asdict(case))}\n")
    shutil.rmtree(folder)
    return case


def _judged(case: Case, outcome: Outcome, folder: Path) -> Iterator[str]:
    case.mib = outcome.mib
    if outcome.failure:
        case.said = outcome.failure
        first, last = outcome.failure.splitlines()[0], outcome.failure.splitlines()[-1]
        yield first if first.startswith(("hang", "crash")) else last
        return
    case.status, case.said = outcome.result
    if case.status not in (0, 1, 2 if "60" in case.arguments else 1):
        yield f"exit status {case.status}"
    if "Traceback" in case.said or "Exception ignored" in case.said:
        yield "a traceback among the messages"
    if outcome.mib > _MOST:
        yield f"{outcome.mib} MiB"
    left = {entry.name for entry in folder.iterdir()} - {case.source}
    if case.status == 0:
        yield from _output_faults(case, folder)
    if extra := left - ({case.arguments[0]} if case.status == 0 else {f".{case.arguments[0]}.vsrrin"}):
        yield f"left: {', '.join(sorted(extra))}"
    work = folder / f".{case.arguments[0]}.vsrrin"
    if work.exists() and not [*work.glob("*.nut"), *work.glob("*.png")]:
        yield "left: a work folder with nothing in it"


def _output_faults(case: Case, folder: Path) -> Iterator[str]:
    said = re.search(r"has (\d+) (?:frames|images)", case.said)
    if said is None:
        yield "nothing said of the output"
        return
    target = folder / case.arguments[0]
    name = f"{target}/%06d.png" if target.is_dir() else str(target)
    case.frames, errors = decoded(name, "0:V:0")
    faults = [error for error in errors if not _SOUND.match(error)]
    if faults or case.frames != int(said[1]):
        yield f"{case.frames} frames of {said[1]} can be decoded: {faults}"
    if (errors := decoded(name, "0:a?")[1]) and not decoded(str(folder / case.source), "0:a?")[1]:
        yield f"sound cannot be decoded: {errors}"
    case.passed_on = bool(errors)


def report(cases: Sequence[Case]) -> str:
    """Return the figures of a run as text."""
    whole = [case for case in cases if case.status == 0]
    refused = Counter(_kind(case.said) for case in cases if case.status == 1)
    found = Counter(_kind(finding) for case in cases for finding in case.findings)
    return "\n".join(
        [
            f"files: {len(cases)}; converted: {len(whole)}; refused: {refused.total()}; findings: {found.total()}",
            f"converted with the damage of the source's sound: {sum(case.passed_on for case in cases)}",
            f"most memory: {max((case.mib for case in cases), default=0)} MiB",
            "",
            "refused:",
            *(f"{count:6}  {kind}" for kind, count in refused.most_common()),
            "",
            "findings:",
            *(f"{count:6}  {kind}" for kind, count in found.most_common()),
        ]
    )


def _kind(text: str) -> str:
    """Return the last line of a message without what differs from file to file."""
    last = (text.strip().splitlines() or ["nothing said"])[-1]
    return re.sub(r"0x\w+|[\d.]+", "N", re.sub(r"\S*seed\.\w+|\S*/\S+", "FILE", last))[:160]


if __name__ == "__main__":
    sys.exit(main())
