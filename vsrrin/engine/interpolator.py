"""Interpolation of frame pairs given as tensors.

Motion is estimated once for each pair and reused for every time step; so are a network's residues, where a pair has
several new frames and the network can share them. Large frames go through the network in tiles, by choice or because
memory demands it. Optical flow is estimated on the whole frame before tiling, so that tiles see long motion.
"""

import logging
import os
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import partial
from itertools import batched

import torch
from torch import Tensor

from vsrrin.checkpoint.loader import Model, load
from vsrrin.errors import ArgumentError, FrameSizeError
from vsrrin.flow.dis import DisFlow, Preset, check_preset
from vsrrin.flow.own_flow_scale import best_explaining, shrunk_flow, unlike
from vsrrin.nets.parts.frame_pool import FramePool, scratch

from . import forks, memory
from .backends import Backend
from .backends.choice import make_backend, resolve_backend, resolve_way
from .backends.torch_backend import resolve_device
from .cache import BoundedCache
from .cores import cores_of, share
from .motion import Motion, padded_flow, seen_on_host
from .options import Options
from .pairs import Pair, SourceFrame
from .plan import Plan, Planner
from .tiles import Tile
from .transfer import DONE, Mark, Mover, Transfer, mover_of
from .value_range import finite_range, usual_gain

CACHE_BYTES = 2**30
"""Bytes of prepared pairs that an engine keeps."""

SOURCE_FRAME_BYTES = 2**28
"""Bytes of source frames that an engine keeps for the next pair."""

IDLE_BYTES = 2**28
"""Bytes of memory for frames that an engine keeps for the next ones."""

_SHARING = 2.5
"""Factor on a network's memory while it finds residues for all times: they are kept beside their parts, and beside
those of the pairs that are kept."""

_SHARED_BYTES = 120
"""Bytes per pixel of a pair with residues, at most; about 115 for 3840x2160 in overlapping tiles."""

FINEST_BISECTION = 8
"""Denominator of the times that networks reach by middles of middles if they only know the middle of a pair."""


