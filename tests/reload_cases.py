"""What a script does in a previewer: run by tests/test_reload.py in a process of its own, with a core per stage."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import vapoursynth as vs
from vsengine.policy import ManagedEnvironment

import vsrrin
from vsrrin.engine import pool
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options

SEEN: list[bytes] = []
"""The new frame of every stage, to compare."""


def script() -> vs.VideoNode:
    """A bar that moves, and a cut, in whatever core is the current one."""
    scenes = [
        vs.core.std.BlankClip(None, 96, 64, vs.YUV420P8, length=4, color=[level, 128, 128]) for level in (60, 200)
    ]

    def draw(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        frame = f.copy()
        np.asarray(frame[0])[16:48, 10 + 4 * n : 30 + 4 * n] = 130
        return frame

    clip = scenes[0] + scenes[1]
    return vsrrin.interpolate(clip.std.ModifyFrame(clip, draw), 3)


def luma(clip: vs.VideoNode, number: int) -> bytes:
    with clip.get_frame(number) as frame:
        return bytes(np.ascontiguousarray(np.asarray(frame[0])))


def reachable(root: object) -> Iterator[object]:
    """All objects held by ``root``, directly or not; not what modules and classes hold, which is everything."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        thing = waiting.pop()
        yield thing
        for held in gc.get_referents(thing):
            if id(held) not in seen and not isinstance(held, type | type(gc)):
                seen.add(id(held))
                # What a function refers to by name is its module's, not the cache's.
                if isinstance(held, dict) and "__builtins__" in held:
                    continue
                waiting.append(held)


def vapoursynth_types(root: object) -> set[str]:
    found = (type(thing) for thing in reachable(root))
    return {kind.__qualname__ for kind in found if kind.__module__.startswith("vapoursynth")}


def alive() -> Counter[str]:
    """VapourSynth's nodes and frames in this process; vsengine itself looks for cores only."""
    gc.collect()
    kinds = {vs.VideoNode, vs.VideoFrame}
    return Counter(type(thing).__name__ for thing in gc.get_objects() if type(thing) in kinds)


@pytest.mark.vpy("initial-core", "reloaded-core")
def test_filter_works_in_this_core() -> None:
    output = script()
    assert output.num_frames == 24
    assert [output.get_frame(n).props["_VSRRIN_Kind"] for n in (0, 1, 10, 12)] == ["source", "new", "held", "source"]
    SEEN.append(luma(output, 4))
    assert SEEN[-1] == SEEN[0]


@pytest.mark.vpy("initial-core", "reloaded-core")
def test_network_is_kept_and_holds_nothing_of_the_core() -> None:
    output = script()
    luma(output, 1)
    (kept,) = pool._kept.values()
    assert kept is pool.shared(Options(model="rrin_lite"))
    assert vapoursynth_types(pool._kept) == set()


@pytest.mark.vpy("initial-core")
def test_the_search_for_vapoursynth_objects_finds_them() -> None:
    clip = vs.core.std.BlankClip()
    held = [{"deep": lambda: clip}]
    assert "VideoNode" in vapoursynth_types(held)


@pytest.mark.vpy("initial-core", "reloaded-core")
@pytest.mark.parametrize("asked", [[], [5], range(24)], ids=["no frame", "a frame", "all at once"])
def test_script_left_at_any_moment_leaves_nothing(asked: Sequence[int]) -> None:
    vs.core.std.BlankClip(length=1).get_frame(0).close()  # what VapourSynth makes once per core is there now
    before = alive()
    output = script()
    for future in [output.get_frame_async(n) for n in asked]:
        future.result().close()
    assert alive()["VideoNode"] > before["VideoNode"]
    del output
    if asked:
        del future
    assert alive() == before


@pytest.mark.vpy("initial-core", "reloaded-core")
@pytest.mark.parametrize("target", [2, "60"])
def test_a_players_script_leaves_nothing(target: int | str) -> None:
    vs.core.std.BlankClip(length=1).get_frame(0).close()
    before = alive()
    clip = vs.core.std.BlankClip(None, 64, 64, vs.YUV420P8, length=10, fpsnum=24)
    output = vsrrin.play(clip, target=target, budget=None, model="rrin_lite")
    for n in range(7):
        output.get_frame(n).close()
    assert alive()["VideoFrame"] > before["VideoFrame"]
    del clip, output
    assert alive() == before


@pytest.mark.vpy("unique-core")
def test_script_that_failed_leaves_nothing() -> None:
    clip = vs.core.std.BlankClip(length=2)
    before = alive()
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: factor"):
        vsrrin.interpolate(clip, 0)
    with pytest.raises(vs.Error, match=r"vsrrin\.interpolate: .*nonesuch"):
        vsrrin.interpolate(clip, model="nonesuch")
    assert alive() == before


@pytest.mark.vpy("no-core")
def test_two_scripts_at_once_and_many_reloads(vpy_env_factory: Callable[[], ManagedEnvironment]) -> None:
    first, second = vpy_env_factory(), vpy_env_factory()
    with first.use():
        one = script()
        pictures = {luma(one, 4)}
    with second.use():
        pictures.add(luma(script(), 4))
    with first.use():
        pictures.add(luma(one, 4))
        del one
    for _ in range(5):
        again = vpy_env_factory()
        with again.use():
            pictures.add(luma(script(), 4))
        again.dispose()
    assert len(pictures) == 1
    assert len(pool._kept) == 1
    assert alive()["VideoNode"] == 0


@pytest.mark.vpy("no-core")
def test_disposing_of_a_core_empties_the_caches_of_a_filter_still_held(
    vpy_env_factory: Callable[[], ManagedEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A previewer may hold on to its nodes a little longer than to the core."""
    engines: list[Interpolator] = []
    original = Interpolator.__init__

    def watched(self: Interpolator, *args: object, **options: object) -> None:
        original(self, *args, **options)  # type: ignore[arg-type]
        engines.append(self)

    monkeypatch.setattr(Interpolator, "__init__", watched)
    environment = vpy_env_factory()
    with environment.use():
        output = script()
        luma(output, 4)
    (engine,) = engines
    assert engine._pairs.bytes > 0
    environment.dispose()
    assert engine._pairs.bytes == engine._source_frames.bytes == 0
    with pytest.raises(vs.Error, match="invalidated"):
        output.get_frame(1)
