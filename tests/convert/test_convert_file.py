"""vsrrin.convert_file: files of all kinds by one function, without a command line."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import vsrrin
from tests.conftest import BUNNY
from tests.image_files import write_sequence


def frames_of(path: Path) -> int:
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_video_becomes_a_video_of_twice_the_rate(tmp_path: Path) -> None:
    said: list[str] = []
    result = vsrrin.convert_file(
        BUNNY, tmp_path / "out.mkv", model="draft", start=0, end="4f", say=said.append, precision="fp32"
    )
    assert (result.frames, frames_of(tmp_path / "out.mkv"), result.target) == (8, 8, tmp_path / "out.mkv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mkv"]


def test_images_become_images_and_a_video(tmp_path: Path) -> None:
    pictures = write_sequence(tmp_path / "in", 3)
    result = vsrrin.convert_file(pictures, f"{tmp_path}/out", factor="3", model="draft")
    names = sorted(entry.name for entry in (tmp_path / "out").iterdir())
    assert result.frames == 9 and names == [f"{number:06d}.png" for number in range(1, 10)]
    before, after = (np.asarray(Image.open(path)) for path in (pictures / "9.png", tmp_path / "out" / names[3]))
    assert np.array_equal(before, after)
    vsrrin.convert_file(pictures, tmp_path / "out.mkv", fps=60, image_rate=30, model="draft", codec="ffv1")
    assert frames_of(tmp_path / "out.mkv") == 6


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.mkv", {"modell": "draft"}, "convert_file has no argument 'modell'"),
        ("out.mkv", {"factor": 1.5}, "factor must be a positive int"),
        ("out.mkv", {"tile": 3}, "tile must be a side"),
        ("out.mkv", {"image_rate": 0}, "image_rate must be a positive int"),
        ("out.mkv", {"start": 1.5}, "start must be a frame number (int), seconds (Fraction) or a text"),
        ("out.mkv", {"end": "soon"}, "end must be seconds (83.5)"),
        ("out.txt", {}, "target must be a video (.mkv, .mp4, .m4v, .mov, .webm) or a folder, not"),
    ],
)
def test_wrong_arguments_are_named(target: str, options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(vsrrin.ArgumentError) as caught:
        vsrrin.convert_file(BUNNY, tmp_path / target, **options)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_interpolator_makes_frames_of_tensors_without_vapoursynth(tmp_path: Path) -> None:
    engine = vsrrin.Interpolator(vsrrin.load("draft"), vsrrin.Options(device="cpu", tile=0))
    from tests.conftest import texture

    left, right = texture(64, 96), texture(64, 96, (4.0, 0.0))
    (middle,) = engine.interpolate(left, right, [0.5])
    truth = texture(64, 96, (2.0, 0.0))
    assert (middle - truth)[..., 8:-8].abs().mean() < 0.3 * (left - truth)[..., 8:-8].abs().mean()
    with pytest.raises(vsrrin.ArgumentError, match="one device for Interpolator"):
        vsrrin.Interpolator("draft", vsrrin.Options(device=["cpu", "cpu"]))