class Interpolator:
    """New frames of frame pairs, made by one network on one device.

    Thread safe; calls take turns on the device.

    Args:
        model: A checkpoint from :func:`vsrrin.load`, a bundled name or a path.
        options: Options of the engine: device, precision, backend, scale, tile, overlap and batch.
        preset: Settings of DIS, for networks with external flow; ``None`` for those of the network.
        cache_bytes: Bytes of prepared pairs kept for further time steps.
        lanes: Pairs that are worked on at once on a CPU, each by its share of the threads.
        several: Whether pairs have several new frames; networks that can then find their residues once a pair do so.
        log: Called with messages about what was chosen; the default logs to "vsrrin".
        backend: Backend to use in place of the one that the options name.
        mover: Copies to use in place of the device's own.
        motion: Optical flow to use in place of DIS on the host; ``preset`` is then its own affair.

    Raises:
        ArgumentError: An argument is of the wrong type or out of range, or the network has no motion to scale.
        BackendError: The device is not available.
        CheckpointError: The checkpoint cannot be loaded.
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str] = "rrin_lite",
        options: Options | None = None,
        *,
        preset: Preset | None = None,
        cache_bytes: int = CACHE_BYTES,
        lanes: int = 1,
        several: bool = False,
        log: Callable[[str], None] | None = None,
        backend: Backend | None = None,
        mover: Mover | None = None,
        motion: Motion | None = None,
    ) -> None:
        options = options or Options()
        if not isinstance(model, Model):
            model = load(model, arithmetic=options.arithmetic)
        self.spec = model.spec
        scaled = self.spec.external_flow or self.spec.estimates_flow
        if options.scale not in (None, 1) and not scaled:
            raise ArgumentError(
                f"scale must be 1 or None for {self.spec.name}, not {options.scale}: it has no flow to scale"
            )
        # Published weights run as published: they may have learned to use their flow in another way.
        self._seeks = options.scale is None and self.spec.estimates_flow and model.arithmetic == "exact"
        self._batch = options.batch
        self._shares, self._cache_bytes = several and self.spec.shares, cache_bytes
        if backend is None:
            if len(options.devices) != 1:
                raise ArgumentError(f"device must be one device for Interpolator, not {options.device!r}")
            place = resolve_device(resolve_backend(options.backend, options.devices[0]))
            name, dtype = resolve_way(options.backend, options.precision, model, place)
            backend = make_backend(name, model.net, model.spec, place, dtype)
        self._backend = backend
        self.device = self._backend.device
        self._cores = cores_of(str(self.device))
        self.threads = share(lanes)
        """Threads that work on a pair on a CPU; those that call the engine should use as many, see `cores.threads`."""
        self._planner = Planner(
            name=self.spec.name,
            size_multiple=self.spec.size_multiple,
            bytes_per_pixel=int(self._backend.bytes_per_pixel * (_SHARING if self._shares else 1)),
            device=self.device,
            options=options,
            log=log or logging.getLogger("vsrrin").info,
        )
        self._pairs: BoundedCache[Pair] = BoundedCache(cache_bytes, lambda pair: pair.bytes)
        self._source_frames: BoundedCache[SourceFrame] = BoundedCache(SOURCE_FRAME_BYTES, lambda frame: frame.bytes)
        self._middles: BoundedCache[Tensor] = BoundedCache(min(cache_bytes, SOURCE_FRAME_BYTES), lambda x: x.nbytes)
        self._plans: dict[tuple[int, int], Plan] = {}
        self._motion = motion or DisFlow(check_preset(preset or self.spec.flow_preset))
        mover = mover or mover_of(self.device)
        self._transfer = Transfer(mover)
        self._memory = FramePool(IDLE_BYTES, pinned=mover.pinned)

    def interpolate(self, img0: Tensor, img1: Tensor, t: Sequence[float | Fraction]) -> list[Tensor]:
        """Make new frames between two frames.

        Args:
            img0: Frame 0, (1, 3, H, W) float32 RGB, nominally [0, 1], on any device.
            img1: Frame 1, likewise.
            t: Time steps in (0, 1).

        Returns:
            One (1, 3, H, W) float32 RGB tensor on the CPU per time step, of any strides.

        Raises:
            ArgumentError: A time step outside (0, 1), or one that the network does not know.
            FrameSizeError: The frames' shapes differ or are not (1, 3, H, W).
            BackendError: The device's memory does not suffice even for the smallest tiles, or the process was forked
                from one that had used vsrrin.
        """
        if not isinstance(t, Sequence):
            raise ArgumentError(f"Interpolator: t must be a list of time steps, such as [0.5], not {t!r}")
        return self.synthesize(self.prepare(self.ready(img0), self.ready(img1)), t)

    def source_frame(self, key: Hashable, size: tuple[int, int], fill: Callable[[Tensor], object]) -> SourceFrame:
        """Return the prepared source frame of ``key``, from the cache if it is there.

        Args:
            key: Any name of the frame, the same at every call.
            size: (height, width).
            fill: Writes the frame into a (1, 3, height, width) float32 tensor on the CPU, RGB, nominally [0, 1].
        """
        return self._source_frames.get(key, lambda: self._ready(size, fill))

    def ready(self, image: Tensor) -> SourceFrame:
        """Pad and upload a frame (1, 3, H, W) float32 RGB, nominally [0, 1], on any device.

        Raises:
            FrameSizeError: Another shape.
            ArgumentError: Not a tensor, or not floating point.
            BackendError: The process was forked from one that had used vsrrin.
        """
        forks.begin()
        if not isinstance(image, Tensor):
            raise ArgumentError(
                f"Interpolator: a frame must be a tensor, not {type(image).__name__}: torch.from_numpy(...)"
            )
        if image.dim() != 4 or image.shape[:2] != (1, 3) or not image.numel():
            raise FrameSizeError(f"Interpolator: a frame must have the shape (1, 3, H, W), not {tuple(image.shape)}")
        if not image.is_floating_point():
            raise ArgumentError(f"Interpolator: a frame must be floating point in [0, 1], not {image.dtype}")
        height, width = image.shape[-2:]
        return self._ready((height, width), lambda target: target.copy_(image))

    def _ready(self, size: tuple[int, int], fill: Callable[[Tensor], object]) -> SourceFrame:
        plan = self.plan(*size)
        padded = self._after_clearing(lambda: self._empty(*plan.padder.padded))
        image = plan.padder.crop(padded)
        with torch.inference_mode():
            fill(image)
            low, high = finite_range(image)
            plan.padder.fill_border(padded)
            seen = seen_on_host(self._motion, image, plan.scale) if self.spec.external_flow else None
        image, there = self._upload(padded)
        return SourceFrame(image=image, size=size, low=low, high=high, brightness=seen, there=there)

    def _empty(self, height: int, width: int) -> Tensor:
        """Return memory for a source frame on the CPU, (1, 3, height, width)."""
        if self.spec.external_flow and self.device.type == "cpu":
            # The layout of OpenCV, which warps them.
            return self._memory.empty(1, height, width, 3).permute(0, 3, 1, 2)
        return self._memory.empty(1, 3, height, width)

    def pair(self, key: Hashable, load: Callable[[], tuple[SourceFrame, SourceFrame]]) -> Pair:
        """Return the prepared pair of ``key``, from the cache or from the frames that ``load()`` returns."""
        return self._pairs.get(key, lambda: self.prepare(*load()))

    def prepare(self, left: SourceFrame, right: SourceFrame) -> Pair:
        """Do the work that all time steps share: optical flow and the network's ``estimate``.

        Raises:
            FrameSizeError: The frames differ in size.
            BackendError: See `interpolate`.
        """
        forks.begin()
        if left.size != right.size:
            raise FrameSizeError(f"Interpolator: both frames must have the same size, not {left.size} and {right.size}")
        plan = self.plan(*left.size)
        low, high = min(left.low, right.low), max(left.high, right.high)
        # Video has values beyond nominal white and outside the RGB gamut on purpose.
        pair = Pair(img0=left.image, img1=right.image, plan=plan, low=min(low, 0.0), high=max(high, 1.0))
        if self.spec.external_flow:
            pair.flow, there = self._flow(left, right, plan)
            there.wait()
        left.there.wait()
        right.there.wait()
        if (gain := usual_gain(low, high)) != 1:
            images = self._after_clearing(lambda: (left.image * gain, right.image * gain))
            pair.gain, (pair.img0, pair.img1) = gain, images
        with self._cores.taken(self.threads), torch.inference_mode():
            self._spare_memory(plan, lambda current: self._estimate(pair, current))
        return pair

    def _flow(self, left: SourceFrame, right: SourceFrame, plan: Plan) -> tuple[Tensor, Mark]:
        find = partial(padded_flow, self._motion, left, right, plan, self._memory.empty)
        if isinstance(self._motion, DisFlow):  # takes no turn: the device serves other pairs meanwhile
            return self._upload(self._after_clearing(find))
        with self._cores.taken(self.threads):
            return self._after_clearing(find), DONE

    def synthesize(self, pair: Pair, t: Sequence[float | Fraction]) -> list[Tensor]:
        """Make new frames of a prepared pair, see `interpolate`."""
        forks.begin()
        steps = [self._check_time(step) for step in t]
        if self.spec.arbitrary_t:
            frames = self._run(pair, [float(step) for step in steps])
        else:
            frames = [self._middle(pair, step) for step in steps]
        memory.heap().tidy()
        return [self._finished(pair, frame) for frame in frames]

    def _finished(self, pair: Pair, frame: Tensor) -> Tensor:
        """Return a new frame on the CPU, without padding and gain, clamped to the range of its source frames."""
        with torch.inference_mode():
            frame = pair.plan.padder.crop(frame)
            if pair.gain != 1:
                frame = frame / pair.gain
            # Middles are kept for others.
            frame = (frame.clamp_ if self.spec.arbitrary_t else frame.clamp)(pair.low, pair.high)
            return self._transfer.download(frame, self._memory.empty)

    def _run(self, pair: Pair, steps: Sequence[float]) -> list[Tensor]:
        with self._cores.taken(self.threads), torch.inference_mode():
            return self._spare_memory(pair.plan, lambda plan: self._synthesize(pair, steps, plan))

    def _middle(self, pair: Pair, t: Fraction) -> Tensor:
        """Return the frame at t = odd / 2**k: the middle of its neighbours at t - 1 / 2**k and t + 1 / 2**k."""
        step = Fraction(1, t.denominator)
        ends = {Fraction(0): pair.img0, Fraction(1): pair.img1}

        def compute() -> Tensor:
            left, right = (ends[time] if time in ends else self._middle(pair, time) for time in (t - step, t + step))
            between = pair if t.denominator == 2 else Pair(img0=left, img1=right, plan=pair.plan)
            if between is not pair:
                with self._cores.taken(self.threads), torch.inference_mode():
                    self._spare_memory(pair.plan, lambda plan: self._estimate(between, plan))
            return self._run(between, [0.5])[0]

        return self._middles.get((pair.serial, t), compute)

    def plan(self, height: int, width: int) -> Plan:
        """Return the plan for frames of this size; made once, so that results do not change midway."""
        plan = self._plans.get((height, width))
        return plan or self._plans.setdefault((height, width), self._planner.plan(height, width))

    def close(self) -> None:
        """Drop all pairs and release the device's spare memory; the engine can still be used."""
        for kept in (self._transfer, self._pairs, self._source_frames, self._middles, self._memory, scratch):
            kept.clear()
        memory.release(self.device)

    def _upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        return self._after_clearing(lambda: self._transfer.upload(x))

    def _after_clearing[R](self, run: Callable[[], R]) -> R:
        """Run; if memory runs out, run once more with nothing kept of other pairs."""
        with torch.inference_mode():
            try:
                return run()
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
            self.close()
            return run()

    def _spare_memory[R](self, plan: Plan, run: Callable[[Plan], R]) -> R:
        """Run with the current plan for this frame size, and with smaller tiles each time memory runs out."""
        size = (plan.padder.height, plan.padder.width)
        while True:
            current = self._plans.get(size, plan)
            try:
                return self._after_clearing(lambda current=current: run(current))  # type: ignore[misc]
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                smaller = self._planner.smaller(current, error)
            memory.release(self.device)
            self._plans[size] = smaller

    def _estimate(self, pair: Pair, plan: Plan) -> None:
        pair.estimates = []  # those of another plan
        if self._seeks:
            pair.estimates = best_explaining(
                lambda scale: self._estimates(pair, plan, scale),
                lambda flows: unlike(pair.img0, pair.img1, plan.grid.join(flows)),
                plan.scale,
                plan.grid.tiles[0].height,  # each is shrunk by itself if the whole is too much
                plan.grid.tiles[0].width,
            )
        else:
            pair.estimates = self._estimates(pair, plan, plan.scale)
        pair.plan = plan

    def _estimates(self, pair: Pair, plan: Plan, scale: float) -> list[Tensor]:
        """Return the network's ``estimate`` of each tile, with flow that it finds itself found at a scale."""
        tiles = plan.grid.tiles
        if self.spec.estimates_flow and scale < 1:
            area = plan.padder.padded[0] * plan.padder.padded[1] * scale**2
            if area <= tiles[0].height * tiles[0].width:
                flow = self._estimate_small(pair.img0, pair.img1, scale)
                return [tile.cut(flow) for tile in tiles]
            return [self._estimate_small(tile.cut(pair.img0), tile.cut(pair.img1), scale) for tile in tiles]
        found: list[Tensor] = []
        for group in batched(tiles, self._batch):
            img0, img1 = _cut(pair.img0, group), _cut(pair.img1, group)
            outer = None if pair.flow is None else _cut(pair.flow, group, factor=2)
            estimates = self._backend.estimate(img0, img1, outer)
            if self._shares and self._fits(plan):
                estimates = self._backend.share(img0, img1, estimates)
            found += estimates.chunk(len(group))
        return found

    def _fits(self, plan: Plan) -> bool:
        """Return whether the cache holds a pair with its residues; else they would be found anew for every frame."""
        height, width = plan.padder.padded
        return height * width * _SHARED_BYTES <= self._cache_bytes

    def _estimate_small(self, img0: Tensor, img1: Tensor, scale: float) -> Tensor:
        """Return flow (1, 4, H, W) in pixels, estimated by the network on pictures shrunk by ``scale``."""
        multiple = self.spec.size_multiple
        return shrunk_flow(
            lambda small0, small1: self._backend.estimate(small0, small1, None), img0, img1, scale, multiple
        )

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
            # Made on the device: a copy from ordinary memory would wait for all work of the device.
            t = torch.cat([torch.full((1, 1, 1, 1), step, device=self.device) for _, step in group])
            img0, img1 = _cut(pair.img0, chosen), _cut(pair.img1, chosen)
            parts += self._backend.synthesize(img0, img1, estimate, t).chunk(len(group))
        return [plan.grid.join(part) for part in batched(parts, len(tiles))]

    def _check_time(self, t: float | Fraction) -> Fraction:
        if not 0 < t < 1:
            raise ArgumentError(f"Interpolator: t must lie between 0 and 1, not {t}")
        exact = Fraction(t)
        if not self.spec.arbitrary_t and FINEST_BISECTION % exact.denominator:
            raise ArgumentError(
                f"Interpolator: t must be a multiple of 1/{FINEST_BISECTION} for {self.spec.name}, which knows only "
                f"the middle of a pair, not {t}"
            )
        return exact


def _cut(x: Tensor, tiles: Sequence[Tile], *, factor: int = 1) -> Tensor:
    parts = [tile.cut(x, factor=factor) for tile in tiles]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
