"""Arguments of ``vsrrin convert`` for work in several processes, and the workers that they mean."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vsrrin.errors import ArgumentError, ConvertError

# Loading torch takes seconds, and distributed is an extra.
if TYPE_CHECKING:
    from vsrrin.convert.cluster.crew import Crew


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("several processes, which need vsrrin[cluster]")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--workers", metavar="N", type=int, help="N processes here, each with its cores or a GPU")
    which.add_argument("--cluster", metavar="ADDRESS", help="workers of a Dask scheduler, such as tcp://scheduler:8786")
    group.add_argument(
        "--cluster-map",
        metavar="FROM=TO",
        action="append",
        default=[],
        help="the folder FROM of IN is called TO on the workers (may be repeated)",
    )
    group.add_argument(
        "--cluster-mixed", action="store_true", help="take workers with other processors or libraries; bits may differ"
    )


def wanted(options: argparse.Namespace) -> bool:
    """Return whether parsed arguments ask for workers."""
    return options.cluster is not None or options.workers is not None


@contextmanager
def crew(options: argparse.Namespace, say: Callable[[str], None]) -> "Iterator[Crew | None]":
    """Yield the workers that parsed arguments ask for; ``None`` for none, or in a dry run.

    A scheduler that is named is connected to at once. Workers here start when there is something for them to do.

    Raises:
        VsrrinError: An argument is not as it must be, distributed is missing, or the scheduler cannot be reached.
    """
    for flag, given in (("--cluster-map", options.cluster_map), ("--cluster-mixed", options.cluster_mixed)):
        if given and options.cluster is None:
            raise ArgumentError(f"{flag} is for --cluster ADDRESS, which is not given")
    if not wanted(options):
        yield None
        return
    try:
        from vsrrin.convert.cluster import crew, local
    except ModuleNotFoundError as error:
        if error.name not in ("distributed", "dask"):
            raise
        raise ConvertError("the package distributed is not installed: pip install 'vsrrin[cluster]'") from None
    folders = crew.parse_map(options.cluster_map)
    if options.workers is not None:
        local.check_count(options.workers)
    else:
        crew.check_address(options.cluster)
    if options.dry_run:
        yield None
        return
    address = options.cluster
    if address is None:
        address = local.local_workers(options.workers, getattr(options, "device", None))
    with crew.Crew(address, cluster_map=folders, cluster_mixed=options.cluster_mixed, say=say) as found:
        yield found
