"""vsrrin.clip.playing: what a player shows."""

import gc
import weakref
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

import vsrrin
from scripts.benchmarks.player import LENGTH, Player, Shown
from tests.conftest import same_picture
from vsrrin.clip import pace, playing, reel
from vsrrin.clip.timing import ConstantTiming, SourceTimes

FILM = Fraction(24000, 1001)
VARIED = [Fraction(ms, 1000) for ms in (0, 40, 80, 180, 197, 213, 230, 330, 331, 400, 433, 466, 500, 533, 700, 740)]


@pytest.fixture
def file(bunny: vs.VideoNode) -> vs.VideoNode:
    """A file of 16 frames, decoded once."""
    clip = bunny[:16].resize.Bicubic(128, 72)
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=16)
    return clip


@pytest.fixture
def player(file: vs.VideoNode, tmp_path: Path) -> Callable[..., Player]:
    def make(
        arguments: str, times: Any = Fraction(1, 25), clip: vs.VideoNode = file, at_once: int = 2, **named: Any
    ) -> Player:
        """A player of a file at a step, or at times, that calls `play` with these arguments."""
        script = tmp_path / "play.vpy"
        script.write_text(f"import vsrrin\nvsrrin.play(video_in, {arguments}).set_output()\n")
        if isinstance(times, Fraction):
            times = [number * times for number in range(clip.num_frames)]
        buffered = named.pop("buffered", 4)
        return Player(clip, times, script, named, at_once, buffered)

    return make


def places(shown: list[Shown]) -> list[tuple[int, Fraction]]:
    return [each.place for each in shown]


def assert_as_interpolated(shown: list[Shown], reference: vs.VideoNode) -> None:
    assert len(shown) == reference.num_frames
    for number, each in enumerate(shown):
        expected = reference.get_frame(number)
        assert each.kind == expected.props["_VSRRIN_Kind"], number
        assert same_picture(each.frame, expected), number


def test_a_film_at_60_is_what_interpolate_makes_at_exact_times(
    file: vs.VideoNode, player: Callable[..., Player]
) -> None:
    clip = player('container_fps=container_fps, target="60", budget=None', 1 / FILM, container_fps=23.976)
    shown = list(clip.play())
    timing = ConstantTiming.at_rate(16, FILM, Fraction(60))
    assert places(shown) == [(timing.at(n).left, timing.at(n).t) for n in range(timing.length)]
    assert [each.time for each in shown] == [Fraction(n, 60) for n in range(len(shown))]
    assert_as_interpolated(
        shown, vsrrin.interpolate(file.std.AssumeFPS(fpsnum=24000, fpsden=1001), fps=60, model="draft", scene="off")
    )
    assert [each.kind for each in shown][-3:] == ["held"] * 3


def test_frames_are_asked_for_once_in_order_and_none_while_the_script_runs(player: Callable[..., Player]) -> None:
    clip = player('target="60", budget=None', 1 / FILM, container_fps=23.976)
    list(clip.play())
    assert clip.source is not None
    assert clip.source.asked_while_loading == []
    assert clip.source.asked == list(range(17))


@pytest.mark.parametrize(("at_once", "buffered"), [(1, 1), (1, 4), (16, 4)])
def test_it_plays_with_any_buffer(player: Callable[..., Player], at_once: int, buffered: int) -> None:
    clip = player('target="60", budget=None', 1 / FILM, at_once=at_once, buffered=buffered, container_fps=23.976)
    assert len(list(clip.play())) == 41


def test_one_frame_beyond_the_pair_is_the_most_that_is_looked_at(player: Callable[..., Player]) -> None:
    clip = player('container_fps=container_fps, target="60", budget=None', 1 / FILM, at_once=1, container_fps=23.976)
    for each in clip.play():
        assert clip.source is not None
        left, t = each.place
        assert max(clip.source.asked) <= (left if t == 0 else left + 2) or each.kind != "source"
        assert max(clip.source.asked) <= left + 2


@pytest.mark.parametrize("container_fps", [0.0, 25.0, 1000.0, float("nan")])
def test_a_varying_rate_is_mapped_by_the_frames_own_durations(
    file: vs.VideoNode, player: Callable[..., Player], container_fps: float
) -> None:
    clip = player('container_fps=container_fps, target="60", budget=None', VARIED, container_fps=container_fps)
    shown = list(clip.play())
    durations = [b - a for a, b in pairwise(VARIED)] + [VARIED[-1] - VARIED[-2]]
    times = SourceTimes(durations)
    # Where frames are as long as the container says, but for 2.1 ms, they are placed on its grid.
    for number, each in enumerate(shown):
        assert each.time == Fraction(number, 60)
        left, t = each.place
        moment = times.starts[left] + t * durations[left]
        assert abs(moment - each.time) < Fraction(5, 1000)
    assert len(shown) == 47  # 0.78 s
    if container_fps != 25:
        assert places(shown) == [(at.left, at.t) for at in (times.find(Fraction(n, 60)) for n in range(47))]
        varied = file.std.ModifyFrame(file, lambda n, f: _lasting(f, durations[n])).std.AssumeFPS(fpsnum=25)
        reference = vsrrin.interpolate(
            varied.std.ModifyFrame(varied, lambda n, f: _lasting(f, durations[n])), fps=60, model="draft", scene="off"
        )
        assert_as_interpolated(shown, reference)


