"""Loading of thousands of damaged checkpoints, each of which must be loaded or refused.

    python -m scripts.trials.checkpoints [--files 2000] [--first 0] [--workers 2] [--keep FOLDER]

Files of narrow networks in all formats that are loaded (safetensors, both of ``torch.save``, bare and wrapped), with
and without side-cars, and the bundled ``draft`` are damaged by chance, or their side-cars are. Each is inspected,
converted and used for a frame. Findings are an exception that is no VsrrinError (in a filter: ``vapoursynth.Error``), a
crash, more than a minute of computing, an exit status other than 0 and 1, and a damaged file that is loaded beside a
side-car with its checksum. The exit status is 1 if there are findings.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import vapoursynth as vs

import vsrrin
from scripts.trials.fuzz import run_command
from scripts.trials.mutations import mutated
from scripts.trials.workers import Outcome, Worker, each
from vsrrin.checkpoint import loader
from vsrrin.nets import cain, rrin, srrin

_FACTS = dict.fromkeys(loader.SIDECAR_GIVEN, "a trial")


def write_checkpoints(folder: Path) -> Iterator[Path]:
    """Write one small checkpoint of each form; side-cars lie beside some."""
    torch.manual_seed(0)
    narrow = rrin.RRIN(width=4)
    bare = narrow.state_dict()
    loader.save(narrow, rrin.SPEC, folder / "saved.safetensors", arithmetic="exact", sidecar=_FACTS)
    yield folder / "saved.safetensors"
    torch.save(bare, folder / "bare.pth")
    yield folder / "bare.pth"
    torch.save({"model": srrin.SRRIN(width=4).state_dict(), "epoch": 7}, folder / "wrapped.pt")
    yield folder / "wrapped.pt"
    net = cain.CAIN(groups=1, blocks=1, features=16)
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state}, folder / "old.pth.tar", _use_new_zipfile_serialization=False)
    yield folder / "old.pth.tar"
    draft = loader.load("draft").path
    shutil.copy(draft, folder / "draft.safetensors")
    yield folder / "draft.safetensors"
    shutil.copy(draft, folder / "signed.safetensors")
    shutil.copy(draft.with_suffix(".json"), folder / "signed.json")
    yield folder / "signed.safetensors"


def use(path: str, folder: str) -> str:
    """Inspect, convert and use a checkpoint; return the message of a refusal, or nothing."""
    for command in (["models", "inspect", path], ["models", "convert", path, "new.safetensors", "--source", "a trial"]):
        status, said = run_command(command, folder)
        if status not in (0, 1):
            raise RuntimeError(f"exit status {status}: {said}")
    clip = vs.core.std.BlankClip(width=64, height=48, format=vs.RGB24, length=2, color=[9, 99, 199])
    try:
        vsrrin.interpolate(clip, model=Path(folder, path)).get_frame(1).close()
    except vs.Error as error:
        if "Traceback" in str(error):
            raise
        return str(error)
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, load, print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="number of damaged files")
    parser.add_argument("--first", type=int, default=0, help="number of the first; the seed of its damage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for files with findings")
    options = parser.parse_args(arguments)
    refused: Counter[str] = Counter()
    found = loaded = 0
    with tempfile.TemporaryDirectory(prefix="vsrrin-checkpoints-") as name:
        seeds = list(write_checkpoints(Path(name)))

        def one(number: int, worker: Worker) -> tuple[int, str, Outcome, str]:
            return number, *_try(number, seeds[number % len(seeds)], worker, Path(name, str(number)), options.keep)

        numbers = range(options.first, options.first + options.files)
        for number, what, outcome, finding in each(numbers, one, use, workers=options.workers):
            if finding:
                print(f"{number}: {what}: {finding}", flush=True)
            found += bool(finding)
            loaded += outcome.result == ""
            refused[(outcome.result or "")[:110].replace(name, "")] += bool(outcome.result)
    print(f"files: {options.files}; loaded: {loaded}; refused: {refused.total()}; findings: {found}")
    return int(bool(found))


def _try(number: int, seed: Path, worker: Worker, folder: Path, keep: Path | None) -> tuple[str, Outcome, str]:
    """Damage a file or its side-car, use it, and judge what happens; return name, damage, outcome and finding."""
    folder.mkdir()
    sidecar = seed.with_suffix(".json")
    copies = [shutil.copy(file, folder) for file in (seed, sidecar) if file.exists()]
    victim = Path(copies[number // 6 % len(copies)])
    whole = victim.read_bytes()
    damaged, damage = mutated(whole, number)
    victim.write_bytes(damaged)
    outcome = worker.run(seed.name, str(folder))
    finding = outcome.failure.strip()
    if finding:
        finding = finding.splitlines()[0] if finding.startswith(("hang", "crash")) else finding.splitlines()[-1]
    elif len(copies) == 2 and victim.name == seed.name and damaged != whole and outcome.result == "":
        finding = "loaded, though it is not the file of its side-car"
    if finding and keep is not None:
        shutil.copytree(folder, keep / str(number), dirs_exist_ok=True)
        (keep / str(number) / "failure.txt").write_text(outcome.failure)
    shutil.rmtree(folder)
    return f"{victim.name}: {damage}", outcome, finding


if __name__ == "__main__":
    sys.exit(main())
