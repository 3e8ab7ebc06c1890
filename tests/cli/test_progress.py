"""The progress bar, the messages and the log."""

import io
import re
from pathlib import Path

import pytest

from vsrrin.cli.progress import Log, Reporter
from vsrrin.errors import ConvertError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(text: str) -> list[str]:
    """The lines that stay to be seen on a terminal."""
    lines = []
    for line in text.split("\n"):
        visible = ""
        for part in line.split("\r"):
            visible = part + visible[len(part) :]
        lines.append(visible.rstrip())
    return lines


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_a_terminal_gets_one_line_that_is_redrawn() -> None:
    stream, clock = Terminal(), Clock()
    with Reporter(stream=stream, clock=clock) as reporter:
        for done in (10, 20, 30):
            clock.now += 1
            reporter.progress(done, 100, cuts=1)
        reporter.say("something happened")
        for done in (40, 100):
            clock.now += 1
            reporter.progress(done, 100, cuts=2)
    first, second, end = shown(stream.getvalue())
    assert first == "vsrrin: something happened"
    assert re.fullmatch(r"\[#+\] 100 %  100 of 100 frames, 22\.5 fps, 0:00 left, cuts: 2", second)
    assert end == ""
    assert "30 of 100 frames, 10.0 fps, 0:07 left, cuts: 1" in stream.getvalue()


def test_a_bar_is_not_drawn_for_every_frame() -> None:
    stream, clock = Terminal(), Clock()
    with Reporter(stream=stream, clock=clock) as reporter:
        for done in range(1, 1001):
            clock.now += 0.001
            reporter.progress(done, 1000, cuts=0)
    assert stream.getvalue().count("frames") <= 12


@pytest.mark.parametrize("width", [0, 1, 30, 60, 61, 500])
def test_a_bar_fits_into_its_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    with Reporter(stream=stream) as reporter:
        reporter.progress(1, 2, cuts=0)
    line = stream.getvalue().split("\n")[0]
    assert len(line) < max(width or 80, 2)


def test_a_pipe_gets_a_line_for_each_tenth() -> None:
    stream = io.StringIO()
    with Reporter(stream=stream, clock=Clock()) as reporter:
        for done in range(1, 1001):
            reporter.progress(done, 1000, cuts=0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "vsrrin:  10 %  100 of 1000 frames, cuts: 0"
    assert "\r" not in stream.getvalue()


def test_each_worker_is_shown_with_its_speed() -> None:
    stream = io.StringIO()
    with Reporter(stream=stream, clock=Clock()) as reporter:
        reporter.progress(5, 10, cuts=0, workers={"alpha": 6.04, "10.0.0.2:4001": 0.0})
    assert stream.getvalue().endswith(", cuts: 0; workers: 2 (alpha: 6.0 fps, 10.0.0.2:4001: 0.0 fps)\n")


def test_frames_of_earlier_runs_do_not_count_for_the_speed() -> None:
    stream, clock = io.StringIO(), Clock()
    with Reporter(stream=stream, clock=clock) as reporter:
        reporter.progress(500, 1000, cuts=0, resumed=500)
        clock.now = 10
        reporter.progress(600, 1000, cuts=0, resumed=500)
    assert stream.getvalue().splitlines()[-1] == "vsrrin:  60 %  600 of 1000 frames, 10.0 fps, 0:40 left, cuts: 0"


def test_frames_that_are_finished_at_once_tell_no_speed() -> None:
    stream, clock = io.StringIO(), Clock()
    with Reporter(stream=stream, clock=clock) as reporter:
        for done in (10, 20, 30):
            reporter.progress(done, 100, cuts=0)
            clock.now += 0.001
        clock.now = 1
        reporter.progress(40, 100, cuts=0)
    first, *_, last = stream.getvalue().splitlines()
    assert first == "vsrrin:  10 %  10 of 100 frames, cuts: 0"
    assert "20 of 100 frames, cuts: 0" in stream.getvalue()
    assert last == "vsrrin:  40 %  40 of 100 frames, 30.0 fps, 0:02 left, cuts: 0"


def test_long_times() -> None:
    stream, clock = io.StringIO(), Clock()
    with Reporter(stream=stream, clock=clock) as reporter:
        reporter.progress(0, 100_000, cuts=0)
        clock.now = 10
        reporter.progress(10_000, 100_000, cuts=0)
        clock.now = 20_000
        reporter.progress(20_000, 100_000, cuts=0)
    assert "left" in stream.getvalue()
    assert re.search(r"\d+:\d\d:\d\d left", stream.getvalue())


def test_quiet_is_quiet_but_for_the_log(tmp_path: Path) -> None:
    for stream in (Terminal(), io.StringIO()):
        with Reporter(Log(tmp_path / "log"), quiet=True, stream=stream) as reporter:
            reporter.say("hello")
            reporter.progress(10, 10, cuts=0)
        assert stream.getvalue() == ""
    text = (tmp_path / "log").read_text()
    assert text.count("# vsrrin log\n") == 2
    assert len(re.findall(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d hello$", text, re.MULTILINE)) == 2
    assert text.count("100 %  10 of 10 frames") == 2


def test_the_log_says_why_a_run_stopped(tmp_path: Path) -> None:
    with pytest.raises(ConvertError), Reporter(Log(tmp_path / "log"), stream=io.StringIO()):
        raise ConvertError("the disk is full\nreally")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines[1:]] == ["stopped: the disk is full", "really"]


def test_a_log_replaces_nothing(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"film")
    with pytest.raises(ConvertError, match=r"film\.mkv exists and is no log of vsrrin"):
        Log(film)
    assert film.read_bytes() == b"film"
    with pytest.raises(ConvertError, match="cannot be written: No such file"):
        Log(tmp_path / "missing" / "log")
    with pytest.raises(ConvertError, match="cannot be written: Is a directory"):
        Log(tmp_path)


def test_a_log_takes_what_is_no_text(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.write("caf\udce9.mkv")
    log.close()
    assert (tmp_path / "log").read_text().endswith("caf\\udce9.mkv\n")
