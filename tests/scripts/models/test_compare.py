"""The picture of all networks: what is on it, where, and under which label."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scripts.models import compare
from tests.conftest import BUNNY, psnr
from vsrrin.checkpoint import loader
from vsrrin.nets import NETS
from vsrrin.nets.cain import CAIN
from vsrrin.nets.cain import SPEC as CAIN_SPEC
from vsrrin.preview import sheet

WIDTH, HEIGHT = 136, 130


def cell(picture: NDArray[np.uint8], number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(label, picture) of a cell of a written grid."""
    y, x = sheet.place(*divmod(number, compare.COLUMNS), HEIGHT, WIDTH)
    return picture[y - sheet.label_height(WIDTH) : y, x : x + WIDTH], picture[y : y + HEIGHT, x : x + WIDTH]


def test_grid_of_every_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "grid.png"
    assert compare.main(["--crop", f"{WIDTH}x{HEIGHT}", "--output", str(target)]) == 0
    labels = [line.strip() for line in capsys.readouterr().out.splitlines()[1:]]
    assert labels[:2] == ["source: frame 20", "true middle: frame 21"]
    assert labels[-1] == "source: frame 22"
    bundled = {loader.load(name).spec.name for name in loader.bundled()}
    for spec, label in zip(NETS, labels[2:-1], strict=True):
        assert label.startswith(f"{spec.name}: {'bundled' if spec.name in bundled else 'random'} weights")

    written = cv2.cvtColor(cv2.imread(str(target)), cv2.COLOR_BGR2RGB)
    cells = [cell(written, number) for number in range(len(labels))]
    shots = [compare.cropped(shot, (WIDTH, HEIGHT)) for shot in compare.read_frames(BUNNY, 20, 2)]
    for number, shot in ((0, shots[0]), (1, shots[1]), (len(labels) - 1, shots[2])):
        assert np.array_equal(cells[number][1], shot)
    for number, (label, picture) in enumerate(cells):
        assert label.max() > 200, "nothing is written on the label"
        for other_label, other in cells[:number]:
            assert not np.array_equal(picture, other)
            assert not np.array_equal(label, other_label)
    lite = next(picture for label, (_, picture) in zip(labels, cells, strict=True) if label.startswith("rrin_lite:"))
    assert psnr(lite, shots[1]) > psnr(shots[0], shots[1])


def test_weights_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = tmp_path / "mine.safetensors", tmp_path / "grid.png"
    net = CAIN(groups=1, blocks=1, features=16)
    sidecar = {key: "-" for key in loader.SIDECAR_GIVEN}
    loader.save(net, CAIN_SPEC, path, arithmetic="published", sidecar=sidecar)
    options = ["--nets", "cain", "--crop", f"{WIDTH}x{HEIGHT}", "--gap", "1", "--output", str(target)]
    assert compare.main([*options, "--weights", f"cain={path}"]) == 0
    labels = [line.strip() for line in capsys.readouterr().out.splitlines()[1:]]
    assert labels == ["source: frame 20", "cain: weights of mine.safetensors", "source: frame 21"]
    shots = [compare.cropped(shot, (WIDTH, HEIGHT)) for shot in compare.read_frames(BUNNY, 20, 1)]
    written = cv2.cvtColor(cv2.imread(str(target)), cv2.COLOR_BGR2RGB)
    pair = [torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 255 for x in shots]
    with torch.no_grad():
        expected = net.eval()(*pair, torch.full((1, 1, 1, 1), 0.5))[0].permute(1, 2, 0) * 255
    assert np.abs(cell(written, 1)[1] - expected.numpy()).max() <= 0.51


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--frame", "49"], "has no frame 51"),
        (["--clip", compare.__file__], "cannot be read as a video"),
        (["--nets", "cain", "--weights", "cain=missing.pth"], "there is no file missing.pth"),
        (["--nets", "cain", "--weights", f"cain={loader.bundled()['rrin_lite']}"], "weights of rrin_lite, not of"),
    ],
)
def test_what_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert compare.main([*options, "--output", str(tmp_path / "x.png")]) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options", [["--gap", "0"], ["--crop", "0x5"], ["--weights", "rrin"], ["--weights", "rife=x.pth"], ["--nets", "x"]]
)
def test_wrong_options_end_with_the_usage(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(options)
    assert stop.value.code == 2
