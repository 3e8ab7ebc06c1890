"""Comparison of methods: each makes the frames of every triplet, which are measured against the true ones."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import metrics
from .methods import Method
from .metrics import Flow
from .score_tables import Score
from .triplets import Picture, Triplet
from .worst_cases import Case, Worst


def measure(
    methods: Mapping[str, Method],
    sources: Iterable[Triplet],
    log: Callable[[str], None],
    worst: Worst | None = None,
    keep: Callable[[Sequence[Score]], object] | None = None,
) -> list[Score]:
    """Run every method on every triplet.

    Args:
        methods: By name.
        sources: The triplets.
        log: Function that takes a line for each triplet.
        worst: Collection that gets every triplet with the pictures made for it.
        keep: Function that takes the scores of a triplet as soon as all methods have theirs.
    """
    scores: list[Score] = []
    for number, triplet in enumerate(sources):
        if number == 0:
            for method in methods.values():  # loading and first-call costs are not a frame's time
                method(triplet.left, triplet.right, triplet.span.t)
        true_motion = metrics.flows((triplet.left, triplet.truth, triplet.right))
        order = list(methods)
        turn = number % len(order)
        pictures, found = {}, {}
        for name in order[turn:] + order[:turn]:
            began = time.perf_counter()
            pictures[name] = methods[name](triplet.left, triplet.right, triplet.span.t)
            seconds = time.perf_counter() - began
            found[name] = _score(name, triplet, pictures[name], true_motion, seconds)
        fresh = [found[name] for name in order]
        scores += fresh
        if keep is not None:
            keep(fresh)
        if worst is not None:
            worst.add(Case(triplet, {name: pictures[name] for name in order}, {n: s.psnr for n, s in found.items()}))
        line = "  ".join(f"{name} {found[name].psnr:.2f}" for name in order)
        log(f"{number + 1:3} {triplet.clip} {triplet.span} {triplet.bucket}: {line}")
    return scores


def _score(name: str, triplet: Triplet, picture: Picture, true_motion: Sequence[Flow], seconds: float) -> Score:
    new_motion = metrics.flows((triplet.left, picture, triplet.right))
    return Score(
        method=name,
        clip=triplet.clip,
        span=triplet.span,
        motion=triplet.motion,
        bucket=triplet.bucket,
        psnr=metrics.psnr(picture, triplet.truth),
        ssim=metrics.ssim(picture, triplet.truth),
        ssimulacra2=metrics.ssimulacra2(picture, triplet.truth),
        motion_error=metrics.motion_error(new_motion, true_motion),
        seconds=seconds,
    )
