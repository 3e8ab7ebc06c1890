"""From a video file to a checkpoint that the filter uses, all by the commands that users type."""

import json
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import vapoursynth as vs
from numpy.typing import NDArray

import vsrrin
from tests.conftest import BUNNY, psnr
from training import prepare, train
from training.logs import read_log
from training.recipe import load
from training.start import start
from vsrrin import checkpoint

TINY = Path(train.__file__).parent / "recipes" / "tiny.toml"
WIDTH, HEIGHT = 320, 180


def write(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first half of the bundled clip, small, to train on, and the second to measure with."""
    folder = tmp_path_factory.mktemp("videos")
    with av.open(str(BUNNY)) as container:
        frames = [
            np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
            for frame in container.decode(video=0)
        ]
    write(folder / "train" / "first.mp4", frames[:25])
    write(folder / "held_out" / "second.mp4", frames[26:])
    return folder


def new_frames(clip: vs.VideoNode, model: str | Path) -> NDArray[np.uint8]:
    """Every second frame of the clip, made again from those around it."""
    made = vsrrin.interpolate(clip[::2], model=model, device="cpu")
    return np.stack([pixels(made, number) for number in range(1, clip.num_frames - 1, 2)])


def pixels(clip: vs.VideoNode, number: int) -> NDArray[np.uint8]:
    with clip.get_frame(number) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(3)])


def test_a_network_trained_on_a_video_is_used_by_the_filter(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    licence = "CC-BY 3.0, Blender Foundation"
    assert prepare.main([str(videos / "train"), "--out", "runs/tiny_data", "--licence", licence]) == 0
    options = ["--set", f"validate.data={videos / 'held_out'}", "--set", "validate.every=20", "--device", "cpu"]
    assert train.main([str(TINY), *options]) == 0
    said = capsys.readouterr()
    assert "finished after step 40; weights: runs/tiny/last.safetensors" in said.out

    best = tmp_path / "runs/tiny/best.safetensors"
    sidecar = json.loads(best.with_suffix(".json").read_text())
    assert sidecar["architecture"] == "rrin" and licence in sidecar["training_data"]
    measured = [float(line["psnr"]) for line in read_log(tmp_path / "runs/tiny/log.csv") if line["psnr"]]
    assert len(measured) == 3 and f"psnr {max(measured):.3f} dB"[:-4] in sidecar["metrics"]

    begun = start(load(TINY).model, 1, "tiny")
    untrained = tmp_path / "untrained.safetensors"
    facts = dict.fromkeys(checkpoint.SIDECAR_GIVEN, "untrained")
    checkpoint.save(begun.net, begun.spec, untrained, arithmetic=begun.arithmetic, sidecar=facts)

    clip = vs.core.bs.VideoSource(str(videos / "held_out/second.mp4"), cachemode=0)
    clip = clip.std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0).resize.Bicubic(format=vs.RGB24)
    truth = np.stack([pixels(clip, number) for number in range(1, clip.num_frames - 1, 2)])
    made, before = new_frames(clip, str(best)), new_frames(clip, untrained)
    assert not np.array_equal(made, new_frames(clip, "rrin_lite"))
    assert psnr(made, truth) > psnr(before, truth) + 2
