"""vsrrin.convert.media.stretch"""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vsrrin.clip.retiming import Ease, Pace
from vsrrin.convert.media.stretch import PacedStretch

RATE, SECONDS = 48_000, 6
RAMP = [(0, 1), (2, "1/4"), (3, 2), (4, 1)]


def sound(*, clicks: bool) -> NDArray[np.float32]:
    """A tone of 330 Hz in both channels, with a click of 10 ms every half second."""
    times = np.arange(RATE * SECONDS) / RATE
    samples = 0.1 * np.sin(2 * np.pi * 330 * times)
    for start in range(RATE // 4, len(samples), RATE // 2) if clicks else ():
        at = np.arange(RATE // 100)
        samples[start : start + len(at)] += 0.8 * np.sin(2 * np.pi * 2000 * at / RATE) * np.hanning(len(at))
    return np.stack([samples, samples]).astype(np.float32)


def stretched(samples: NDArray[np.float32], pace: Pace) -> NDArray[np.float32]:
    """What becomes of sound in frames of 1024 samples; the frames must follow each other."""
    made: list[av.AudioFrame] = []
    stretch = None
    for start in range(0, samples.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1024]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        stretch = stretch or PacedStretch(frame, pace)
        made += stretch.feed(frame)
    assert stretch is not None
    made += stretch.finish()
    assert all(a.pts is not None and a.pts + a.samples == b.pts for a, b in pairwise(made))
    return np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in made])


@pytest.mark.parametrize("ease", ["none", "linear", "smooth"])
def test_sound_is_heard_at_the_moments_of_the_pace(ease: Ease) -> None:
    pace = Pace(RAMP, Fraction(SECONDS), ease)
    made = stretched(sound(clicks=True), pace)
    assert len(made) == round(pace.length * RATE)
    loud = np.flatnonzero(np.abs(made) > 0.4)
    for half in range(2 * SECONDS):
        wanted = pace.moment(Fraction(1, 4) + Fraction(half, 2) + Fraction(1, 200)) * RATE
        assert np.abs(loud - float(wanted)).min() < 0.08 * RATE


def test_where_the_speed_is_one_samples_are_the_same() -> None:
    samples = sound(clicks=True)
    made = stretched(samples, Pace([(0, 1), (2, "1/2"), (3, 1)], Fraction(SECONDS)))
    np.testing.assert_array_equal(made[: 2 * RATE], samples[0, : 2 * RATE])
    np.testing.assert_array_equal(made[-2 * RATE :], samples[0, -2 * RATE :])


def test_a_tone_keeps_its_pitch_and_has_no_holes() -> None:
    made = stretched(sound(clicks=False), Pace(RAMP, Fraction(SECONDS), "smooth"))
    for start in range(0, len(made) - RATE // 2, RATE // 4):
        window = made[start : start + RATE // 2]
        spectrum = np.abs(np.fft.rfft(window * np.hanning(len(window))))
        assert abs(np.argmax(spectrum) * 2 - 330) <= 4
    levels = [
        np.abs(made[start : start + RATE // 100]).max() for start in range(0, len(made) - RATE // 50, RATE // 100)
    ]
    assert min(levels) > 0.05
    assert max(levels) < 0.2
