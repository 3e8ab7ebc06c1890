"""The work folder: what it keeps, whom it lets in, and when it is continued."""

import subprocess
import sys
from pathlib import Path

import pytest

from vsrrin import ConvertError
from vsrrin.convert.work_folder import Segment, WorkFolder, fingerprint, folder_of, ranges, recorded, runs, sha256

SIGNATURE = {"input": {"size": 3}, "model": "abc"}


def put(work: WorkFolder, number: int, data: bytes, frames: int = 4) -> Segment:
    """A segment of these bytes."""
    work.part(number).write_bytes(data)
    return work.finish(number, frames, (1, 3), b"headers")


def flip(path: Path, position: int) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[max(position, -len(data))] ^= 1
    path.write_bytes(data)


def test_ranges_cover_all_frames() -> None:
    assert ranges(10, 4) == [range(0, 4), range(4, 8), range(8, 10)]
    assert ranges(8, 4) == [range(0, 4), range(4, 8)]
    assert ranges(1, 100) == [range(0, 1)]


def test_runs_are_numbers_that_follow_each_other() -> None:
    assert runs([0, 1, 2, 5, 7, 8]) == [range(0, 3), range(5, 6), range(7, 9)]
    assert runs([]) == []


def test_it_is_hidden_beside_the_target(tmp_path: Path) -> None:
    assert folder_of(tmp_path / "film.mkv") == tmp_path / ".film.mkv.vsrrin"


def test_finished_segments_are_known_again(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with WorkFolder(target, SIGNATURE) as work:
        first = put(work, 0, b"some")
        assert work.finished(0, 4) == first
        assert (first.frames, first.size, first.cuts) == (4, 4, (1, 3))
        assert work.finished(1, 4) is None
        assert work.finished(0, 5) is None
    assert recorded(target) == SIGNATURE
    with WorkFolder(target, SIGNATURE, resume=True) as work:
        assert work.finished(0, 4) == first
        work.remove()
    assert not list(tmp_path.iterdir())
    assert recorded(target) == {}


@pytest.mark.parametrize("damage", ["cut off", "no facts", "facts cut off"])
def test_a_damaged_segment_does_not_count(damage: str, tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "out.mkv", SIGNATURE) as work:
        put(work, 0, b"some")
        facts = work.path / "000000.json"
        if damage == "cut off":
            work.segment(0).write_bytes(b"so")
        elif damage == "no facts":
            facts.unlink()
        else:
            facts.write_text(facts.read_text()[:20])
        assert work.finished(0, 4) is None


@pytest.mark.parametrize("name", ["000001.nut", "000001.json", "sha256.txt"])
def test_what_is_not_as_it_was_written_is_made_again(name: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with WorkFolder(target, SIGNATURE) as work:
        first = put(work, 0, b"some")
        put(work, 1, b"more")
    flip(work.path / name, -8)  # in the sums, in the name of the last line
    with WorkFolder(target, SIGNATURE, resume=True) as work:
        assert work.finished(0, 4) == first
        assert work.finished(1, 4) is None


def test_a_manifest_that_is_not_as_it_was_written_is_not_continued(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with WorkFolder(target, SIGNATURE) as work:
        put(work, 0, b"some")
    changed = {**SIGNATURE, "model": "abd"}
    manifest = work.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("abc", "abd"))
    assert recorded(target) == {}
    for signature in (SIGNATURE, changed):
        with (
            pytest.raises(ConvertError, match=r"manifest\.json is damaged, .*: overwrite=True instead of resume=True"),
            WorkFolder(target, signature, resume=True),
        ):
            pass
    work.segment(0).unlink()
    with WorkFolder(target, changed, resume=True):  # with nothing finished there is nothing to lose
        assert recorded(target) == changed


def test_a_segment_being_written_does_not_count(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "out.mkv", SIGNATURE) as work:
        work.part(0).write_bytes(b"some")
        assert work.finished(0, 4) is None
        work.discard_part(0)
        work.discard_part(0)
        assert not work.part(0).exists()


def test_only_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        WorkFolder(tmp_path / "out.mkv", SIGNATURE) as work,
        pytest.raises(ConvertError, match="another run is converting"),
        WorkFolder(tmp_path / "out.mkv", SIGNATURE, overwrite=True),
    ):
        pass
    assert work.path.exists()


_HOLD = """
import sys, time
from pathlib import Path
from vsrrin.convert.work_folder import WorkFolder
with WorkFolder(Path(sys.argv[1]), {}):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(target)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with (
            pytest.raises(ConvertError, match=r"another run is converting to .*out\.mkv \(it works in .*: wait for it"),
            WorkFolder(target, {}, resume=True),
        ):
            pass
        other.kill()
    assert (folder_of(target) / "lock").exists()
    with WorkFolder(target, {}, resume=True) as work:
        put(work, 0, b"some")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with (
        pytest.raises(ConvertError, match=r"manifest\.json cannot be written: No space left"),
        WorkFolder(tmp_path / "out.mkv", SIGNATURE),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_other_settings_are_named(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with WorkFolder(target, SIGNATURE) as work:
        put(work, 0, b"some")
    changed = {**SIGNATURE, "model": "def"}
    with (
        pytest.raises(ConvertError, match=r'model was "abc", is "def".*overwrite=True'),
        WorkFolder(target, changed, resume=True),
    ):
        pass
    with (
        pytest.raises(ConvertError, match=r"1 segments .*are finished.*resume=True.*overwrite=True"),
        WorkFolder(target, SIGNATURE),
    ):
        pass
    with WorkFolder(target, changed, overwrite=True) as work:
        assert work.finished(0, 4) is None
    assert recorded(target) == changed


@pytest.mark.parametrize("resume", [True, False])
def test_what_nobody_knows_any_more_is_not_thrown_away_unasked(resume: bool, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with WorkFolder(target, SIGNATURE) as work:
        put(work, 0, b"some")
    (work.path / "manifest.json").unlink()
    with (
        pytest.raises(
            ConvertError, match=r"holds 1 finished segments .* no manifest.json.*overwrite=True without resume=True"
        ),
        WorkFolder(target, SIGNATURE, resume=resume, overwrite=resume),
    ):
        pass
    assert work.segment(0).read_bytes() == b"some"
    with WorkFolder(target, SIGNATURE, overwrite=True):
        assert not work.segment(0).exists()


def test_an_error_before_the_first_segment_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), WorkFolder(tmp_path / "out.mkv", SIGNATURE):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_an_error_after_it_leaves_the_segment(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), WorkFolder(tmp_path / "out.mkv", SIGNATURE) as work:
        put(work, 0, b"some")
        raise RuntimeError
    assert work.segment(0).exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="cannot be written"), WorkFolder(tmp_path / "no" / "out.mkv", SIGNATURE):
        pass


def test_fingerprints_tell_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(bytes(3 << 20))
    before = fingerprint(path)
    assert before == fingerprint(path)
    data = bytearray(3 << 20)
    data[-1] = 1
    path.write_bytes(data)
    after = fingerprint(path)
    assert after["sha256 of both ends"] != before["sha256 of both ends"]
    assert after["size"] == before["size"]


def test_sums_of_folders_depend_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = sha256(tmp_path)
    (tmp_path / "b").write_bytes(b"2")
    assert len({first, second, sha256(tmp_path), sha256(tmp_path / "b")}) == 4
