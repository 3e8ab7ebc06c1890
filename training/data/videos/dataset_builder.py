"""Making of a dataset of shots, which can be interrupted and continued.

::

    DATASET/manifest.json                     see the module manifest; written after each video, and every now and then
    DATASET/shots/NAME-0123abcd_000120.npy    the shot that begins with frame 120 of video NAME
    DATASET/shots/*.part                      is being written, or was when a run was stopped: removed by the next
    DATASET/.lock                             held while a run works in it

A scene is the unit that is done or not: a run that was stopped is continued from the last scene written down, which
gives the same shots as one run, as neither the detector's view nor any other rule reaches beyond the beginning of a
scene.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from training.errors import DatasetError
from vsrrin.clip.scene_score import RADIUS
from vsrrin.files import PART

from .decoding import Frame, Video, VideoError
from .manifest import NAME, SHOTS, Manifest, Settings, ShotInfo, VideoState
from .origins import Origin, fingerprint
from .shot_splitter import Run, Splitter, mark_repeated, mark_scenes
from .shot_writer import ShotWriter

type Watch = Callable[[Iterable[Frame], Video], Iterable[Frame]]
"""Function that passes frames on and shows progress."""

_SAVED_EVERY = 20.0
"""Seconds after which the manifest is written in the middle of a video."""
_SUMS = 8
"""Digits of a video's sum in the names of its shots."""
_LONGEST_NAME = 80
_MOST_REPETITIONS = 12
_RATE_TOLERANCE = 0.01


