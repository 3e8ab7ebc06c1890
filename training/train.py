"""Command that trains a network as a recipe says.

    python -m training.train RECIPE.toml [--out runs/NAME] [--resume] [--minutes N] [--set table.key=value ...]
    torchrun --nproc-per-node 2 -m training.train RECIPE.toml ...

The run's folder gets recipe.toml, log.csv, tb/ (TensorBoard), states to go on from, and best.safetensors (by PSNR on
the validation data, if the recipe names some) and last.safetensors, which the filter loads, as in
vsrrin.interpolate(clip, model="runs/NAME/best.safetensors").
SIGTERM, Ctrl-C and --minutes end a run in order: it saves and says how to go on. Exit status: 0 done or stopped in
order, 2 an error, the reason is on stderr.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from vsrrin.errors import VsrrinError

if TYPE_CHECKING:
    from training.run.folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line unless given.

    Returns:
        The exit status.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(given)
    try:
        return _train(options, given)
    except VsrrinError as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 2


def _train(options: argparse.Namespace, given: Sequence[str]) -> int:
    from training.recipe import load
    from training.run.allocator import keep_freed_memory
    from training.run.folder import RunFolder
    from training.run.processes import Stop, join
    from training.run.trainer import Trainer, deadline

    late = deadline(options.minutes)
    keep_freed_memory()
    recipe = load(options.recipe, options.set)
    team = join(options.device)
    stop = Stop(shared=team.world > 1)
    stop.listen()
    folder = RunFolder(options.out or Path("runs") / options.recipe.stem)
    if options.resume and team.leads and not folder.states():
        print(f"training.train: no state in {folder.path} yet: a new run begins", file=sys.stderr)
    with folder.held(fresh=not options.resume) if team.leads else nullcontext():
        trainer = Trainer(recipe, folder, team, resume=options.resume)
        finished = trainer.run(lambda: stop.asked or late())
        if team.leads:
            _say_result(trainer.step, finished, folder, given)
    team.leave()
    return 0


def _say_result(step: int, finished: bool, folder: "RunFolder", given: Sequence[str]) -> None:
    print(f"{'finished' if finished else 'stopped'} after step {step}; weights: {folder.last}", flush=True)
    if folder.best.is_file():
        print(f"best by validation: {folder.best}", flush=True)
    if not finished:
        print(f"to go on: {command(given)}", flush=True)


def command(given: Sequence[str]) -> str:
    """Return the command that goes on with the run that was started with these arguments."""
    local, world = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    program = ["python"]
    if world > 1:
        machines = [f"--nnodes={world // local}"] if world > local else []
        program = ["torchrun", *machines, f"--nproc-per-node={local}"]
    resume = [] if "--resume" in given else ["--resume"]
    return shlex.join([*program, "-m", "training.train", *given, *resume])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training.train", description="Train a network as a recipe says.")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="what to do; see training/recipes/")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (runs/ and the recipe's name)")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's newest state, if there is one")
    parser.add_argument("--minutes", type=_minutes, metavar="N", help="stop, saved, after so many minutes")
    parser.add_argument("--set", action="append", default=[], metavar="table.key=value", help="replace what it says")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, xpu, mps (the best one here)")
    return parser


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"must be a number of minutes above 0, not {text!r}")
    return minutes


if __name__ == "__main__":
    sys.exit(main())
