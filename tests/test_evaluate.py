"""The quality measurement: which triplets, what the metrics and baselines say, and that the filter agrees with them."""

import csv
import importlib.util
import json
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

from .conftest import texture

SCRIPT = Path(__file__).parents[1] / "scripts" / "evaluate.py"
HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
WIDTH, HEIGHT = 160, 96


def load() -> ModuleType:
    """Import a script, which is in no package."""
    spec = importlib.util.spec_from_file_location("scripts_evaluate", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


evaluate = load()


def picture(shift: float = 0.0) -> NDArray[np.uint8]:
    """(H, W, 3): a texture moved to the right."""
    image = texture(HEIGHT, WIDTH, (shift, 0.0))[0].permute(1, 2, 0).numpy()
    return np.rint(image * 255).astype(np.uint8)


def write_video(path: Path, frames: int, speed: float) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(speed * number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_size_keeps_small_pictures_and_is_even() -> None:
    assert evaluate.target_size(1280, 720) == (640, 360)
    assert evaluate.target_size(720, 1280) == (360, 640)
    assert evaluate.target_size(720, 404) == (640, 360)
    assert evaluate.target_size(320, 180) == (320, 180)


def test_slow_shots_give_wide_gaps_too() -> None:
    places = [[(s.start, s.gap, s.t) for s in kind] for kind in evaluate.spans(17, 1.4)]
    assert places == [[(1, 2, HALF), (11, 2, HALF)], [(1, 4, QUARTER), (11, 4, QUARTER)], [(1, 6, HALF)]]
    assert evaluate.spans(17, 1.5)[2] == []
    assert evaluate.spans(16, 1.4)[1][-1].start == 11  # frames 11 to 15
    assert evaluate.spans(15, 1.4)[1][-1].start == 1
    assert evaluate.spans(3, 0.0) == [[], [], []]


def test_every_second_triplet_of_the_list_by_kind() -> None:
    selected = evaluate.chosen({"b": (9, 9.0), "a": (9, 0.5), "c": (9, 9.0)})
    assert {name: [(s.gap, s.start) for s in found] for name, found in selected.items()} == {
        "a": [(2, 1), (6, 1)],
        "b": [(4, 1)],
        "c": [(2, 1)],
    }


@pytest.mark.parametrize("with_manifest", [True, False])
def test_triplets_of_a_folder(tmp_path: Path, with_manifest: bool) -> None:
    write_video(tmp_path / "slow.mp4", 9, 1.0)
    write_video(tmp_path / "fast.mkv", 9, 5.0)
    (tmp_path / "notes.txt").write_text("no video")
    if with_manifest:  # it is believed, so that a list of triplets does not depend on the flow
        clips = [{"file": n, "motion_mean_px": m, "w": 160, "h": 96} for n, m in (("slow.mp4", 4.0), ("fast.mkv", 0.1))]
        (tmp_path / "manifest.json").write_text(json.dumps({"clips": clips}))
    found = list(evaluate.triplets(tmp_path))
    wide = "fast.mkv" if with_manifest else "slow.mp4"
    assert {(t.clip, t.span.gap) for t in found} == {("fast.mkv", 2), ("fast.mkv", 4), (wide, 6)}
    quarter = next(t for t in found if t.span.gap == 4)
    assert evaluate.psnr(quarter.left, picture(5.0)) > 35
    assert evaluate.psnr(quarter.truth, picture(10.0)) > 35
    assert evaluate.psnr(quarter.right, picture(25.0)) > 35
    assert quarter.motion == pytest.approx(20, rel=0.3)
    assert quarter.bucket == "fast"


def test_psnr() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert evaluate.psnr(grey, grey + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert evaluate.psnr(grey + np.uint8(5), grey) == pytest.approx(20 * np.log10(255 / 5))
    assert evaluate.psnr(grey, grey) == evaluate.NO_ERROR


def test_ssim() -> None:
    grey = np.full((32, 32, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2  # without structure only the means count
    expected = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    assert evaluate.ssim(grey, grey + np.uint8(10)) == pytest.approx(expected)
    assert evaluate.ssim(picture(), picture()) == pytest.approx(1)
    assert evaluate.ssim(picture(), 255 - picture()) < 0


def test_ssimulacra2_only_where_its_plugin_is() -> None:
    score = evaluate.ssimulacra2(picture(), picture())
    assert (score is not None) == hasattr(vs.core, "vszip")
    assert score is None or score == pytest.approx(100, abs=0.5)


def test_blend_rounds_and_weighs_the_right_frame_by_t() -> None:
    left, right = np.full((4, 4, 3), 10, np.uint8), np.full((4, 4, 3), 21, np.uint8)
    assert np.all(evaluate.blend(left, right, QUARTER) == 13)
    assert np.all(evaluate.blend(right, left, QUARTER) == 18)


def test_backward_warp_samples_between_pixels_and_repeats_the_border() -> None:
    ramp = np.repeat(np.arange(0, 80, 10, np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    flow = np.zeros((4, 8, 2), np.float32)
    flow[..., 0] = 0.25
    assert evaluate.backward_warp(ramp, flow)[0, :, 0] == pytest.approx([2.5, 12.5, 22.5, 32.5, 42.5, 52.5, 62.5, 70])


@pytest.mark.parametrize("t", [HALF, QUARTER])
def test_plain_dis_and_filter_follow_the_motion(t: Fraction) -> None:
    left, truth, right = picture(), picture(8 * float(t)), picture(8)
    baseline = evaluate.psnr(evaluate.blend(left, right, t), truth)
    plain = evaluate.plain_dis(left, right, t)
    assert evaluate.psnr(plain, truth) > baseline + 6
    assert evaluate.psnr(evaluate.filtered("rrin_lite")(left, right, t), truth) > baseline + 6
    assert evaluate.psnr(evaluate.filtered("rrin_lite", "YUV444P16")(left, right, t), truth) > baseline + 6


def test_clip_holds_the_pictures() -> None:
    clip = evaluate.to_clip([picture(), picture(3)])
    assert (clip.format.id, clip.num_frames) == (vs.RGB24, 2)
    assert np.array_equal(evaluate.to_picture(clip.get_frame(1)), picture(3))


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "ssimulacra2", lambda picture, truth: None)
    write_video(tmp_path / "shot.mp4", 9, 1.0)
    results = tmp_path / "results.csv"
    arguments = ["--data", str(tmp_path), "--format", "RGB24", "YUV420P8", "--limit", "1", "--csv", str(results)]
    assert evaluate.main(arguments) == 0
    out, err = capsys.readouterr()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    methods = ["frame blend", "plain DIS", "vsrrin rrin_lite", "vsrrin rrin_lite YUV420P8"]
    assert [line[0] for line in lines] == ["method", "---", *methods]
    assert lines[0][4:7] == ["slow (1)", "medium (0)", "fast (0)"]
    assert [line[3:7] for line in lines[2:]] == [["-", line[1], "-", "-"] for line in lines[2:]]
    assert "shot.mp4 1+2 t=1/2 slow" in err
    rows = list(csv.DictReader(results.read_text("utf-8").splitlines()))
    assert [(row["method"], row["t"], row["ssimulacra2"]) for row in rows] == [(name, "1/2", "") for name in methods]
    assert [f"{float(row['psnr']):.2f}" for row in rows] == [line[1] for line in lines[2:]]


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--data", str(tmp_path / "none")], "is not a folder"),
        (["--data", str(tmp_path), "--limit", "0"], "--limit must be at least 1, not 0"),
        (["--data", str(tmp_path), "--format", "YUV9"], "YUV9 is not a format of VapourSynth"),
    ):
        with pytest.raises(SystemExit):
            evaluate.main(arguments)
        assert said in capsys.readouterr().err
    assert evaluate.main(["--data", str(tmp_path)]) == 1
    assert "has no video file of 4 or more frames" in capsys.readouterr().err
    write_video(tmp_path / "shot.mp4", 9, 1.0)
    assert evaluate.main(["--data", str(tmp_path), "--model", "nothing"]) == 1
    assert "evaluate: vsrrin.interpolate:" in capsys.readouterr().err