class Preparation:
    """Dataset while it is made or continued; a context manager that keeps other processes out.

    Args:
        folder: Folder of the dataset; made if it is missing.
        settings: Settings that shots depend on besides the videos.
        watch: Function that passes the frames of each video on, to show progress.

    Raises:
        DatasetError: The folder holds something else or a dataset made with other settings, another run works in it,
            or it cannot be written.
    """

    def __init__(self, folder: Path, settings: Settings, watch: Watch = lambda frames, video: frames) -> None:
        self.folder, self._watch = folder, watch
        self._lock = FileLock(folder / ".lock")
        try:
            self.manifest = self._begin(settings)
        except OSError as error:
            self._lock.release()
            raise _cannot_write(folder, error) from error
        except BaseException:
            self._lock.release()
            raise
        self._saved = time.monotonic()

    def __enter__(self) -> "Preparation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def add(self, path: Path, origin: Origin) -> VideoState:
        """Cut a video, or the rest of it, into shots; a file of the same content that is finished is passed over.

        A video that cannot be read to its end keeps the shots made before, and says so in `VideoState.problem`.

        Raises:
            VideoError: The file cannot be opened at all.
            DatasetError: The dataset cannot be written.
        """
        state = self._state(path)
        if state.finished:
            return state
        splitter = Splitter(lambda first: ShotWriter(self.folder / _file(state, first)), self._least)
        splitter.dropped.update(state.dropped)
        try:
            self._cut(path, state, origin, splitter)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        finally:
            splitter.close()
            self._save()
        return state

    def _cut(self, path: Path, state: VideoState, origin: Origin, splitter: Splitter) -> None:
        rate = None
        try:
            video = Video(path, self.manifest.settings.long_edge)
            rate = video.rate
            # The detector looks at so many frames before the pair whose second begins the scene.
            frames = video.frames(max(state.next_frame - RADIUS - 1, 0))
            for seen, repeated in mark_repeated(mark_scenes(self._watch(frames, video))):
                if seen.frame.number < state.next_frame:
                    continue
                for run in splitter.add(seen, repeated):
                    self._keep(run, state, origin, rate)
                if seen.begins:
                    state.next_frame, state.dropped = seen.frame.number, {**splitter.dropped}
                    self._save_sometimes()
        except VideoError as error:
            state.problem = str(error)
        for run in splitter.end():
            self._keep(run, state, origin, rate)
        state.dropped, state.finished = {**splitter.dropped}, True

    def _keep(self, run: Run, state: VideoState, origin: Origin, rate: Fraction | None) -> None:
        length = run.writer.finish()
        height, width = run.writer.size
        mean, high = (sum(values) / len(values) for values in zip(*run.motion, strict=True))
        assert run.step is not None
        info = ShotInfo(
            file=_file(state, run.numbers[0]),
            video=state.file,
            source=origin.source,
            source_frames=(run.numbers[0], run.numbers[-1] + 1),
            licence=origin.licence,
            width=width,
            height=height,
            fps=rate_of(run.step, rate),
            frames=len(run),
            bytes=length,
            motion=mean,
            motion_p95=high,
            repeated=run.repeated[-1],
        )
        # A scene that was not finished when a run was stopped may have given it already.
        self.manifest.shots = [shot for shot in self.manifest.shots if shot.file != info.file] + [info]

    def _state(self, path: Path) -> VideoState:
        """Return how far a video is; one that lacks shots is begun again."""
        known = fingerprint(path)
        state = next((video for video in self.manifest.videos if video.sha256 == known), None)
        if state is None:
            state = VideoState(file=path.name, sha256=known)
            self.manifest.videos.append(state)
        shots = self.shots(state)
        if not all(_is_whole(self.folder, shot) for shot in shots):
            self.manifest.shots = [shot for shot in self.manifest.shots if shot not in shots]
            state.next_frame, state.finished, state.dropped, state.problem = 0, False, {}, ""
        return state

    def shots(self, state: VideoState) -> list[ShotInfo]:
        """Return the shots of a video."""
        return [shot for shot in self.manifest.shots if shot.file.startswith(_prefix(state))]

    def _begin(self, settings: Settings) -> Manifest:
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = (self.folder / NAME).exists()
        strange = [entry.name for entry in self.folder.iterdir() if entry.name not in (NAME, SHOTS, ".lock")]
        if strange and not begun:
            raise DatasetError(f"{self.folder} is no dataset, but holds {strange[0]}: choose an empty or new folder")
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise DatasetError(f"another run is making {self.folder}: wait for it, or choose another folder") from None
        manifest = Manifest.load(self.folder) if begun else Manifest(settings)
        was, wanted = asdict(manifest.settings), asdict(settings)
        differ = [f"{key} was {was[key]}, is {wanted[key]}" for key in was if was[key] != wanted[key]]
        if differ:
            raise DatasetError(
                f"{self.folder} was made with other settings ({'; '.join(differ)}): use the same, or another folder"
            )
        (self.folder / SHOTS).mkdir(exist_ok=True)
        for left in (self.folder / SHOTS).glob(f"*{PART}"):
            left.unlink()
        manifest.save(self.folder)
        return manifest

    @property
    def _least(self) -> int:
        return self.manifest.settings.least_frames

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved > _SAVED_EVERY:
            self._save()

    def _save(self) -> None:
        order = {_prefix(video): number for number, video in enumerate(self.manifest.videos)}
        self.manifest.shots.sort(key=lambda shot: (order[_prefix_of(shot)], shot.source_frames))
        self.manifest.save(self.folder)
        self._saved = time.monotonic()


def rate_of(step: Fraction, claimed: Fraction | None) -> Fraction:
    """Return the frame rate of a shot: the video's rate divided by a whole number, where that is about right.

    Args:
        step: Mean seconds from frame to frame; containers may have rounded them.
        claimed: The video's rate.
    """
    found = 1 / step
    for repetitions in range(1, _MOST_REPETITIONS + 1) if claimed else ():
        assert claimed is not None
        if abs(claimed / repetitions / found - 1) < _RATE_TOLERANCE:
            return claimed / repetitions
    return found.limit_denominator(1001)


def _prefix(state: VideoState) -> str:
    """Return the beginning of the names of a video's shots, which no other video shares."""
    return f"{SHOTS}/{Path(state.file).stem[:_LONGEST_NAME]}-{state.sha256[:_SUMS]}_"


def _prefix_of(shot: ShotInfo) -> str:
    return shot.file[: shot.file.rindex("_") + 1]


def _file(state: VideoState, first: int) -> str:
    return f"{_prefix(state)}{first:06d}.npy"


def _is_whole(folder: Path, shot: ShotInfo) -> bool:
    try:
        return (folder / shot.file).stat().st_size == shot.bytes
    except OSError:
        return False


def _cannot_write(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"{folder} cannot be written: {error.strerror or error}; the same command continues from what is finished"
    )
