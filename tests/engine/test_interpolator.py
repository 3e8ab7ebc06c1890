"""vsrrin.engine.interpolator"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from tests.conftest import psnr, texture
from tests.engines import MOTION, inner, middle, recorder, untrained
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine import memory
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, BackendError, FrameSizeError


@pytest.mark.parametrize("t", [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)])
def test_new_frames_show_the_motion_at_their_time(t: Fraction) -> None:
    engine = Interpolator(loader.load("rrin_lite"), Options(precision="fp32", backend="torch"))
    img0, img1 = texture(96, 128), texture(96, 128, MOTION)
    (frame,) = engine.interpolate(img0, img1, [t])
    truth = middle(96, 128, float(t))
    blend = img0 * (1 - float(t)) + img1 * float(t)
    ours = psnr(inner(frame).numpy(), inner(truth).numpy(), 1.0)
    assert ours > 40
    assert ours > psnr(inner(blend).numpy(), inner(truth).numpy(), 1.0) + 15


@pytest.mark.parametrize("size", [(33, 17), (1, 1), (47, 90), (64, 64)])
def test_any_size_comes_back_as_it_went_in(lite: Model, size: tuple[int, int]) -> None:
    frames = Interpolator(lite, Options(backend="torch")).interpolate(
        texture(*size), texture(*size, (1.0, 0.0)), [0.5, 0.25]
    )
    assert [frame.shape for frame in frames] == [(1, 3, *size)] * 2
    assert all(frame.dtype == torch.float32 and torch.isfinite(frame).all() for frame in frames)


def test_the_frames_given_are_not_changed(lite: Model) -> None:
    img0, img1 = texture(64, 80), texture(64, 80, MOTION)
    before = img0.clone(), img1.clone()
    Interpolator(lite, Options(backend="torch")).interpolate(img0, img1, [0.5])
    assert torch.equal(img0, before[0])
    assert torch.equal(img1, before[1])


def test_motion_is_estimated_once_for_all_time_steps(lite: Model) -> None:
    backend = recorder(lite)
    engine = Interpolator(lite, backend=backend)
    images = engine.ready(texture(64, 80)), engine.ready(texture(64, 80, MOTION))
    for t in (0.25, 0.5, 0.75):
        engine.synthesize(engine.pair("key", lambda: images), [t])
    assert (len(backend.estimates), len(backend.syntheses)) == (1, 3)


def test_residues_are_found_once_a_pair_where_it_has_several_new_frames(lite: Model) -> None:
    for tile in (None, (64, 64)):
        notes = recorder(lite)
        engine = Interpolator(lite, Options(tile=tile, overlap=16), backend=notes, several=True)
        given = middle(96, 128, 0), middle(96, 128, 1)
        found = engine.interpolate(*given, [0.25, 0.5, 0.75])
        tiles = len(engine.plan(96, 128).grid.tiles)
        assert (len(notes.estimates), len(notes.shares), len(notes.syntheses)) == (tiles, tiles, 3 * tiles)
        own = Interpolator(
            lite, Options(device="cpu", precision="fp32", tile=tile, overlap=16, backend="torch")
        ).interpolate(*given, [0.25, 0.5])
        assert torch.allclose(found[1], own[1], atol=1e-5)
        assert 0 < (found[0] - own[0]).abs().max() < 0.2
        for t, frame in zip((0.25, 0.5, 0.75), found, strict=True):
            assert inner(frame - middle(96, 128, t)).abs().max() < 0.05


def test_pairs_too_large_to_be_kept_have_no_common_residues(lite: Model) -> None:
    given = middle(96, 128, 0), middle(96, 128, 1)
    for cache_bytes, shares in ((96 * 128 * 120, 1), (96 * 128 * 120 - 1, 0)):
        notes = recorder(lite)
        engine = Interpolator(lite, backend=notes, several=True, cache_bytes=cache_bytes)
        engine.interpolate(*given, [0.25, 0.5])
        assert len(notes.shares) == shares and len(notes.syntheses) == 2


def test_one_new_frame_is_made_with_residues_of_its_own_time(lite: Model) -> None:
    given = middle(64, 96, 0), middle(64, 96, 1)
    notes = recorder(lite)
    Interpolator(lite, backend=notes).interpolate(*given, [0.25])
    assert len(notes.syntheses) == 1 and not notes.shares
    draft = loader.load("draft")
    notes = recorder(draft)
    Interpolator(draft, backend=notes, several=True).interpolate(*given, [0.25, 0.5])
    assert len(notes.syntheses) == 2 and not notes.shares  # it has no residues


def test_pairs_are_kept_within_the_bound(lite: Model) -> None:
    engine = Interpolator(lite, Options(backend="torch"), cache_bytes=1_000_000)
    images = engine.ready(texture(64, 80)), engine.ready(texture(64, 80, MOTION))
    size = engine.prepare(*images).bytes
    chooser = random.Random(0)
    for _ in range(30):
        engine.pair(chooser.randrange(20), lambda: images)
        assert engine._pairs.bytes <= 1_000_000
    assert engine._pairs.bytes > 1_000_000 - size
    engine.close()
    assert engine._pairs.bytes == 0


def test_tiles_give_what_the_whole_frame_gives(lite: Model) -> None:
    img0, img1 = texture(256, 320), texture(256, 320, MOTION)
    backend = recorder(lite)
    (tiled,) = Interpolator(lite, Options(tile=160, overlap=48), backend=backend).interpolate(img0, img1, [0.5])
    (whole,) = Interpolator(lite, Options(tile=0, precision="fp32", backend="torch")).interpolate(img0, img1, [0.5])
    assert set(backend.syntheses) == {torch.Size((1, 3, 160, 160))}
    assert len(backend.syntheses) == 6
    assert psnr(tiled.numpy(), whole.numpy(), 1.0) > 55


def test_tiles_of_a_network_that_finds_its_own_flow() -> None:
    model = untrained("rrin")
    img0, img1 = texture(128, 224), texture(128, 224, MOTION)
    engine = Interpolator(model, Options(tile=(128, 128), overlap=48, precision="fp32", backend="torch"))
    (tiled,) = engine.interpolate(img0, img1, [0.5])
    (whole,) = Interpolator(model, Options(tile=0, precision="fp32", backend="torch")).interpolate(img0, img1, [0.5])
    assert tiled.shape == whole.shape
    assert psnr(tiled.numpy(), whole.numpy(), 1.0) > 30


def test_batches_give_what_single_calls_give(lite: Model) -> None:
    img0, img1 = texture(128, 224), texture(128, 224, MOTION)
    backend = recorder(lite)
    batched = Interpolator(lite, Options(tile=128, overlap=32, batch=4), backend=backend).interpolate(
        img0, img1, [0.5, 0.25]
    )
    single = Interpolator(lite, Options(tile=128, overlap=32, precision="fp32", backend="torch")).interpolate(
        img0, img1, [0.5, 0.25]
    )
    assert [shape[0] for shape in backend.syntheses] == [4]
    for a, b in zip(batched, single, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_running_out_of_memory_makes_tiles_smaller_and_says_so(lite: Model) -> None:
    said: list[str] = []
    img0, img1 = texture(320, 448), texture(320, 448, MOTION)
    backend = recorder(lite, limit=200 * 250)
    engine = Interpolator(lite, backend=backend, log=said.append)
    (frame,) = engine.interpolate(img0, img1, [0.5])
    (whole,) = Interpolator(lite, Options(tile=0, precision="fp32", backend="torch")).interpolate(img0, img1, [0.5])
    assert psnr(frame.numpy(), whole.numpy(), 1.0) > 40
    assert said == ["cpu ran out of memory with 448x320 frames; from now on in tiles of 224x160"]
    backend.syntheses.clear()
    engine.interpolate(img0, img1, [0.5])
    assert all(shape[-2:] == (160, 224) for shape in backend.syntheses), "the smaller tile was not kept"


def test_too_little_memory_for_any_tile_is_an_error_that_says_what_to_do(lite: Model) -> None:
    engine = Interpolator(lite, backend=recorder(lite, limit=10), log=lambda text: None)
    with pytest.raises(BackendError, match=r"cpu has too little memory for 256x192 frames even in tiles of .*close"):
        engine.interpolate(texture(192, 256), texture(192, 256), [0.5])


def test_tiles_are_chosen_by_the_memory_that_is_free(lite: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    backend = recorder(lite)
    monkeypatch.setattr(memory, "budget", lambda device: 256 * 256 * backend.bytes_per_pixel)
    grid = Interpolator(lite, backend=backend, log=said.append).plan(1080, 1920).grid
    assert len(grid.tiles) > 1
    assert grid.tiles[0].height * grid.tiles[0].width <= 256 * 256
    assert "1920x1080 frames are processed in tiles of 256x256" in said[0]
    assert len(Interpolator(lite, backend=backend).plan(240, 256).grid.tiles) == 1
    assert len(Interpolator(lite, Options(tile=0), backend=backend).plan(1080, 1920).grid.tiles) == 1


def test_scale_estimates_on_a_smaller_picture(lite: Model) -> None:
    model = untrained("rrin")
    backend = recorder(model)
    Interpolator(model, Options(scale=0.5), backend=backend).interpolate(
        texture(128, 192), texture(128, 192, MOTION), [0.5]
    )
    assert backend.estimates == [torch.Size((1, 3, 64, 96))]
    assert backend.syntheses == [torch.Size((1, 3, 128, 192))]
    (frame,) = Interpolator(
        loader.load("rrin_lite"), Options(scale=0.5, precision="fp32", backend="torch")
    ).interpolate(texture(128, 192), texture(128, 192, MOTION), [0.5])
    assert psnr(inner(frame).numpy(), inner(middle(128, 192)).numpy(), 1.0) > 35


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_half_precision_stays_close_beyond_2048_pixels(lite: Model, precision: str) -> None:
    """Coordinates in half precision are the classic fault: columns beyond 2048 fall together."""
    size = (48, 2304)
    img0, img1 = texture(*size), texture(*size, MOTION)
    (frame,) = Interpolator(lite, Options(precision=precision, tile=0, scale=1, backend="torch")).interpolate(
        img0, img1, [0.5]
    )
    (exact,) = Interpolator(lite, Options(precision="fp32", tile=0, scale=1, backend="torch")).interpolate(
        img0, img1, [0.5]
    )
    assert (frame - exact).abs().max() < 0.01
    right = frame[..., 12:-12, 2080:-12], middle(*size)[..., 12:-12, 2080:-12]
    assert psnr(right[0].numpy(), right[1].numpy(), 1.0) > 35


def filler(image: Tensor) -> Callable[[Tensor], object]:
    """Writes a picture where the engine wants it."""
    return lambda target: target.copy_(image)


def test_many_threads_get_the_same_bits(lite: Model) -> None:
    pairs = [(texture(48, 64, seed=i), texture(48, 64, MOTION, seed=i)) for i in range(4)]
    alone = [Interpolator(lite, Options(backend="torch")).interpolate(*pair, [0.5])[0] for pair in pairs]
    engine = Interpolator(lite, Options(backend="torch"))

    def work(i: int) -> bool:
        images = [engine.source_frame((i % 4, side), (48, 64), filler(pairs[i % 4][side])) for side in (0, 1)]
        pair = engine.pair(i % 4, lambda: (images[0], images[1]))
        return torch.equal(engine.synthesize(pair, [0.5])[0], alone[i % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(16)))


def test_torchs_settings_are_left_alone(lite: Model) -> None:
    def settings() -> Sequence[object]:
        return (
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
        )

    before = settings()
    Interpolator(lite, Options(backend="torch")).interpolate(texture(48, 64), texture(48, 64, MOTION), [0.5])
    assert settings() == before


def test_memory_that_runs_out_while_uploading_is_won_back_from_the_caches(
    lite: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Interpolator(lite, Options(backend="torch"))
    images = [engine.source_frame(side, (64, 80), filler(texture(64, 80, (side, 0)))) for side in (0, 1)]
    engine.pair("pair", lambda: (images[0], images[1]))
    assert len(engine._pairs) == 1
    original, failures = engine._memory.empty, [torch.OutOfMemoryError("out of memory")]

    def empty(*shape: int) -> Tensor:
        if failures:
            raise failures.pop()
        return original(*shape)

    monkeypatch.setattr(engine._memory, "empty", empty)
    assert engine.ready(texture(64, 80)).image.shape == (1, 3, 64, 80)
    assert (len(engine._pairs), len(engine._source_frames)) == (0, 0)


def test_tiles_shrink_down_to_128_pixels_before_giving_up(lite: Model) -> None:
    backend = recorder(lite, limit=128 * 128)
    (frame,) = Interpolator(lite, backend=backend, log=lambda text: None).interpolate(
        texture(208, 336), texture(208, 336, MOTION), [0.5]
    )
    assert frame.shape == (1, 3, 208, 336)
    assert backend.syntheses[-1][-2:] == (128, 128)


def test_a_shrunken_picture_that_does_not_fit_is_estimated_in_tiles() -> None:
    model = untrained("rrin")
    backend = recorder(model)
    engine = Interpolator(model, Options(scale=0.75, tile=128, overlap=32), backend=backend)
    (frame,) = engine.interpolate(texture(192, 256), texture(192, 256, MOTION), [0.5])
    assert frame.shape == (1, 3, 192, 256)
    assert {shape[-2:] for shape in backend.estimates} == {(96, 96)}


def test_an_automatic_tile_never_contradicts_the_overlap(lite: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = recorder(lite)
    monkeypatch.setattr(memory, "budget", lambda device: 400 * 400 * backend.bytes_per_pixel)
    grid = Interpolator(lite, Options(overlap=300), backend=backend, log=lambda text: None).plan(1080, 1920).grid
    assert len(grid.tiles) > 1


def test_flow_is_found_as_the_network_learned_it(lite: Model) -> None:
    draft = loader.load("draft")
    presets = [Interpolator(model, Options(backend="torch"))._motion.preset for model in (draft, lite)]
    assert presets == [draft.spec.flow_preset, lite.spec.flow_preset] == ["fast", "fine"]
    assert Interpolator(lite, Options(backend="torch"), preset="fast")._motion.preset == "fast"
    images = texture(96, 128), texture(96, 128, MOTION)
    quick, usual = (
        Interpolator(lite, Options(backend="torch"), preset=preset).interpolate(*images, [0.5])[0]
        for preset in ("fast", None)
    )
    assert not torch.equal(quick, usual)


def test_whole_numbers_are_refused_as_frames(lite: Model) -> None:
    with pytest.raises(ArgumentError, match=r"must be floating point in \[0, 1\], not torch\.uint8"):
        Interpolator(lite, Options(backend="torch")).ready(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


@pytest.mark.parametrize("t", [0, 1, -0.5, 2, Fraction(1)])
def test_times_outside_the_pair_are_refused(lite: Model, t: float | Fraction) -> None:
    with pytest.raises(ArgumentError, match="t must lie between 0 and 1"):
        Interpolator(lite, Options(backend="torch")).interpolate(texture(32, 32), texture(32, 32), [t])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (2, 3, 32, 32), (1, 3, 0, 32), (1, 3, 32, 48)])
def test_frames_of_other_shapes_are_refused(lite: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(FrameSizeError, match=r"must have the s(hape \(1, 3, H, W\)|ame size)"):
        Interpolator(lite, Options(backend="torch")).interpolate(torch.zeros(shape), torch.zeros(1, 3, 32, 32), [0.5])


def test_a_tile_that_is_mostly_overlap_is_refused(lite: Model) -> None:
    with pytest.raises(ArgumentError, match="more than twice the overlap"):
        Interpolator(lite, Options(tile=128, overlap=64, backend="torch")).plan(480, 640)


def test_middles_of_middles_reach_eighths(middle_only: Model) -> None:
    img0, img1 = texture(64, 80), texture(64, 80, MOTION)
    engine = Interpolator(middle_only, Options(precision="fp32", backend="torch"))

    def between(left: Tensor, right: Tensor) -> Tensor:
        (frame,) = engine.interpolate(left, right, [0.5])
        return frame

    half = between(img0, img1)
    quarter, three_quarters = between(img0, half), between(half, img1)
    found = engine.interpolate(img0, img1, [Fraction(1, 8), 0.25, 0.5, 0.625, 0.75])
    for frame, expected in zip(
        found, [between(img0, quarter), quarter, half, between(half, three_quarters), three_quarters], strict=True
    ):
        torch.testing.assert_close(frame, expected, atol=1e-6, rtol=0)


def test_middles_are_made_once_where_pairs_are_kept(middle_only: Model) -> None:
    images = texture(64, 80), texture(64, 80, MOTION)
    for cache_bytes, syntheses in ((2**26, 7), (0, 19)):
        backend = recorder(middle_only)
        engine = Interpolator(middle_only, backend=backend, cache_bytes=cache_bytes)
        pair = engine.prepare(engine.ready(images[0]), engine.ready(images[1]))
        for n in range(1, 8):
            engine.synthesize(pair, [Fraction(n, 8)])
        assert len(backend.syntheses) == syntheses


@pytest.mark.parametrize("t", [Fraction(1, 3), 0.3, Fraction(1, 16)])
def test_other_times_than_eighths_are_an_error_for_them(middle_only: Model, t: float | Fraction) -> None:
    with pytest.raises(ArgumentError, match=r"t must be a multiple of 1/8 for cain, which knows only the middle"):
        Interpolator(middle_only, Options(backend="torch")).interpolate(texture(64, 80), texture(64, 80), [t])


def test_a_network_without_motion_has_no_scale(middle_only: Model) -> None:
    with pytest.raises(ArgumentError, match=r"scale must be 1 or None for cain, not 0\.5: it has no flow to scale"):
        Interpolator(middle_only, Options(scale=0.5, backend="torch"))
    frame = Interpolator(middle_only, Options(backend="torch")).interpolate(
        texture(16, 1100), texture(16, 1100, MOTION), [0.5]
    )[0]
    assert frame.shape == (1, 3, 16, 1100)


def test_arguments_of_the_wrong_type_are_named(lite: Model) -> None:
    engine, image = Interpolator(lite, Options(backend="torch")), texture(32, 32)
    with pytest.raises(ArgumentError, match=r"t must be a list of time steps, such as \[0\.5\], not 0\.5"):
        engine.interpolate(image, image, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="a frame must be a tensor, not ndarray"):
        engine.interpolate(image.numpy(), image, [0.5])  # type: ignore[arg-type]
