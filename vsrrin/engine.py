"""The engine: frame pairs in, new frames out. Plain tensors, no VapourSynth.

For each pair it estimates motion once and reuses it for every time step. Large frames go through the network in tiles,
by choice or because memory demands it; motion from optical flow is estimated on the whole frame before tiling, so that
tiles see long motion.
"""

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from itertools import batched
from threading import Lock

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor

from . import memory
from .backends import Backend
from .backends.torch_backend import TorchBackend, resolve_device, resolve_precision
from .cache import BoundedCache
from .checkpoint import Model
from .errors import ArgumentError, BackendError, FrameSizeError
from .motion import Brightness, DisFlow, Preset, brightness
from .options import automatic_scale, check_batch, check_overlap, check_preset, check_scale, check_tile
from .padding import Padder
from .tiling import Tile, TileGrid

DEFAULT_OVERLAP = 128
"""Pixels that tiles share. Three eighths are context on each side, enough for motion of 96 px at t = 1/2."""

CACHE_BYTES = 2**30
"""Bytes of prepared pairs that an engine keeps."""

PICTURE_BYTES = 2**28
"""Bytes of source frames that an engine keeps for the next pair."""

_SMALLEST_TILE = 128


@dataclass(frozen=True)
class Plan:
    """How frames of one size are processed.

    Attributes:
        padder: Pads frames to the network's multiple.
        grid: The tiles of the padded frame; one tile if it is not tiled.
        scale: Size of the picture on which motion is estimated, relative to the frame, in [0.25, 1].
    """

    padder: Padder
    grid: TileGrid
    scale: float


@dataclass(frozen=True)
class Picture:
    """A source frame made ready once for both pairs it belongs to.

    Attributes:
        image: Padded, on the device, (1, 3, H, W) float32.
        size: (height, width) before padding.
        brightness: What optical flow is estimated on, before padding; ``None`` for networks that find it themselves.
    """

    image: Tensor
    size: tuple[int, int]
    brightness: Brightness | None

    @property
    def bytes(self) -> int:
        """Bytes of its tensors."""
        return self.image.nbytes + (0 if self.brightness is None else self.brightness.nbytes)