def _lasting(frame: vs.VideoFrame, duration: Fraction) -> vs.VideoFrame:
    copy = frame.copy()
    copy.props["_DurationNum"], copy.props["_DurationDen"] = duration.numerator, duration.denominator
    return copy


def test_a_factor_divides_each_frames_own_duration(player: Callable[..., Player]) -> None:
    shown = list(player("target=2, budget=None", VARIED).play())
    middles = [(a + b) / 2 for a, b in zip(VARIED, [*VARIED[1:], VARIED[-1] + Fraction(40, 1000)], strict=True)]
    assert [each.time for each in shown] == [time for pair in zip(VARIED, middles, strict=True) for time in pair]
    assert [each.kind for each in shown] == ["source", "new"] * 15 + ["source", "held"]


def test_milliseconds_of_a_container_do_not_move_the_frames(player: Callable[..., Player]) -> None:
    times = [Fraction(round(number * 1000 / 30), 1000) for number in range(16)]
    shown = list(player('container_fps=container_fps, target="60", budget=None', times, container_fps=30.0).play())
    assert places(shown) == [(n // 2, Fraction(n % 2, 2)) for n in range(32)]
    assert [each.kind for each in shown][:4] == ["source", "new", "source", "new"]


@pytest.mark.parametrize("arguments", ['target="60", container_fps=24', "target=3"])
def test_every_seek_begins_anew_with_the_frame_there(
    file: vs.VideoNode, player: Callable[..., Player], arguments: str
) -> None:
    clip = player(f"{arguments}, budget=None", Fraction(1, 24))
    order = np.random.default_rng(3).permutation([*range(16), 15, 0, 7, 8])
    assert len(order) == 20
    reference: dict[int, list[vs.VideoFrame]] = {}
    for first in map(int, order):
        shown = list(clip.play(first, most=5))
        assert [each.time for each in shown[:1]] == [Fraction(first, 24)]
        assert same_picture(shown[0].frame, file.get_frame(first))
        assert places(shown)[:2] == [(0, Fraction(0)), (0, shown[1].place[1])]
        again = reference.setdefault(first, [each.frame for each in shown])
        assert all(map(same_picture, again, (each.frame for each in shown)))
        assert len(shown) == min(5, 3 if first == 15 else 5)


def test_ten_bits_stay_ten_bits(file: vs.VideoNode, player: Callable[..., Player]) -> None:
    deep = file.resize.Point(format=vs.YUV420P10)
    shown = list(player("target=2, budget=None", clip=deep).play())
    assert {each.frame.format.id for each in shown} == {vs.YUV420P10}
    for number in range(16):
        assert same_picture(shown[2 * number].frame, deep.get_frame(number))
    reference = vsrrin.interpolate(deep, 2, "draft", scene="off")
    assert same_picture(shown[9].frame, reference.get_frame(9))
    assert all(each.frame.props["_MP_IMAGE"] == bytes(range(64)) for each in shown)


def test_cuts_are_held(bunny: vs.VideoNode, player: Callable[..., Player]) -> None:
    clip = bunny.resize.Bicubic(128, 72)
    other = clip.std.FlipHorizontal().std.FlipVertical().std.Levels(max_out=170)
    spliced = clip[:7] + other[20:27]
    shown = list(player("target=2, budget=None", clip=spliced).play())
    assert [number for number, each in enumerate(shown) if each.kind == "held"] == [13, 27]
    assert same_picture(shown[13].frame, spliced.get_frame(6))
    blended = list(player('target=2, budget=None, scene="off"', clip=spliced).play())
    assert [number for number, each in enumerate(blended) if each.kind == "held"] == [27]


@pytest.mark.parametrize("at_once", [1, 4])
def test_it_plays_when_the_cache_is_full(
    bunny: vs.VideoNode, player: Callable[..., Player], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(reel, "_PATIENCE", 0.05)
    monkeypatch.setattr(vs.core.core, "max_cache_size", 1)
    large = bunny[:6].resize.Bicubic(640, 360, format=vs.YUV444P16)
    assert len(list(player('target="60", budget=None', clip=large, at_once=at_once).play())) == 15


def test_nothing_of_the_player_is_held_when_it_unloads_the_script(player: Callable[..., Player]) -> None:
    """mpv aborts if something does."""
    clip = player('target="60", container_fps=24, budget=None', Fraction(1, 24))
    list(clip.play(most=2))
    gc.collect()
    gc.disable()
    try:
        list(clip.play(most=7))
        source = weakref.ref(clip.source)
        clip.source = None
        assert source() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("rates", "target", "wanted"),
    [
        ({"container_fps": 23.976, "display_fps": 59.94}, "display", Fraction(60000, 1001)),
        ({"container_fps": 23.976023976, "display_fps": 60.0}, "display", Fraction(60)),
        ({"container_fps": 24.0, "display_fps": 119.88}, "display", Fraction(120)),
        ({"container_fps": 25, "display_fps": 144}, "display", Fraction(144)),
        ({"container_fps": 30.0, "display_fps": 59.997}, "display", Fraction(60)),
        ({"container_fps": 23.98}, "59.94", Fraction(60000, 1001)),
        ({"container_fps": 0}, "48", Fraction(48)),
        ({"container_fps": 29.97}, 2, Fraction(60000, 1001)),
        ({"container_fps": "24000/1001"}, Fraction(5, 2), Fraction(60000, 1001)),
        ({"container_fps": float("inf")}, 2, Fraction(0)),
    ],
)
def test_rates_are_what_rounded_numbers_stand_for(rates: dict[str, Any], target: Any, wanted: Fraction) -> None:
    clip = vs.core.std.BlankClip(None, 64, 64, vs.YUV420P8, length=LENGTH, fpsnum=0, fpsden=1, keep=True)
    assert vsrrin.play(clip, target=target, budget=None, **rates).fps == wanted


@pytest.mark.parametrize(("source", "target"), [(60, "display"), (59.94, "display"), (60, "59.94"), (24, 1)])
def test_what_is_fast_enough_stays_and_that_is_said_once(
    source: float, target: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "_said", set())
    clip = vs.core.std.BlankClip(None, 64, 64, vs.YUV420P8, length=LENGTH, fpsnum=0, fpsden=1, keep=True)
    for _ in range(2):
        assert vsrrin.play(clip, container_fps=source, display_fps=60, target=target) is clip
    out, said = capsys.readouterr()
    assert said.count("\n") == 1
    assert out == ""
    assert said.startswith("vsrrin: play: nothing to add, ")


def test_the_model_is_chosen_by_the_budget_and_said_once(
    player: Callable[..., Player], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pace, "_known", {})
    monkeypatch.setattr(playing, "_said", set())
    clip = player("target=2, budget=1e-9", Fraction(1, 24), container_fps=24.0)
    assert {each.kind for each in [*clip.play(most=3), *clip.play(5, most=3)]} <= {"source", "new", "held"}
    said = [line for line in capsys.readouterr().err.splitlines() if "draft with scale=0.5" in line]
    assert len(said) == 1
    assert said[0].startswith("vsrrin: play: 128x72, 24 fps to 48 fps: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, 'target="display" needs the display\'s rate.*give target="60"'),
        ({"display_fps": 0.0}, "display_fps is not known"),
        ({"display_fps": "fast"}, "display_fps must be frames per second"),
        ({"container_fps": [24], "target": 2}, "container_fps must be frames per second"),
        ({"target": "fast"}, "target must be"),
        ({"target": 0}, "target must be"),
        ({"target": 2.5}, "target must be"),
        ({"target": True}, "target must be"),
        ({"target": "0"}, "target must be"),
        ({"target": "100000"}, "target must be.*below 500"),
        ({"target": Fraction(5, 2)}, "needs container_fps"),
        ({"target": 2, "budget": -1}, "budget must be a number above 0 and up to 1.*not -1"),
        ({"target": 2, "budget": 0}, "budget must be"),
        ({"target": 2, "budget": 1.5}, "budget must be"),
        ({"target": 2, "budget": True}, "budget must be"),
        ({"target": 2, "duplicates": "spread"}, 'duplicates must be "keep"'),
        ({"target": 2, "model": "nonesuch", "budget": None}, "nonesuch"),
        ({"target": 2, "scale": 7}, "scale must be"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    clip = vs.core.std.BlankClip(None, 64, 64, vs.YUV420P8, length=LENGTH, fpsnum=0, fpsden=1, keep=True)
    with pytest.raises(vs.Error, match=rf"^vsrrin\.play: .*{message}"):
        vsrrin.play(clip, **arguments)


@pytest.mark.parametrize("clip", [None, "video.mkv", 7])
def test_what_is_no_clip_is_refused(clip: Any) -> None:
    with pytest.raises(vs.Error, match=r"^vsrrin\.play: clip must be a video node"):
        vsrrin.play(clip, target=2)


def test_interpolate_names_play_for_a_players_clip(player: Callable[..., Player], tmp_path: Path) -> None:
    clip = player("")
    clip.script.write_text('import vsrrin\nvsrrin.interpolate(video_in, fps=60, model="draft").set_output()\n')
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: .*player's endless clip.*use vsrrin\.play"):
        list(clip.play())
    clip.script.write_text('import vsrrin\nvsrrin.interpolate(video_in, 2, "draft").set_output()\n')
    assert [each.kind for each in clip.play(most=4)] == ["source", "new", "source", "new"]
