"""vsrrin.convert_file: files of all kinds by one function, without a command line."""

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import vsrrin
from tests.conftest import BUNNY
from tests.convert.media.files import bunny
from tests.image_files import write_sequence
from vsrrin import files


def frames_of(path: Path) -> int:
    with av.open(files.url(path)) as container:
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
        (
            "out.txt",
            {},
            "target must be a video (.mkv, .mp4, .m4v, .mov, .webm), a moving image (.gif, .apng, .webp) or a folder",
        ),
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


NAMES = (
    "take1:final.mkv",
    "http:x.mp4",
    "%03d.mkv",
    "[x]*?'\".webm",
    "new\nline.mov",
    "caf\udce9.mkv",
    f"{'x' * 251}.mkv",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_open_takes_can_be_used(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "in" / name, tmp_path / "out" / name
    source.parent.mkdir()
    target.parent.mkdir()
    shutil.copy(bunny(tmp_path, "bunny.mkv", frames=5), source)
    monkeypatch.chdir(target.parent)  # ./ in front of a name would help FFmpeg
    vsrrin.convert_file(source, name, model="draft")
    assert [path.name for path in target.parent.iterdir()] == [name]
    assert frames_of(target) == 10


def test_a_link_to_the_target_stays_one(tmp_path: Path) -> None:
    source = bunny(tmp_path, "bunny.mkv", frames=3)
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.mkv"
    link.symlink_to("there/real.mkv")
    assert vsrrin.convert_file(source, link, model="draft").target == tmp_path / "there" / "real.mkv"
    assert link.is_symlink() and frames_of(link) == 6
    link.unlink()
    link.symlink_to(link.name)
    with pytest.raises(vsrrin.ConvertError, match="leads in a circle"):
        vsrrin.convert_file(source, link, model="draft")


def test_targets_that_cannot_be_replaced_are_refused(tmp_path: Path) -> None:
    source = bunny(tmp_path, "bunny.mkv", frames=3)
    os.mkfifo(tmp_path / "pipe.mkv")
    with pytest.raises(vsrrin.ConvertError, match="a device or a pipe"):
        vsrrin.convert_file(source, tmp_path / "pipe.mkv", model="draft", overwrite=True)
    with pytest.raises(vsrrin.ArgumentError, match="target must be the name of a file or a folder, not '-'"):
        vsrrin.convert_file(source, "-", model="draft")
