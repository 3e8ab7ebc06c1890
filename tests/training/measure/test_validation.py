"""Measuring a network while it learns."""

from fractions import Fraction
from pathlib import Path
from statistics import fmean

import pytest
import torch

from tests.training.moving import write_video
from training.errors import DatasetError
from training.measure.methods import from_tensor, to_tensor
from training.measure.metrics import psnr
from training.measure.triplets import triplets
from training.measure.validation import Validation
from vsrrin.checkpoint import loader
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.nets import cain

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["draft", "rrin_lite"])
def test_the_figures_are_those_of_the_filter_s_engine(tmp_path: Path, name: str) -> None:
    """With the flow that the network has learned to live with."""
    write_video(tmp_path / "a.mp4", 8, 2.0)
    write_video(tmp_path / "b.mp4", 8, 0.5)
    model = loader.load(name)
    found = Validation(tmp_path, None, model.spec, CPU)(model.net)
    engine, scores = Interpolator(model, Options(device="cpu", backend="torch")), dict[str, list[float]]()
    for triplet in triplets(tmp_path):
        made = engine.interpolate(to_tensor(triplet.left), to_tensor(triplet.right), [triplet.span.t])[0]
        for measure in ("psnr", f"psnr_{triplet.bucket}"):
            scores.setdefault(measure, []).append(psnr(from_tensor(made), triplet.truth))
    assert len(scores) == 3
    assert found == {measure: pytest.approx(fmean(values), abs=1e-3) for measure, values in scores.items()}


def test_a_network_that_knows_only_the_middle_is_measured_there(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, 8, 2.0)
    assert [triplet.span.t for triplet in triplets(tmp_path)] == [Fraction(1, 2), Fraction(1, 4)]
    torch.manual_seed(0)
    net = cain.CAIN(groups=1, blocks=1, features=16).eval()
    middle = Validation(tmp_path, None, cain.SPEC, CPU)(net)
    first = triplets(tmp_path)[0]
    left, right = to_tensor(first.left), to_tensor(first.right)
    with torch.inference_mode():
        made = net(left, right, torch.full((1, 1, 1, 1), 0.5))
    assert middle["psnr"] == pytest.approx(psnr(from_tensor(made), first.truth), abs=0.1)  # it is run in bf16 there


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no video file"):
        Validation(tmp_path, None, cain.SPEC, CPU)
