"""Frames into segments: what is made is known, a failure is told and leaves nothing half done."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from threading import Condition, current_thread, get_ident, main_thread
from threading import enumerate as all_threads

import pytest
import vapoursynth as vs

from tests.conftest import BUNNY
from tests.convert.media.files import ffmpeg, steady
from vsrrin.convert.encode import Job, encode_segments
from vsrrin.convert.media.encode import ColourTags
from vsrrin.convert.media.encoders import choose_encoder
from vsrrin.convert.media.pixels import Pixels
from vsrrin.convert.work_folder import WorkFolder
from vsrrin.errors import ConvertError

FRAMES = 7


@pytest.fixture
def job() -> Job:
    """Seven frames in three segments, a new scene with frames 2 and 5."""
    blank = vs.core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=FRAMES)

    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        marked = f.copy()
        marked.props["_SceneChangePrev"] = int(n in (2, 5))
        return marked

    clip = blank.std.ModifyFrame(blank, mark)
    encoder = choose_encoder(".mkv", Pixels.of_clip(clip.format), size=(64, 48), rate=Fraction(25))
    spans = [range(3), range(3, 6), range(6, 7)]
    return Job(clip=clip, encoder=encoder, times=steady(FRAMES), tags=ColourTags(), spans=spans)


def test_each_frame_is_reported_from_the_calling_thread(job: Job, tmp_path: Path) -> None:
    reports: list[tuple[int, list[int]]] = []

    def report(frames: int, cuts: object) -> None:
        assert current_thread() is main_thread()
        reports.append((frames, list(cuts)))  # type: ignore[call-overload]

    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        segments = encode_segments(job, work, report)
        assert [(segment.frames, segment.cuts) for segment in segments] == [(3, (2,)), (3, (5,)), (1, ())]
        assert segments == [work.finished(number, len(span)) for number, span in enumerate(job.spans)]
    assert reports == [(1, []), (2, []), (3, [2]), (4, [2]), (5, [2]), (6, [2, 5]), (7, [2, 5])]


def test_only_what_is_missing_is_made(job: Job, tmp_path: Path) -> None:
    counts: list[int] = []
    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        whole = encode_segments(job, work, lambda frames, cuts: None)
        work.segment(0).unlink()
        work.segment(2).unlink()
        assert encode_segments(job, work, lambda frames, cuts: counts.append(frames)) == whole
    assert counts == [1, 2, 3, 4]


def test_a_segment_that_cannot_be_written_is_told(job: Job, tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        work.remove()
        with pytest.raises(ConvertError, match="cannot be written: No such file"):
            encode_segments(job, work, lambda frames, cuts: None)


@pytest.mark.parametrize("last", [3, FRAMES])
def test_an_interruption_keeps_finished_segments_alone(last: int, job: Job, tmp_path: Path) -> None:
    def interrupt(frames: int, cuts: object) -> None:
        if frames == last:
            raise KeyboardInterrupt

    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        with pytest.raises(KeyboardInterrupt):
            encode_segments(job, work, interrupt)
        assert not list(work.path.glob("*.part"))
        assert {thread.name for thread in all_threads()}.isdisjoint({"vsrrin encoder"})
        assert work.finished(0, 3) is not None or last == 3


def test_the_thread_that_is_interrupted_takes_no_lock(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the taking of a lock and the block that gives it back leaves all who want it waiting for ever."""
    enter, takers = Condition.__enter__, set[int]()

    def note(self: Condition) -> bool:
        takers.add(get_ident())
        return enter(self)

    monkeypatch.setattr(Condition, "__enter__", note)
    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        encode_segments(job, work, lambda frames, cuts: takers.clear() if frames == 1 else None)
        assert takers
        assert get_ident() not in takers


INTERRUPTED = """
import faulthandler, os, random, shutil, signal, sys, threading, time
from pathlib import Path
from vsrrin.convert.video import Settings
from vsrrin.convert.image_folder import convert_to_folder
from vsrrin.convert import video as convert

source, folder, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
chosen = random.Random()
convert.convert(Settings(source, folder / "out.mkv", model="draft"))  # all imported: not what is tried here
(folder / "out.mkv").unlink()
for number in range(times):
    faulthandler.dump_traceback_later(60, exit=True)
    target, run = (folder / "out.mkv", convert.convert) if number % 4 else (folder / "images", convert_to_folder)
    begin = threading.Event()
    frames, delay = chosen.randrange(40), chosen.choice([0, chosen.uniform(0, 2e-4), chosen.uniform(0, 5e-3)])

    def interrupt():
        begin.wait()
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        if not frames:
            begin.set()
        run(
            Settings(source, target, segment_frames=5, model="draft"),
            progress=lambda progress: begin.set() if progress.frames_done >= frames else None,
        )
        time.sleep(1)
    except KeyboardInterrupt:
        pass
    thread.join()
    work = target.with_name(f".{target.name}.vsrrin")
    assert not list(work.glob("[0-9]*.part")), list(work.iterdir())
    for path in (work, folder / "images"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "out.mkv").unlink(missing_ok=True)
print("ended", times)
"""


def test_interrupted_at_any_moment_it_ends(tmp_path: Path) -> None:
    picture = ("-vf", "scale=160:90,setsar=1", "-frames:v", "24", "-c:v", "libx264", "-preset", "ultrafast")
    ffmpeg(tmp_path, "-i", str(BUNNY), *picture, "in.mkv")
    command = (sys.executable, "-c", INTERRUPTED, str(tmp_path / "in.mkv"), str(tmp_path), "30")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.stdout == "ended 30\n", ended.stderr
    assert ended.returncode == 0
