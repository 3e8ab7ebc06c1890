"""The benchmark beside peers: a small run of it, what it counts, and what it concludes."""

import json
import re
import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs
from torch import nn, rand

from scripts.benchmarks.clips import load_clip, size_of, write_source
from scripts.benchmarks.peers import __main__ as benchmark
from scripts.benchmarks.peers.limits import convolution_flop
from scripts.benchmarks.peers.method import UnavailableError, parse
from scripts.benchmarks.peers.methods import DEFAULT, make
from scripts.benchmarks.peers.process import Process, WorkerError
from scripts.benchmarks.peers.report import conclusions, report
from scripts.benchmarks.peers.results import Cell, Quality, Results
from tests.conftest import BUNNY, psnr
from vsrrin.engine.backends import processor

MEGABYTES_50 = 50 * 10**6


def cells_of(text: str, method: str) -> list[list[str]]:
    """The rows of a method in the tables, as cells after its name."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return [row[1:] for row in rows if row[0] == method]


@pytest.mark.parametrize("method", ["rrin_lite:precision=bf16", "rife-4.0:backend=openvino:precision=mixed"])
def test_bf16_is_not_measured_where_it_is_emulated(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: False)
    with pytest.raises(UnavailableError, match="this processor does not multiply bf16"):
        make(method, tmp_path)


def test_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = ["draft", "mvtools", "draft:device=nowhere"]
    arguments = ["--sizes", "128x96", "--rounds", "1", "--frames", "3", "--seconds", "60", "--no-limits"]
    quality = ["--val", str(BUNNY.parent), "--limit", "1"]
    benchmark.main(["--methods", *methods, *arguments, *quality, "--out", str(tmp_path)])
    text = (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()

    data = json.loads((tmp_path / "results.json").read_text())
    assert [(cell["method"], cell["factor"]) for cell in data["cells"]] == [(m, f) for m in methods for f in (2, 4)]
    for cell in data["cells"][:4]:
        (run,) = cell["runs"]
        assert run["frames"] == 3 and run["new"] == 2 * (cell["factor"] - 1)
        assert run["seconds"] > 0 and run["cpu"] > 0 and cell["problem"] == ""
        assert 10**7 < run["peak"] < 4 * 10**9
    # mvtools' worker holds no PyTorch.
    assert data["cells"][0]["runs"][0]["peak"] > data["cells"][2]["runs"][0]["peak"] + MEGABYTES_50
    for method in methods[:2]:
        assert 25 < data["quality"][method]["psnr"] < 60 and data["quality"][method]["triplets"] == 1

        two, four = cells_of(text, method)[:2]
        assert [two[0], four[0]] == ["2", "4"]
        # Seconds are written with four digits after the point, too few to be turned round where 1000 frames take one.
        seconds = next(cell for cell in data["cells"] if cell["method"] == method)["runs"][0]["seconds"] / 2
        assert (two[1], two[2]) == (f"{1 / seconds:.2f}", f"{seconds:.4f}")
        assert two[7] == four[7] == f"{data['quality'][method]['psnr']:.2f}"
    assert all(row[1] == "not measured (1)" for row in cells_of(text, methods[2]))
    assert re.search(r"^- draft:device=nowhere: .*device must be \"cpu\"", text, re.MULTILINE)
    assert "- 128x96: draft " in text and "(goal at most 2.2: " in text

    picture = (tmp_path / "quality_speed.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", picture[16:24]) == (990, 605)


def test_source_is_the_video_scaled(tmp_path: Path, small_bunny: vs.VideoNode) -> None:
    source = write_source(BUNNY, tmp_path / "frames.yuv", (256, 144), 2)
    clip = load_clip(source)
    assert (clip.width, clip.height, clip.num_frames, clip.format.id) == (256, 144, 2, vs.YUV420P8)
    for number in range(2):
        ours, theirs = (np.asarray(node.get_frame(number)[0]) for node in (clip, small_bunny))
        assert psnr(ours, theirs) > 35
    with pytest.raises(ValueError, match="has 50 frames, fewer than the 51 asked for"):
        write_source(BUNNY, tmp_path / "more.yuv", (16, 16), 51)


def test_operations_of_convolutions() -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ReLU(), nn.ConvTranspose2d(6, 5, 4, 2, 1))
    x = rand(1, 4, 10, 8)
    first = 2 * 9 * 10 * 8 * 6 * 2  # 6 channels, each of 2
    second = 2 * 16 * 10 * 8 * 6 * 5
    assert convolution_flop(lambda: net(x)) == first + second
    assert convolution_flop(lambda: None) == 0


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    source = {"path": "", "width": 2, "height": 2, "frames": 2}
    with (
        closing(Process("rife-4.0:precision=int8", tmp_path)) as process,
        pytest.raises(WorkerError, match="has no variant torch, int8"),
    ):
        process.ask("flop", source=source, factor=2)


# --- conclusions ---------------------------------------------------------------------------------------------------


def cell(method: str, seconds: float, factor: int = 2, size: str = "480p", peak: float = 1e9) -> Cell:
    run = {"seconds": 2 * seconds, "cpu": 4 * seconds, "new": 2, "peak": int(peak), "possible": 4.0, "others": 1.0}
    width, height = size_of(size)
    return Cell(method=method, size=size, width=width, height=height, factor=factor, runs=[run])


def test_conclusions() -> None:
    results = Results(
        cells=[
            cell("rrin_lite", 0.1),
            cell("rrin_lite", 0.08, factor=4),
            cell("rrin_lite", 3, size="4k", peak=6.5e9),
            cell("rife-4.0:precision=fp32", 0.4),
            cell("rife-4.0:backend=openvino:precision=bf16", 0.2),
            cell("rrin-eager", 4),
            cell("rrin:precision=bf16", 0.9),
            cell("mvtools", 0.01),
        ],
        quality={
            "rrin_lite": Quality(30.5, 0.9, 44),
            "rife-4.0:precision=fp32": Quality(30.0, 0.9, 44),
            "rife-4.0:backend=openvino:precision=bf16": Quality(25.0, 0.8, 44),
        },
        rates={"torch": {"fp32": [1e11], "bf16": [2e11, 4e11, 9e11]}},
    )
    results.cells[0].flop = 2e10
    text = "\n\n".join(conclusions(results))
    assert cells_of(text, "rrin_lite") == [["2.00", "4.00", "-", "30.50 dB"]]
    assert "rrin:precision=bf16 makes 4.44 times the frames of rrin-eager (goal at least 4: met)" in text
    assert "480p: rrin_lite 2.40 (goal at most 2.2: NOT MET)" in text
    assert "3840x2160, factor 2: rrin_lite 3.00 s per new frame, 6.50 GB (goal below 6 GB: NOT MET)" in text
    assert results.share_of_limit(results.cells[0]) == pytest.approx(2e10 / 4e11 / 0.1)
    assert "other programs: 25%" in report(results)


def test_results_are_kept_and_joined(tmp_path: Path) -> None:
    early = Results({"date": "1"}, [cell("draft", 1), cell("mvtools", 2)], {"draft": Quality(30.0, 0.9, 1)})
    early.save(tmp_path / "early.json")
    late = Results({"date": "2"}, [cell("draft", 3)], {})
    late.add(Results.load(tmp_path / "early.json"))
    assert [(c.method, c.seconds) for c in late.cells] == [("draft", 3), ("mvtools", 2)]
    assert late.machine == {"date": "2"} and late.psnr("draft") == 30


@pytest.mark.parametrize("text", ["", ":a=b", "draft:precision", "mvtools:pel=1", "rife-4.0:scale=2", "rrin-eager:t=1"])
def test_wrong_methods(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        benchmark.main(["--methods", text])
    assert stop.value.code == 2 and f"--methods: {text!r} is not understood" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--sizes", "481x64"], ["--frames", "2"], ["--factors", "1"], ["--clip", "no"]])
def test_wrong_options_end_with_the_usage(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        benchmark.main(options)
    assert stop.value.code == 2


def test_default_methods_are_understood() -> None:
    names = {parse(text)[0] for text in DEFAULT}
    assert {"rrin_lite", "draft", "rrin", "rrin-eager", "rife-4.0", "mvtools", "svpflow", "minterpolate"} <= names