@dataclass
class Pair:
    """A prepared frame pair: everything that does not depend on the time step.

    Attributes:
        img0: Frame 0, padded, on the device, (1, 3, H, W) float32.
        img1: Frame 1, likewise.
        flow: Flow from outside the network, padded, on the device, (1, 4, H, W) pixels; ``None`` for other networks.
        plan: The plan that ``estimates`` were made with.
        estimates: What the network's ``estimate`` returned for each tile.
    """

    img0: Tensor
    img1: Tensor
    flow: Tensor | None
    plan: Plan
    estimates: list[Tensor] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Bytes of all its tensors."""
        flow = [] if self.flow is None else [self.flow]
        return sum(x.nbytes for x in (self.img0, self.img1, *flow, *self.estimates))


class Interpolator:
    """Interpolates frame pairs with one network on one device. Thread safe; the device does one thing at a time.

    Args:
        model: A loaded checkpoint.
        device: Name of the device; ``None`` for the best one here.
        precision: "auto", "fp32", "fp16" or "bf16", the type of the convolutions. Images, coordinates, warps and flow
            are float32 always.
        scale: Size of the picture on which motion is estimated, relative to the frame, in [0.25, 1]; ``None`` chooses
            by frame size. Smaller finds longer motion and costs less, larger follows small things.
        tile: Side of a tile in pixels, or (width, height); 0 never tiles; ``None`` tiles when memory demands it.
        overlap: Pixels that neighbouring tiles share; should be 8/3 of the longest motion to a new frame.
        batch: Tiles or time steps that go through the network in one call.
        preset: OpenCV's DIS preset for networks that take their flow from outside.
        cache_bytes: Bytes of prepared pairs kept for further time steps.
        log: Is told in words what was chosen; the default logs to "vsrrin".
        backend: Replaces the default backend.

    Raises:
        ArgumentError: An argument is of the wrong type or out of range.
        BackendError: The device is not available.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str | torch.device | None = None,
        precision: str = "auto",
        scale: float | None = None,
        tile: int | tuple[int, int] | None = None,
        overlap: int | None = None,
        batch: int = 1,
        preset: Preset = "medium",
        cache_bytes: int = CACHE_BYTES,
        log: Callable[[str], None] | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.spec = model.spec
        self._scale = check_scale(scale)
        self._tile = check_tile(tile)
        self._overlap = check_overlap(overlap)
        self._batch = check_batch(batch)
        self._preset = check_preset(preset)
        self._log = log or logging.getLogger("vsrrin").info
        if backend is None:
            place = resolve_device(device)
            backend = TorchBackend(model.net, model.spec, place, resolve_precision(precision, place, model.spec))
        self._backend = backend
        self.device = self._backend.device
        self._device_lock = _lock_of(str(self.device))
        self._pairs: BoundedCache[Pair] = BoundedCache(cache_bytes, lambda pair: pair.bytes)
        self._pictures: BoundedCache[Picture] = BoundedCache(PICTURE_BYTES, lambda picture: picture.bytes)
        self._plans: dict[tuple[int, int], Plan] = {}
        self._motion: dict[float, DisFlow] = {}

    def interpolate(self, img0: Tensor, img1: Tensor, t: Sequence[float | Fraction]) -> list[Tensor]:
        """New frames between two frames.

        Args:
            img0: Frame 0, (1, 3, H, W) float32 RGB, nominally [0, 1], on any device.
            img1: Frame 1, likewise.
            t: Time steps in (0, 1).

        Returns:
            One (1, 3, H, W) float32 tensor on the CPU per time step.

        Raises:
            ArgumentError: A time step outside (0, 1), or one that the network does not know.
            FrameSizeError: The frames' shapes differ or are not (1, 3, H, W).
            BackendError: The device's memory does not suffice even for the smallest tiles.
        """
        return self.synthesize(self.prepare(self.ready(img0), self.ready(img1)), t)

    def picture(self, key: Hashable, load: Callable[[], Tensor]) -> Picture:
        """The source frame of ``key``, from the cache or from the (1, 3, H, W) tensor that ``load()`` returns."""
        return self._pictures.get(key, lambda: self.ready(load()))

    def ready(self, image: Tensor) -> Picture:
        """Uploads and pads a frame (1, 3, H, W) float32 RGB, nominally [0, 1], on any device.

        Raises:
            FrameSizeError: Another shape.
        """
        if image.dim() != 4 or image.shape[:2] != (1, 3) or not image.numel():
            raise FrameSizeError(f"Interpolator: a frame must have the shape (1, 3, H, W), not {tuple(image.shape)}")
        if not image.is_floating_point():
            raise ArgumentError(f"Interpolator: a frame must be floating point in [0, 1], not {image.dtype}")
        height, width = image.shape[-2:]
        padder = self.plan(height, width).padder
        uploaded = self._after_clearing(lambda: padder.pad(image.to(self.device, torch.float32)))
        return Picture(uploaded, (height, width), brightness(image.cpu()) if self.spec.external_flow else None)

    def pair(self, key: Hashable, load: Callable[[], tuple[Picture, Picture]]) -> Pair:
        """The prepared pair of ``key``, from the cache or from the frames that ``load()`` returns."""
        return self._pairs.get(key, lambda: self.prepare(*load()))

    def prepare(self, left: Picture, right: Picture) -> Pair:
        """Does all that does not depend on the time step: optical flow and the network's ``estimate``.

        Raises:
            FrameSizeError: The frames differ in size.
            BackendError: See `interpolate`.
        """
        if left.size != right.size:
            raise FrameSizeError(f"Interpolator: both frames must have the same size, not {left.size} and {right.size}")
        plan = self.plan(*left.size)
        pair = Pair(left.image, right.image, None, plan)
        if left.brightness is not None and right.brightness is not None:
            # Not under the lock: the device serves other pairs meanwhile.
            flow = self._motion_at(plan.scale)(left.brightness, right.brightness)
            pair.flow = self._after_clearing(lambda: plan.padder.pad(flow.to(self.device)))
        with self._device_lock, torch.inference_mode():
            self._spare_memory(plan, lambda current: self._estimate(pair, current))
        return pair

    def synthesize(self, pair: Pair, t: Sequence[float | Fraction]) -> list[Tensor]:
        """New frames of a prepared pair. See `interpolate`."""
        steps = [self._check_time(step) for step in t]
        with self._device_lock, torch.inference_mode():
            frames = self._spare_memory(pair.plan, lambda plan: self._synthesize(pair, steps, plan))
        memory.heap().tidy()
        return frames

    def plan(self, height: int, width: int) -> Plan:
        """How frames of this size are processed; decided once, then kept, so that results do not change midway."""
        plan = self._plans.get((height, width))
        return plan or self._plans.setdefault((height, width), self._make_plan(height, width))

    def close(self) -> None:
        """Drops all pairs and gives the device's spare memory back. The engine can still be used."""
        self._pairs.clear()
        self._pictures.clear()
        memory.release(self.device)

    def _make_plan(self, height: int, width: int) -> Plan:
        padder = Padder(height, width, self.spec.size_multiple)
        scale = self._scale or automatic_scale(height, width)
        padded_height, padded_width = padder.padded
        whole = (padded_height, padded_width)
        tile = whole
        needed = padded_height * padded_width
        if self._tile:
            side = (self._tile, self._tile) if isinstance(self._tile, int) else (self._tile[1], self._tile[0])
            tile = (min(side[0], padded_height), min(side[1], padded_width))
        elif self._tile is None:
            pixels = memory.budget(self.device) // self._backend.bytes_per_pixel
            if pixels < needed:
                tile = self._largest_tile(pixels, padded_height, padded_width)
        grid = self._grid(whole, tile)
        if self._tile is None and len(grid.tiles) > 1:
            self._log(
                f"{width}x{height} frames are processed in tiles of {grid.tiles[0].width}x{grid.tiles[0].height}: the "
                f"whole frame would need {needed * self._backend.bytes_per_pixel / 2**30:.1f} GiB on {self.device}"
            )
        return Plan(padder, grid, scale)

    def _largest_tile(self, pixels: int, height: int, width: int) -> tuple[int, int]:
        """Height and width of a tile of at most ``pixels``: as square as the frame allows."""
        side = max(math.isqrt(pixels), _SMALLEST_TILE)
        tile_height = min(side, height)
        return tile_height, min(max(pixels // tile_height, _SMALLEST_TILE), width)

    def _grid(self, whole: tuple[int, int], tile: tuple[int, int]) -> TileGrid:
        overlap = self._overlap
        if overlap is None or self._tile is None:  # an automatic tile never contradicts the overlap asked for
            shortest = min((side for side, length in zip(tile, whole, strict=True) if side < length), default=0)
            overlap = min(DEFAULT_OVERLAP if overlap is None else overlap, max(shortest - 1, 0) // 4)
        return TileGrid(*whole, tile, overlap, self.spec.size_multiple)

    def _after_clearing[R](self, run: Callable[[], R]) -> R:
        """Runs; if memory runs out, once more with nothing kept of other pairs."""
        with torch.inference_mode():
            try:
                return run()
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
            self.close()
            return run()

    def _spare_memory[R](self, plan: Plan, run: Callable[[Plan], R]) -> R:
        """Runs with the current plan for this frame size; whenever memory runs out, with smaller tiles from then on."""
        size = (plan.padder.height, plan.padder.width)
        while True:
            current = self._plans.get(size, plan)
            try:
                return self._after_clearing(lambda current=current: run(current))  # type: ignore[misc]
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                smaller = self._smaller(current, error)
            memory.release(self.device)
            self._plans[size] = smaller

    def _smaller(self, plan: Plan, error: Exception) -> Plan:
        tile = plan.grid.tiles[0]
        height, width = (max(side // 2, min(_SMALLEST_TILE, side)) for side in (tile.height, tile.width))
        overlap = min(plan.grid.overlap or DEFAULT_OVERLAP, (min(height, width) - 1) // 4)
        grid = TileGrid(*plan.padder.padded, (height, width), overlap, self.spec.size_multiple)
        frame = f"{plan.padder.width}x{plan.padder.height}"
        if (grid.tiles[0].height, grid.tiles[0].width) == (tile.height, tile.width):
            raise BackendError(
                f"{self.device} has too little memory for {frame} frames even in tiles of {tile.width}x{tile.height} "
                f"with {self.spec.name}: close other programs or choose another device ({error})"
            ) from error
        tile = grid.tiles[0]
        self._log(
            f"{self.device} ran out of memory with {frame} frames; from now on in tiles of {tile.width}x{tile.height}"
        )
        return replace(plan, grid=grid)

    def _motion_at(self, scale: float) -> DisFlow:
        return self._motion.setdefault(scale, DisFlow(self._preset, scale))

    def _estimate(self, pair: Pair, plan: Plan) -> None:
        tiles = plan.grid.tiles
        if pair.flow is None and plan.scale < 1:
            area = plan.padder.padded[0] * plan.padder.padded[1] * plan.scale**2
            if area <= tiles[0].height * tiles[0].width:
                flow = self._estimate_small(pair.img0, pair.img1, plan.scale)
                pair.estimates = [tile.cut(flow) for tile in tiles]
            else:
                pair.estimates = [
                    self._estimate_small(tile.cut(pair.img0), tile.cut(pair.img1), plan.scale) for tile in tiles
                ]
        else:
            pair.estimates = []
            for group in batched(tiles, self._batch):
                img0, img1 = _cut(pair.img0, group), _cut(pair.img1, group)
                estimates = self._backend.estimate(img0, img1, None if pair.flow is None else _cut(pair.flow, group))
                pair.estimates += estimates.chunk(len(group))
        pair.plan = plan

    def _estimate_small(self, img0: Tensor, img1: Tensor, scale: float) -> Tensor:
        """Flow (1, 4, H, W), pixels, of a network that finds it itself, estimated on pictures shrunk by ``scale``."""
        height, width = img0.shape[-2:]
        multiple = self.spec.size_multiple
        small = [max(round(side * scale / multiple), 1) * multiple for side in (height, width)]
        shrunk = (F.interpolate(x, small, mode="bilinear", align_corners=False, antialias=True) for x in (img0, img1))
        flow = self._backend.estimate(next(shrunk), next(shrunk), None)
        if flow.shape != (1, 4, *small):
            raise ArgumentError(f"scale must be 1 or None for {self.spec.name}, not {scale}: it has no flow to scale")
        per_axis = torch.tensor([width / small[1], height / small[0]] * 2, device=flow.device).view(1, 4, 1, 1)
        return F.interpolate(flow, (height, width), mode="bilinear", align_corners=False) * per_axis

    def _synthesize(self, pair: Pair, steps: Sequence[float], plan: Plan) -> list[Tensor]:
        if pair.plan is not plan:
            self._estimate(pair, plan)
        tiles = plan.grid.tiles
        parts: list[Tensor] = []
        for group in batched([(i, step) for step in steps for i in range(len(tiles))], self._batch):
            chosen = [tiles[i] for i, _ in group]
            estimate = (
                pair.estimates[group[0][0]] if len(group) == 1 else torch.cat([pair.estimates[i] for i, _ in group])
            )
            t = torch.tensor([step for _, step in group], dtype=torch.float32, device=self.device).view(-1, 1, 1, 1)
            parts += self._backend.synthesize(_cut(pair.img0, chosen), _cut(pair.img1, chosen), estimate, t).chunk(
                len(group)
            )
        frames = (plan.grid.join(part) for part in batched(parts, len(tiles)))
        return [plan.padder.crop(frame).cpu() for frame in frames]

    def _check_time(self, t: float | Fraction) -> float:
        if not 0 < t < 1:
            raise ArgumentError(f"Interpolator: t must lie between 0 and 1, not {t}")
        if not self.spec.arbitrary_t and t != Fraction(1, 2):
            raise ArgumentError(f"Interpolator: t must be 1/2 for {self.spec.name}, not {t}")
        return float(t)


def _cut(x: Tensor, tiles: Sequence[Tile]) -> Tensor:
    return tiles[0].cut(x) if len(tiles) == 1 else torch.cat([tile.cut(x) for tile in tiles])


@cache
def _lock_of(device: str) -> Lock:
    """Two networks at once on one device only slow each other down, on CPUs up to tenfold."""
    return Lock()
