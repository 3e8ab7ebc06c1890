"""Conversions by a cluster: the same frames as without, and refusals that say which machine and what to do."""

import re
import resource
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from tests.convert.cluster.machines import Machines, convert_there, frames_of
from tests.convert.media.files import bunny, ffmpeg
from vsrrin import ArgumentError, ConvertError
from vsrrin.convert import prepare
from vsrrin.convert.cluster.crew import parse_map, there
from vsrrin.convert.image_folder import open_images
from vsrrin.convert.run import Progress
from vsrrin.convert.video import convert
from vsrrin.convert.work_folder import folder_of

Settings = partial(prepare.Settings, model="draft", segment_frames=7)
SINE = ("-f", "lavfi", "-i", "sine=d=1:r=48000")
MAPS = ("-map", "0:v", "-map", "1", "-map", "2", "-c:a", "flac")
OTHER_BITS = """
import vsrrin.engine.backends.processor as of_vsrrin
of_vsrrin.processor = lambda: "an older processor"
"""
OTHER_VERSION = 'import vsrrin; vsrrin.__version__ = "0.0.1"'
NO_VSRRIN = 'import sys; sys.modules["vsrrin"] = None'


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bunny(tmp_path_factory.mktemp("source"), "in.mkv", frames=16)


@pytest.mark.parametrize("kind", ["constant rate", "variable rate", "two sound tracks", "images"])
def test_frames_and_sound_are_those_of_one_process(kind: str, pair: Machines, tmp_path: Path) -> None:
    source = bunny(tmp_path, "in.mkv", *MAPS, inputs=(*SINE, *SINE), frames=16) if "sound" in kind else None
    if kind == "variable rate":
        source = tmp_path / "in.mkv"
        varied = "trim=end_frame=16,scale=160:90,setsar=1,setpts='(N+floor(N/3)+2*floor(N/7))/25/TB'"
        ffmpeg(tmp_path, "-i", str(bunny(tmp_path, "long.mkv")), "-vf", varied, "-fps_mode", "vfr", source.name)
    elif kind == "images":
        source = tmp_path / "images"
        source.mkdir()
        ffmpeg(source, "-i", str(bunny(tmp_path, "in.mkv", frames=16)), "%03d.png")
    source = source or bunny(tmp_path, "in.mkv", frames=16)
    images = open_images(source, Fraction(24), for_video=True).clip if kind == "images" else None
    whole = convert(Settings(source, tmp_path / "whole.mkv"), source=images)
    states: list[Progress] = []
    result = convert_there(pair, Settings(source, tmp_path / "out.mkv"), progress=states.append, images=images)
    assert frames_of(tmp_path / "out.mkv") == frames_of(tmp_path / "whole.mkv")
    assert (result.frames, result.cuts) == (whole.frames, whole.cuts)
    assert states[-1].frames_done == states[-1].frames_total == result.frames
    assert states[-1].workers.keys() == {"one", "two"}
    assert max(states[-1].workers.values()) > 0
    assert not folder_of(tmp_path / "out.mkv").exists()


def test_cuts_weights_repairs_and_a_part_are_those_of_one_process(pair: Machines, tmp_path: Path) -> None:
    """What a segment needs of its neighbours, and what the user's machine alone has."""
    halves = "[0:v]trim=end_frame=9,scale=160:90[a];[0:v]trim=start_frame=40:end_frame=49,scale=160:90,negate[b]"
    ffmpeg(
        tmp_path, "-i", str(bunny(tmp_path, "long.mkv", frames=60)), "-filter_complex",
        f"{halves};[a][b]concat=n=2,setpts=N/25/TB,setsar=1", "-r", "25", "-c:v", "ffv1", "in.mkv",
    )  # fmt: skip
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((Path(prepare.__file__).parents[1] / "weights" / "balanced.safetensors").read_bytes())
    (tmp_path / "bad.txt").write_text("5\n")
    chosen = partial(
        Settings,
        tmp_path / "in.mkv",
        model=weights,
        start=1,
        repair=tmp_path / "bad.txt",
        segment_frames=4,
        fps=Fraction(60),
    )
    whole = convert(chosen(tmp_path / "whole.mkv"))
    result = convert_there(pair, chosen(tmp_path / "out.mkv"))
    assert whole.cuts
    assert result.cuts == whole.cuts
    assert frames_of(tmp_path / "out.mkv") == frames_of(tmp_path / "whole.mkv")


def refused(machines: Machines | str, settings: prepare.Settings, **options: object) -> str:
    """What is said of a conversion that is refused, and leaves nothing."""
    with pytest.raises(ConvertError) as error:
        convert_there(machines, settings, **options)
    assert not settings.target.exists()
    assert not folder_of(settings.target).exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("preload", "expected"),
    [
        (OTHER_BITS, r"worker odd on \S+ would make frames of other bits: processor is an older processor, here .+"),
        (OTHER_VERSION, r"worker odd on \S+ has vsrrin 0\.0\.1, here it is .+: install the same version"),
        (NO_VSRRIN, r"worker \S+ on \S+ has no vsrrin.* pip install 'vsrrin\[cluster\]==.+' there"),
    ],
    ids=["processor", "version", "nothing"],
)
def test_a_worker_that_is_not_as_this_machine(
    preload: str, expected: str, pair: Machines, source: Path, tmp_path: Path
) -> None:
    whole = convert(Settings(source, tmp_path / "whole.mkv"))
    pair.begin("odd", preload=preload)
    try:
        assert re.fullmatch(expected, refused(pair, Settings(source, tmp_path / "out.mkv")))
        if preload == OTHER_BITS:
            said: list[str] = []
            convert_there(pair, Settings(source, tmp_path / "out.mkv"), said=said, cluster_mixed=True)
            assert [re.fullmatch(expected, text) for text in said if "other bits" in text] != [None]
            assert frames_of(tmp_path / "out.mkv") == frames_of(whole.target)
    finally:
        pair.kill("odd")


