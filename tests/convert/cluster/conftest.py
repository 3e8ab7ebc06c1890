"""A cluster of two workers, which tests share that leave it alive."""

from collections.abc import Iterator

import pytest

from tests.convert.cluster.machines import Machines


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A scheduler and two workers, "one" and "two"."""
    machines = Machines(tmp_path_factory.mktemp("pair"))
    try:
        machines.begin("one", "two")
        yield machines
    finally:
        machines.end()
