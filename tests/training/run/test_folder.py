"""The folder of a run."""

from pathlib import Path

import pytest
import torch

from training.errors import TrainingError
from training.run.folder import RunFolder


def test_the_newest_two_states_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.newest_state() is None
    for step in (9, 10, 1000000000, 2000000000):
        folder.save_state(step, {"model": {"weight": torch.full((2,), float(step))}})
    assert [path.name for path in folder.states()] == ["state-2000000000.pt", "state-1000000000.pt"]
    found = folder.newest_state()
    assert found is not None
    path, state = found
    assert (path.name, state["step"]) == ("state-2000000000.pt", 2000000000)
    assert state["model"]["weight"].tolist() == [2e9, 2e9]


def test_a_state_that_cannot_be_read_gives_way_to_the_one_before(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2):
        folder.save_state(step, {})
    newest, older = folder.states()
    newest.write_bytes(newest.read_bytes()[:50])
    found = folder.newest_state()
    assert found is not None and found[0] == older
    older.write_bytes(b"")
    with pytest.raises(
        TrainingError, match=r"no state in .* can be read \(state-000000002.pt: .*; state-000000001.pt: "
    ):
        folder.newest_state()


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 99, "step": 1}, tmp_path / "state-000000001.pt")
    with pytest.raises(
        TrainingError, match=r"is of version 99 of the trainer's states, this one reads 1; .*model.from"
    ):
        RunFolder(tmp_path).newest_state()


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_state(1, {"model": 1})
    before = (tmp_path / "state-000000001.pt").read_bytes()
    with pytest.raises(AttributeError):
        folder.save_state(1, {"model": lambda: None})  # no pickle of a function without a name
    assert (tmp_path / "state-000000001.pt").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file/recipe.toml cannot be written: "):
        RunFolder(tmp_path / "file").write_text(tmp_path / "file" / "recipe.toml", "seed = 1")


def test_one_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a")
    with (
        folder.held(fresh=True),
        pytest.raises(TrainingError, match=r"another process trains in .*/runs/a; stop it first"),
        RunFolder(folder.path).held(fresh=True),
    ):
        pass
    with folder.held(fresh=True):
        pass


def test_holding_takes_away_what_was_being_written_and_refuses_a_folder_with_a_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    left = [
        tmp_path / name
        for name in (
            ".state-000000003.pt.a1b2c3d4.part",
            ".state-000000003.pt.new",
            ".best.safetensors.a1b2",
            ".last.json.x",
        )
    ]
    for path in left:
        path.write_text("half")
    mine = tmp_path / ".notes"
    mine.write_text("keep")
    with folder.held(fresh=True):
        assert not any(path.exists() for path in left) and mine.exists()
    folder.save_state(1, {})
    with (
        pytest.raises(TrainingError, match=r"holds a run already: resume it, or give another folder"),
        folder.held(fresh=True),
    ):
        pass
    with folder.held(fresh=False):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(TrainingError, match=r"file/run cannot be written: .*give another folder"),
        RunFolder(tmp_path / "file/run").held(fresh=True),
    ):
        pass
