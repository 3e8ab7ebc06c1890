"""Command that makes a dataset of shots from video files.

    python -m training.prepare VIDEO_OR_FOLDER... --out DATASET [--licence TEXT] [--source TEXT]
                               [--max-long-edge PX] [--min-frames N]

Videos are cut where the filter's own detector sees a cut; repeated frames and stretches at rest are left out, and
shots are divided where frames are not evenly spaced in time, see :mod:`training.data.videos.shot_splitter`.
DATASET/manifest.json says of each shot where it is from, its licence, size, rate and motion; the frames lie in
DATASET/shots. Licences are read from a manifest.json beside the videos, else they are --licence.

The same command continues what was interrupted and adds videos that are new: what is finished is not made again. A
video that cannot be read to its end is used as far as it can, it is said, at the end once more, and the exit status is
1. The summary goes to stdout, progress to stderr.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from training.arguments import whole
from vsrrin.errors import VsrrinError

if TYPE_CHECKING:
    from training.data.videos.dataset_builder import Preparation
    from training.data.videos.decoding import Frame, Video
    from training.data.videos.manifest import Manifest, VideoState

LEAST_FRAMES = 8
"""Frames of the shortest shot: what a pair seven frames apart needs."""
SMALLEST_EDGE = 32
"""The smallest size that can be asked for, pixels on the long edge."""
MOTION = (0.0, 0.25, 1.0, 3.0, 10.0, inf)
"""Pixels a frame between which shots are counted in the summary."""


def prepare(
    preparation: "Preparation", videos: Sequence[Path], *, source: str | None, licence: str | None
) -> list[str]:
    """Add videos to a dataset, and return the new problems with them, which name their files."""
    from training.data.videos.decoding import VideoError
    from training.data.videos.origins import UNKNOWN, origin

    problems = []
    for number, path in enumerate(videos, 1):
        finished = {video.sha256 for video in preparation.manifest.videos if video.finished}
        try:
            state = preparation.add(path, origin(path, source=source, licence=licence))
        except VideoError as error:
            problems.append(str(error))
            _say(f"[{number}/{len(videos)}] {path.name}: left out: {error}")
            continue
        new = state.sha256 not in finished
        problems += [state.problem] * (new and bool(state.problem))
        shots = preparation.shots(state)
        done = f"shots {len(shots)}, frames {sum(shot.frames for shot in shots)}" if new else "was finished before"
        _say(f"[{number}/{len(videos)}] {path.name}: {done}{_problem(state)}")
    unknown = {shot.video for shot in preparation.manifest.shots if shot.licence == UNKNOWN}
    if unknown:
        _say(
            f"warning: no licence is known of {len(unknown)} videos ({min(unknown)}...): give --licence, or a "
            "manifest.json beside them, before you pass on what is trained with them"
        )
    return problems


def summary(manifest: "Manifest", folder: Path) -> Iterator[str]:
    """Yield lines that say what a dataset holds, and what was left out."""
    shots, videos = manifest.shots, manifest.videos
    problems = sum(bool(video.problem) for video in videos)
    kept = sum(shot.frames for shot in shots)
    dropped = Counter[str]()
    for video in videos:
        dropped.update(video.dropped)
    seen = kept + dropped.total()
    yield f"videos   {len(videos)}" + (f", {problems} of them not read to their end" if problems else "")
    yield f"shots    {len(shots)}"
    yield f"frames   {kept} of {seen}"
    yield "left out " + ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    yield "motion   pixels a frame, mean of a shot"
    for low, high in pairwise(MOTION):
        found = [shot for shot in shots if low <= shot.motion < high]
        name = f"{low:g} to {high:g}" if high < inf else f"{low:g} and more"
        yield f"         {name:12} {len(found):6} shots {sum(shot.frames for shot in found):8} frames"
    yield f"size     {sum(shot.bytes for shot in shots) / 1e9:.2f} GB in {folder}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("videos", type=Path, nargs="+", metavar="VIDEO_OR_FOLDER", help="folders are searched at any depth")
    add("--out", type=Path, required=True, metavar="DATASET", help="the folder to make or continue")
    add("--licence", metavar="TEXT", help="of videos without a manifest.json beside them that says it")
    add("--source", metavar="TEXT", help="where they are from, likewise (the file's name)")
    add("--max-long-edge", type=whole(SMALLEST_EDGE), metavar="PX", help="scale larger pictures down to this")
    add("--min-frames", type=whole(3), default=LEAST_FRAMES, metavar="N", help="of the shortest shot (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status.

    It is 0, 1 if a video could not be read, 2 for an error, 130 when interrupted.
    """
    options = parse(arguments)
    from training.data.videos.dataset_builder import Preparation
    from training.data.videos.manifest import Settings
    from training.data.videos.origins import find_videos

    try:
        videos = find_videos(options.videos)
        settings = Settings(options.max_long_edge, options.min_frames)
        with Preparation(options.out, settings, _watch) as preparation:
            problems = prepare(preparation, videos, source=options.source, licence=options.licence)
    except VsrrinError as error:
        print(f"training.prepare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("training.prepare: interrupted; the same command continues from what is finished", file=sys.stderr)
        return 130
    print("\n".join(summary(preparation.manifest, options.out)))
    for problem in problems:
        _say(f"not read, or not to its end: {problem}")
    return 1 if problems else 0


def _watch(frames: Iterable["Frame"], video: "Video") -> Iterable["Frame"]:
    from tqdm import tqdm  # type: ignore[import-untyped]

    shown: Iterable[Frame] = tqdm(
        frames,
        desc=video.path.name,
        total=video.claimed_frames,
        unit=" frames",
        leave=False,
        file=sys.stderr,
        disable=None,  # only on terminals
    )
    return shown


def _problem(state: "VideoState") -> str:
    return f"; the rest cannot be used: {state.problem}" if state.problem else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
