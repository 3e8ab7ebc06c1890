"""Arguments for work in several processes; what the workers do is tested in tests/convert/cluster."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conversions import mistake, run
from tests.convert.cluster.machines import Machines
from vsrrin.convert.cluster import local

SCHEDULER = ("--cluster", "tcp://127.0.0.1:9")
WITHOUT = (
    "import sys; sys.modules['distributed'] = None; from vsrrin.cli.main import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*SCHEDULER, "--workers", "2"), "argument --workers: not allowed with argument --cluster"),
        (("--workers", "many"), "argument --workers: invalid int value: 'many'"),
        (("--workers", "0"), "vsrrin: --workers must be 1 to "),
        (("--cluster-map", "/a=/b"), "vsrrin: --cluster-map is for --cluster ADDRESS, which is not given"),
        (("--cluster-mixed", "--workers", "1"), "vsrrin: --cluster-mixed is for --cluster ADDRESS, which is not given"),
        ((*SCHEDULER, "--cluster-map", "/a:/b"), "vsrrin: --cluster-map must be FROM=TO, two absolute paths: "),
        ((*SCHEDULER, "--cluster-map", "/nowhere=/b"), "there is no /nowhere"),
        *(
            (
                ("--cluster", address),
                f"vsrrin: --cluster must be the address of a scheduler, as it says it: a host and a port, such as "
                f"tcp://scheduler:8786, not {address!r}",
            )
            for address in ("", " ", "boss", "8786", "tcp://boss", "tcp://:8786", "boss:port", "boss:0", "boss:70000")
        ),
    ],
)
def test_arguments_that_are_wrong(
    arguments: tuple[str, ...], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "not allowed" in said or "invalid" in said:
        status, _, err = run("in.mp4", "out.mkv", *arguments)
        assert status == 2
    else:
        err = mistake(capsys, "in.mp4", "out.mkv", *arguments)
    assert said in err


def test_a_scheduler_that_is_not_there(folder: Path) -> None:
    status, _, err = run("in.mp4", "out.mkv", *SCHEDULER)
    assert status == 1
    assert err.startswith("vsrrin: the scheduler tcp://127.0.0.1:9 cannot be reached from here (")
    assert sorted(path.name for path in folder.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "tls://127.0.0.1:9", "127.0.0.1:9"])
def test_addresses_that_cannot_be_used(address: str, folder: Path) -> None:
    status, _, err = run("in.mp4", "out.mkv", "--cluster", address)
    assert status == 1
    assert err.startswith(f"vsrrin: the scheduler {address} cannot be reached from here (")
    assert err.count("\n") == 1  # no traces of threads that end later


def test_a_dry_run_asks_nobody(folder: Path) -> None:
    status, out, _ = run("in.mp4", "out.mkv", "--dry-run", "--model", "draft", *SCHEDULER)
    assert status == 0
    assert "segments   1 of 500 frames" in out


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("out.mkv", ("--workers", "100000"), "vsrrin: --workers must be 1 to "),
        (
            "out.mkv",
            (*SCHEDULER, "--cluster-map", "bad"),
            "vsrrin: --cluster-map must be FROM=TO, two absolute paths: ",
        ),
        ("out.gif", ("--workers", "1"), "vsrrin: --workers and --cluster are for videos, and out.gif is none"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(
    target: str, arguments: tuple[str, ...], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in mistake(capsys, "in.mp4", target, "--dry-run", "--model", "draft", *arguments)


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("there.mkv", 1, "vsrrin: there.mkv exists: --overwrite replaces it"),
        ("out.gif", 2, "vsrrin: --workers and --cluster are for videos, and out.gif is none"),
    ],
)
def test_workers_start_when_nothing_else_is_wrong(
    target: str,
    status: int,
    said: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def none(*given: object) -> Iterator[str]:
        pytest.fail("workers were started")
        yield ""

    monkeypatch.setattr(local, "local_workers", none)
    (folder / "there.mkv").touch()
    assert said in mistake(capsys, "in.mp4", target, "--model", "draft", "--workers", "1", status=status)


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A scheduler without workers."""
    found = Machines(tmp_path_factory.mktemp("machines"))
    yield found
    found.end()


@pytest.mark.parametrize("target", ["frames/", "out.gif"])
def test_what_has_no_segments_is_refused(machines: Machines, folder: Path, target: str) -> None:
    status, _, err = run("in.mp4", target, "--cluster", machines.address, "--model", "draft")
    assert status == 2
    assert f"--workers and --cluster are for videos, and {target} is none: leave them out" in err


def test_the_package_is_missing(folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "convert", "in.mp4", "out.mkv", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert done.stderr == "vsrrin: the package distributed is not installed: pip install 'vsrrin[cluster]'\n"
