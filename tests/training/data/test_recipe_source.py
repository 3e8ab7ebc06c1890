"""The source of samples that a recipe describes, and what is said of its data."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.training.moving import picture
from tests.training.tiny import SIDE, recipe
from training.data.banks.building import Data, make_bank
from training.data.banks.maker import BankSettings
from training.data.banks.samples import BankSource
from training.data.flat_samples import FlatSource
from training.data.mixed_samples import MixedSource
from training.data.real_samples import RealSource
from training.data.recipe_source import describe, open_source
from training.data.synthetic_samples import SyntheticSource
from training.errors import DatasetError
from training.recipe import DataTable


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder of frame folders, and one of photos with a manifest."""
    for number in range(5):
        path = tmp_path / "frames" / "shot" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(3.0 * number))
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos/a.png"), picture())
    (tmp_path / "photos/manifest.json").write_text(json.dumps([{"file": "a.png", "licence": "CC0"}]))
    return tmp_path


def table(folder: Path, synthetic: float = 0.0, **changes: object) -> DataTable:
    data = {"shots": [str(folder / "frames")], "photos": str(folder / "photos"), "synthetic": synthetic, **changes}
    return recipe(data=data).data


def test_shares_decide_what_a_source_is_made_of(folders: Path) -> None:
    for synthetic, kind in ((0.0, RealSource), (0.5, MixedSource), (1.0, SyntheticSource)):
        source = open_source(table(folders, synthetic, candidates=2, hard=0.0), 1)
        assert isinstance(source, kind)
        sample = source.sample(3)
        assert sample.img0.shape == (3, SIDE, SIDE) and sample.flow.shape == (4, SIDE // 2, SIDE // 2)


def test_flat_art_takes_turns_with_others_and_needs_no_photos(folders: Path) -> None:
    for data, kind in (
        (recipe(data={"shots": [], "flat": 1.0}).data, FlatSource),
        (table(folders, 0.7, shots=[], flat=0.3), MixedSource),
        (table(folders, flat=0.5, candidates=2), MixedSource),
    ):
        source = open_source(data, 1)
        assert isinstance(source, kind)
        assert source.sample(1).flow.shape == (4, SIDE // 2, SIDE // 2)
    assert describe(table(folders, flat=0.5)) == "frames (licence not stated); photos (1 x CC0)"


def test_settings_reach_the_source(folders: Path) -> None:
    changes = {"largest_gap": 2, "candidates": 2, "hard": 0.25, "margin": 8, "times": "middle", "flow_scale": 0.5}
    changes["flow_preset"] = "fast"
    source = open_source(table(folders, **changes), 1)
    assert isinstance(source, RealSource)
    assert {name: getattr(source.sampling, name) for name in changes} == changes
    assert source.sample(0).t == 0.5


def test_a_bank_takes_the_place_of_shots(folders: Path) -> None:
    data = Data(shots=(folders / "frames",))
    list(make_bank(folders / "bank", 2, BankSettings(window=SIDE, crop=SIDE, synthetic=0.0), data))
    source = open_source(bank(folders), 1)
    assert isinstance(source, BankSource) and np.isfinite(source.sample(5).target.numpy()).all()
    assert describe(bank(folders)) == "bank (licence not stated)"


def bank(folder: Path) -> DataTable:
    return recipe(data={"shots": [], "bank": str(folder / "bank")}).data


def test_licences_are_said_in_short(folders: Path) -> None:
    assert describe(table(folders)) == "frames (licence not stated)"
    assert describe(table(folders, 0.5)) == "frames (licence not stated); photos (1 x CC0)"
    shots = [{"licence": "CC-BY 3.0"}, {"licence": "CC0"}, {"licence": "CC-BY 3.0"}]
    (folders / "frames/manifest.json").write_text(json.dumps({"videos": [{"file": "x"}], "shots": shots}))
    assert describe(table(folders)) == "frames (2 x CC-BY 3.0; 1 x CC0)"


def test_data_that_is_missing_or_damaged_is_named(folders: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no .*nowhere, which the recipe names under data"):
        describe(table(folders, shots=[str(folders / "nowhere")]))
    (folders / "frames/manifest.json").write_text("{")
    with pytest.raises(DatasetError, match=r"manifest.json cannot be read"):
        describe(table(folders))
