"""From a video file to a checkpoint that the filter uses, all by the commands that users type."""

import json
import re
import shlex
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
from training.model.start import start
from training.recipe import load
from training.run.logs import read_log
from vsrrin.checkpoint import loader

ROOT = Path(train.__file__).parents[1]
TINY = ROOT / "training" / "recipes" / "tiny.toml"
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


def manual() -> tuple[list[list[str]], str]:
    """The commands of the training guide, without their installation, and the model that it ends with."""
    section = (ROOT / "docs/training.md").read_text("utf-8").partition("\n## Train your own\n")[2].partition("\n## ")[0]
    lines = section.partition("```sh\n")[2].partition("```")[0].splitlines()
    (model,) = re.findall(r'model="(.+?)"', section)
    return [shlex.split(line) for line in lines if line.startswith("python -m")], model


@pytest.fixture
def clone(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: what a clone has, as far as training needs it, and a folder of videos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training").symlink_to(ROOT / "training")
    (tmp_path / "videos").symlink_to(videos / "train")
    return tmp_path


def test_the_commands_of_the_manual_train_a_network_that_the_filter_uses(
    videos: Path, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands, model = manual()
    programs = {"training.prepare": prepare.main, "training.train": train.main}
    assert [command[2] for command in commands] == list(programs)
    for _, _, program, *arguments in commands:
        assert programs[program](arguments) == 0
    assert f"finished after step 40; weights: {model}" in capsys.readouterr().out

    begun = start(load(TINY).model, 1, "tiny")
    untrained = clone / "untrained.safetensors"
    facts = dict.fromkeys(loader.SIDECAR_GIVEN, "untrained")
    loader.save(begun.net, begun.spec, untrained, arithmetic=begun.arithmetic, sidecar=facts)

    clip = vs.core.bs.VideoSource(str(videos / "held_out/second.mp4"), cachemode=0)
    clip = clip.std.SetFrameProps(_Matrix=vs.MATRIX_BT709, _Range=0).resize.Bicubic(format=vs.RGB24)
    truth = np.stack([pixels(clip, number) for number in range(1, clip.num_frames - 1, 2)])
    made, before = new_frames(clip, model), new_frames(clip, untrained)
    assert not np.array_equal(made, new_frames(clip, "rrin_lite"))
    assert psnr(made, truth) > psnr(before, truth) + 2


def test_the_best_by_validation_says_how_good_it_is(videos: Path, clone: Path) -> None:
    licence = "CC-BY 3.0, Blender Foundation"
    assert prepare.main(["videos", "--out", "runs/tiny_data", "--licence", licence]) == 0
    changes = (f"validate.data={videos / 'held_out'}", "validate.every=10", "optim.steps=20")
    assert train.main([str(TINY), "--device", "cpu", *(part for change in changes for part in ("--set", change))]) == 0
    best = clone / "runs/tiny/best.safetensors"
    sidecar = json.loads(best.with_suffix(".json").read_text())
    assert sidecar["architecture"] == "rrin" and licence in sidecar["training_data"]
    measured = [float(line["psnr"]) for line in read_log(clone / "runs/tiny/log.csv") if line["psnr"]]
    assert len(measured) == 3 and f"psnr {max(measured):.3f} dB"[:-4] in sidecar["metrics"]
