"""The thread that encodes: what it fails of is told, at whatever moment it fails."""

from fractions import Fraction
from pathlib import Path
from threading import Event

import pytest
import vapoursynth as vs

from tests.media.files import steady
from vsrrin.errors import ConvertError
from vsrrin.media.encode import ColourTags
from vsrrin.media.encoders import choose_encoder
from vsrrin.media.pixels import Pixels
from vsrrin.pipeline import Job, _EncoderThread
from vsrrin.segments import Segment, WorkFolder


class LateFailure(_EncoderThread):
    """Goes on, and fails, when it has just been looked whether it has failed."""

    looked = Event()

    def _raise_failure(self) -> None:
        super()._raise_failure()
        self.looked.set()
        self._thread.join()

    def _segment(self, number: int) -> Segment:
        self.looked.wait()
        return super()._segment(number)


def test_a_failure_in_the_last_moment_is_told(tmp_path: Path) -> None:
    clip = vs.core.std.BlankClip(width=64, height=48, format=vs.YUV420P8, length=2)
    encoder = choose_encoder(".mkv", Pixels.of_clip(clip.format), size=(64, 48), rate=Fraction(25))
    job = Job(clip, encoder, steady(2), ColourTags(), [range(2)])
    with WorkFolder(tmp_path / "out.mkv", {}) as work:
        thread = LateFailure(job, work)
        work.remove()  # so that the segment cannot be written
        thread.start([0])
        with pytest.raises(ConvertError, match="cannot be written: No such file"):
            while not thread.wait():
                pass
        thread.stop()