def test_a_worker_without_space(pair: Machines, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    pair.begin("full", preload="import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)")
    resource.prlimit(pair.workers["full"].pid, resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        with pytest.raises(ConvertError) as error:
            convert_there(pair, Settings(source, target, segment_frames=4))
        assert re.match(r"worker full on \S+: .+ cannot be written: File too large: free space there", str(error.value))
        assert not target.exists()
    finally:
        pair.kill("full")
    convert_there(pair, Settings(source, target, segment_frames=4, resume=True))
    convert(Settings(source, tmp_path / "whole.mkv", segment_frames=4))
    assert frames_of(target) == frames_of(tmp_path / "whole.mkv")


def test_a_source_elsewhere(pair: Machines, source: Path, tmp_path: Path) -> None:
    settings, here = Settings(source, tmp_path / "out.mkv"), source.parent
    said = refused(pair, settings, cluster_map={here: str(tmp_path / "none")})
    assert re.match(rf'worker (one|two) on \S+: {tmp_path}/none/in\.mkv is not there: .*cluster_map="FROM=TO"', said)
    (tmp_path / "there").mkdir()
    copy = tmp_path / "there" / "in.mkv"
    copy.write_bytes(source.read_bytes()[:-1] + b"?")
    said = refused(pair, settings, cluster_map={here: str(copy.parent)})
    assert re.match(rf"worker (one|two) on \S+: {copy} is another file there \(sha256 .+bring the same file", said)
    copy.write_bytes(source.read_bytes())
    assert convert_there(pair, settings, cluster_map={here: str(copy.parent)}).frames == 32


def test_a_source_that_changes_on_the_way(pair: Machines, source: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    copy = tmp_path / "there" / "in.mkv"
    copy.write_bytes(source.read_bytes())

    def change(state: Progress) -> None:
        if state.frames_done and copy.stat().st_size == source.stat().st_size:
            with copy.open("ab") as file:
                file.write(b"more")

    target = tmp_path / "out.mkv"
    with pytest.raises(
        ConvertError, match=rf"worker (one|two) on \S+: {copy} has changed while it was converted: bring"
    ):
        convert_there(
            pair, Settings(source, target, segment_frames=2), cluster_map={source.parent: str(copy.parent)},
            progress=change,
        )  # fmt: skip
    assert not target.exists()


def test_nobody_there(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(source, tmp_path / "out.mkv")
    with pytest.raises(
        ConvertError, match=r"scheduler tcp://127\.0\.0\.1:9 cannot be reached from here .*dask scheduler"
    ):
        convert_there("tcp://127.0.0.1:9", settings)
    with pytest.raises(ConvertError, match=r"scheduler nonsense://x:1 cannot be reached"):
        convert_there("nonsense://x:1", settings)
    monkeypatch.setattr("vsrrin.convert.cluster.sharing.PATIENCE", 1.0)
    machines = Machines(tmp_path)
    try:
        assert re.fullmatch(
            rf"no worker is at the scheduler {machines.address}: start some \(dask worker {machines.address}\)",
            refused(machines, settings),
        )
    finally:
        machines.end()


def test_two_runs_into_one_target(pair: Machines, source: Path, tmp_path: Path) -> None:
    settings, problems = Settings(source, tmp_path / "out.mkv", segment_frames=4), []

    def again(state: Progress) -> None:
        if not problems:
            with pytest.raises(ConvertError, match="another run is converting to") as error:
                convert_there(pair, Settings(source, settings.target, segment_frames=4, resume=True))
            problems.append(error)

    assert convert_there(pair, settings, progress=again).frames == 32
    assert problems


def test_workers_keep_nothing_of_a_conversion(pair: Machines, source: Path, tmp_path: Path) -> None:
    convert_there(pair, Settings(source, tmp_path / "out.mkv"))
    end = time.monotonic() + 60
    while left := [path for path in pair.folder.rglob("vsrrin-*") if path.is_dir()]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_folders_that_are_called_otherwise_there(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    folders = parse_map([f"{tmp_path}=/mnt", f"{inner}=/data/b=c/"])
    assert there(tmp_path / "x" / "in.mkv", folders) == "/mnt/x/in.mkv"
    assert there(inner / "in.mkv", folders) == "/data/b=c/in.mkv"
    assert there(Path("/elsewhere/in.mkv"), folders) == "/elsewhere/in.mkv"


@pytest.mark.parametrize("text", ["", "/media", "=/mnt", "/tmp=", "media=/mnt", "/tmp=mnt", "/tmp:/mnt"])
def test_a_map_that_is_none(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"cluster_map must be FROM=TO, two absolute paths: .+, not "):
        parse_map([text])
    with pytest.raises(ArgumentError, match="there is no /nowhere/at/all"):
        parse_map(["/nowhere/at/all=/mnt"])
