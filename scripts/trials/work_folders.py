"""Continuation of thousands of interrupted conversions whose work folders are damaged.

    python -m scripts.trials.work_folders [--folders 2000] [--first 0] [--workers 2]

A conversion to each container and to a folder of images is interrupted. One to three files of its work folder are
damaged by chance, removed, or take each other's place, and it is resumed. It must end with the frames and the sound of
a run that nothing interrupted, or be refused with a VsrrinError; everything else is a finding. The exit status is 1 if
there are findings.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from scripts.trials import seeds
from scripts.trials.mutations import mutated
from scripts.trials.outputs import contents
from scripts.trials.workers import Worker, each
from vsrrin.convert.convert_file import convert_file
from vsrrin.convert.run import Progress
from vsrrin.convert.work_folder import folder_of
from vsrrin.errors import VsrrinError

_TARGETS = ("out.mkv", "out.mp4", "out.mov", "out.webm", "out")
_FRAMES = 16


def run(source: str, target: str, frames: int) -> str:
    """Convert, or go on, and stop after so many frames; return the message of a refusal, or nothing."""

    def stop(state: Progress) -> None:
        if state.frames_done >= frames:
            raise KeyboardInterrupt

    try:
        convert_file(source, target, factor=2, model="draft", segment_frames=4, resume=True, progress=stop)
    except VsrrinError as error:
        return str(error)
    except KeyboardInterrupt:
        return "interrupted"
    return ""


def damage(folder: Path, number: int) -> str:
    """Damage a work folder, and return what was done."""
    chooser, done = Random(number), []
    for _ in range(chooser.choice((1, 1, 2, 3))):
        files = sorted(file for file in folder.iterdir() if file.name != "lock")
        file, other = chooser.choice(files), chooser.choice(files)
        kind = chooser.choice(("damaged",) * 6 + ("removed", "exchanged", "copied"))
        if kind == "damaged":
            data, kind = mutated(file.read_bytes(), chooser.randrange(2**32))
            file.write_bytes(data)
        elif kind == "removed" and len(files) > 1:
            file.unlink()
        elif file != other:
            data = other.read_bytes()
            if kind == "exchanged":
                other.write_bytes(file.read_bytes())
            file.write_bytes(data)
        done.append(f"{file.name}: {kind}")
    return "; ".join(done)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, resume, print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=2000, help="number of damaged folders")
    parser.add_argument("--first", type=int, default=0, help="number of the first; the seed of its damage")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vsrrin-work-folders-") as name:
        folder = Path(name)
        (folder / "subtitles.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\none\n")
        codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac", "-c:s", "srt")
        source = seeds.write_video(folder, "in.mkv", *codecs, frames=_FRAMES, size="64x48")
        first = Worker(run)
        for target in _TARGETS:
            for place, frames in (("whole", 10**6), ("stopped", 3 * _FRAMES // 2)):
                (folder / place).mkdir(exist_ok=True)
                first.run(str(source), str(folder / place / target), frames)
        first.stop()

        def one(number: int, worker: Worker) -> tuple[int, str, str]:
            return number, *_try(number, source, worker, folder)

        kinds: Counter[str] = Counter()
        numbers = range(options.first, options.first + options.folders)
        for number, what, became in each(numbers, one, run, workers=options.workers):
            if became not in ("identical", "refused"):
                print(f"{number}: {what}: {became}", flush=True)
                became = "finding"
            kinds[became] += 1
    print(f"folders: {options.folders}; {'; '.join(f'{kind}: {count}' for kind, count in kinds.items())}")
    return int(bool(kinds["finding"]))


def _try(number: int, source: Path, worker: Worker, folder: Path) -> tuple[str, str]:
    """Damage a copy of a work folder and resume; return what was done and what became of it."""
    target = folder / str(number) / _TARGETS[number % len(_TARGETS)]
    shutil.copytree(folder_of(folder / "stopped" / target.name), folder_of(target))
    what = f"{target.name}: {damage(folder_of(target), number)}"
    outcome = worker.run(str(source), str(target), 10**6)
    if outcome.failure:
        return what, outcome.failure.strip().splitlines()[-1]
    if outcome.result:
        became = "refused" if not target.exists() else f"a target, and {outcome.result}"
    elif not target.exists() or not _is_same(target, folder / "whole" / target.name):
        became = "another output"
    else:
        became = "identical"
    shutil.rmtree(target.parent)
    return what, became


def _is_same(target: Path, whole: Path) -> bool:
    """Return whether two outputs have the same bytes, or else the same contents."""
    if target.is_file() and target.read_bytes() == whole.read_bytes():
        return True
    return contents(target) == contents(whole)


if __name__ == "__main__":
    sys.exit(main())
