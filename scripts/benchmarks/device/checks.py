"""What is checked of one network on a device, always through the filter as a user calls it."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import vapoursynth as vs

import vsrrin
from scripts.benchmarks.device.pictures import (
    BUNDLED,
    Picture,
    at_once,
    by_threads,
    clip_of,
    difference,
    kinds,
    model_of,
    planes,
    same,
    straight,
)
from scripts.benchmarks.device.report import AbsentError, Report, first_of, messages
from vsrrin.engine import memory, pool
from vsrrin.engine.backends.graph_backend import GraphBackend
from vsrrin.engine.backends.torch_backend import cpu_multiplies_bf16, resolve_device
from vsrrin.nets.registry import by_name

_MIB = 2**20
_UNREPEATABLE = {"srrin": "splatting adds in any order on CUDA"}
"""Networks that promise no equal bits on a GPU."""
_LIMITS = {"fp32": (60.0, 55.0), "TF32": (50.0, 45.0), "fp16": (40.0, 32.0), "bf16": (40.0, 32.0)}
"""Least PSNR in dB against float32 on the CPU, of bundled and of random weights. Rounding to 8 bits alone leaves 60 dB
when one sample in 15 falls on the other side; random weights have learned nothing that keeps errors small."""
_WHOLE_AGAINST_TILES = 35.0
"""Least PSNR in dB of tiles against the whole frame."""
_LEFT_OVER = 64 * _MIB
"""Bytes of a device that may still be in use when everything is given back: work space of libraries."""
_STARVED = 0.45
"""Share of the memory it needs that a network is left with."""


class NetworkChecks:
    """The checks of one network.

    Args:
        report: Takes what is found.
        name: Bundled weights or a network without.
        folder: For checkpoints.
        device: Name of the device.
        size: (width, height) of most clips; even.
        frames: Source frames of most clips, at least 2.
        compiled: Whether backend "compile" is checked, too.
    """

    def __init__(
        self,
        report: Report,
        name: str,
        folder: Path,
        *,
        device: str,
        size: tuple[int, int],
        frames: int,
        compiled: bool,
    ) -> None:
        self._report, self._name, self._device, self._size, self._frames = report, name, device, size, frames
        self._spec = by_name(BUNDLED.get(name, name))
        self._model = model_of(name, folder)
        self._bundled = name in BUNDLED
        self._compiled = compiled
        self._place = resolve_device(device)
        self._on_cuda = self._place.type == "cuda"
        if self._on_cuda:
            torch.cuda.init()  # its memory cannot be asked about before
        self._many = "5/2" if self._spec.arbitrary_t else "4"
        self._clip = clip_of(frames, size)
        self._expected: dict[tuple[object, ...], list[Picture]] = {}
        self._found: dict[tuple[str, str], list[Picture]] = {}

    def run(self) -> None:
        """All of them."""
        before = torch.cuda.memory_allocated(self._place) if self._on_cuda else 0
        for backend, precision in self._variants():
            what = f"{backend} {precision}"
            self._check(f"{what}: picture, factor 2", partial(self._pictures, backend, precision, "2"))
            self._check(
                f"{what}: picture, factor {self._many}", partial(self._pictures, backend, precision, self._many)
            )
            self._check(f"{what}: any order", partial(self._any_order, backend, precision))
            if backend == "graphs":
                self._check(f"{what}: against torch", partial(self._against_torch, precision))
        if self._on_cuda:
            self._check("torch fp32 without TF32: picture", self._without_tf32)
        self._check("odd size, 4:4:4", partial(self._format, vs.YUV444P8, odd=True))
        for backend in ("torch", "graphs"):
            self._check(f"{backend}: tiles", partial(self._tiles, backend))
            self._check(f"{backend}: two sizes at once", partial(self._two_sizes, backend))
        if self._bundled:
            self._bundled_only()
        if self._name in ("rrin_lite", "rrin"):
            for backend in ("torch", "graphs"):
                self._check(f"{backend}: out of memory", partial(self._out_of_memory, backend))
        self._check("memory given back", partial(self._given_back, before))

    def _bundled_only(self) -> None:
        self._check("odd size, grey", partial(self._format, vs.GRAY8, odd=True))
        self._check("all at once", self._load)
        for device in ([self._device] * 2, *([[self._device, "cpu"]] if self._place.type != "cpu" else [])):
            self._check(f"devices {', '.join(device)}", partial(self._devices, device))
        if self._name == "rrin_lite":
            for name in ("YUV420P16", "RGBS", "GRAYH", "YUV422P16"):
                self._check(f"format {name}", partial(self._format, getattr(vs, name), odd=False))

    def _variants(self) -> Iterator[tuple[str, str]]:
        """Backends and precisions; "auto" is among them by what it stands for."""
        halves = ["fp16", "bf16"]
        if self._place.type == "cpu":  # where bf16 is emulated, large networks take minutes
            halves = ["bf16"] if self._bundled or cpu_multiplies_bf16() else []
        precisions = ["fp32", *(halves if self._spec.supports_half else [])]
        yield from (("torch", precision) for precision in precisions)
        yield from (("graphs", precision) for precision in precisions[:2])
        if self._compiled:
            yield from (("compile", precision) for precision in precisions[:2])

    def _check(self, name: str, run: Callable[[], tuple[bool | None, str]]) -> None:
        self._report.check(self._name, name, run)

    def _output(self, clip: vs.VideoNode, factor: str = "2", **options: Any) -> vs.VideoNode:
        given = {"device": self._device, "backend": "torch", "scene": "off", **options}
        try:
            return vsrrin.interpolate(clip, factor, self._model, **given)
        except vs.Error as error:
            if "needs PyTorch" in str(error):
                raise AbsentError(str(error)) from error
            raise

    def _reference(self, key: object, clip: vs.VideoNode, factor: str = "2", **options: Any) -> list[Picture]:
        """In float32 on the CPU, by plain PyTorch; computed once."""
        if (key, factor) not in self._expected:
            output = self._output(clip, factor, device="cpu", precision="fp32", **options)
            self._expected[key, factor] = straight(output)
        return self._expected[key, factor]

    def _judged(self, found: list[Picture], expected: list[Picture], limit: str, more: str = "") -> tuple[bool, str]:
        largest, psnr = difference(found, expected)
        least = _LIMITS[limit][not self._bundled]
        return psnr >= least, f"{psnr:.1f} dB of at least {least:.0f}, {largest:.3g} levels at most{more}"

    def _limit(self, precision: str) -> str:
        if precision == "auto":
            precision = "fp16" if self._place.type != "cpu" and self._spec.supports_half else "fp32"
        return "TF32" if precision == "fp32" and self._on_cuda and torch.backends.cudnn.allow_tf32 else precision

    def _pictures(self, backend: str, precision: str, factor: str) -> tuple[bool, str]:
        if self._on_cuda:
            torch.cuda.reset_peak_memory_stats(self._place)
        with messages() as said:
            output = self._output(self._clip, factor, backend=backend, precision=precision)
            found = straight(output)
            shown = kinds(output)
        if factor == "2":
            self._found[backend, precision] = found
        # The frame after the last pair is held: the rest of what is no source frame is new.
        wrong = "" if shown.count("new") >= self._frames - 1 else f"; frames are {', '.join(shown)}"
        more = f"; {torch.cuda.max_memory_allocated(self._place) / _MIB:.0f} MiB" if self._on_cuda else ""
        more += self._recorded(said) if backend == "graphs" else ""
        reference = self._reference("plain", self._clip, factor)
        good, text = self._judged(found, reference, self._limit(precision), more + wrong)
        return good and not wrong, text

    def _recorded(self, said: list[str]) -> str:
        kept = [shared.backend for shared in pool._kept.values() if isinstance(shared.backend, GraphBackend)]
        counts = [sum((each is None) is absent for each in kept[-1]._recordings.values()) for absent in (False, True)]
        why = first_of(said, "without being recorded")
        return f"; {counts[0]} recordings" + (
            f", {counts[1]} REFUSED: {' '.join((why or '').split())[:300]}" if counts[1] else ""
        )

    def _any_order(self, backend: str, precision: str) -> tuple[bool | None, str]:
        """The same frames straight on, by threads and all at once, each time from a filter of its own."""

        def fresh() -> vs.VideoNode:
            return self._output(self._clip, self._many, backend=backend, precision=precision)

        expected = straight(fresh())
        worst = [difference(found, expected) for found in (by_threads(fresh(), 1), at_once(fresh(), 2))]
        if all(psnr == float("inf") for _, psnr in worst):
            return True, "the same bits"
        text = f"NOT the same bits: {max(w[0] for w in worst):.3g} levels at most, {min(w[1] for w in worst):.1f} dB"
        if self._on_cuda and self._name in _UNREPEATABLE:
            return (None if min(w[1] for w in worst) > 55 else False), f"{text} ({_UNREPEATABLE[self._name]})"
        return False, text

    def _against_torch(self, precision: str) -> tuple[bool, str]:
        if ("graphs", precision) not in self._found:
            raise AbsentError("nothing to compare")
        found, expected = self._found["graphs", precision], self._found["torch", precision]
        if same(found, expected):
            return True, "the same bits"
        largest, psnr = difference(found, expected)
        return psnr >= 50, f"not the same bits: {largest:.3g} levels at most, {psnr:.1f} dB of at least 50"

    def _without_tf32(self) -> tuple[bool, str]:
        allowed = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        try:
            found = straight(self._output(self._clip, precision="fp32"))
            return self._judged(found, self._reference("plain", self._clip), self._limit("fp32"))
        finally:
            torch.backends.cudnn.allow_tf32 = allowed

    def _format(self, kind: int, *, odd: bool) -> tuple[bool, str]:
        clip = clip_of(2, (self._size[0] - odd, self._size[1] - odd), kind)
        found = straight(self._output(clip))
        return self._judged(found, self._reference((kind, odd), clip), self._limit("auto"))

    def _tiles(self, backend: str) -> tuple[bool, str]:
        options: dict[str, Any] = {"tile": (max(self._size[0] // 2, 64), max(self._size[1] // 2, 64)), "overlap": 16}
        clip = self._clip[:2]
        found = straight(self._output(clip, backend=backend, **options))
        return self._judged(found, self._reference("tiles", clip, **options), self._limit("auto"))

    def _two_sizes(self, backend: str) -> tuple[bool | None, str]:
        """Two clips of different size, whose frames are asked for in turn, share a network."""
        clips = [self._clip[:2], clip_of(2, (self._size[0] // 2, self._size[1]))]
        alone = [straight(self._output(clip, backend=backend)) for clip in clips]
        again = [self._output(clip, backend=backend) for clip in clips]
        frames = [(k, n) for n in range(4) for k in range(2)]
        futures = [again[k].get_frame_async(n) for k, n in frames]
        found: list[list[Picture]] = [[], []]
        for (k, _), future in zip(frames, futures, strict=True):
            with future.result() as frame:
                found[k].append(planes(frame))
        worst = [difference(a, b) for a, b in zip(found, alone, strict=True)]
        if all(psnr == float("inf") for _, psnr in worst):
            return True, "the same bits as alone"
        good = None if self._on_cuda and self._name in _UNREPEATABLE else False
        return good, f"NOT the same bits as alone: {max(w[0] for w in worst):.3g} levels at most"

    def _load(self) -> tuple[bool, str]:
        """Many frames asked for at once, against the same frames one by one."""
        clip = self._clip.std.Loop(5)
        expected = straight(self._output(clip))
        found = at_once(self._output(clip), 3)
        good = same(found, expected)
        return good, f"{len(found)} frames, " + (
            "the same bits" if good else f"NOT the same bits: {difference(found, expected)}"
        )

    def _devices(self, device: list[str]) -> tuple[bool, str]:
        found = at_once(self._output(self._clip, device=device, precision="fp32"), 4)
        return self._judged(found, self._reference("plain", self._clip), self._limit("fp32"))

    def _out_of_memory(self, backend: str) -> tuple[bool | None, str]:
        """With too little memory for the whole frame the filter goes on with tiles, and says so."""
        if not self._on_cuda:
            raise AbsentError("the memory of CUDA devices alone can be limited")
        clip = clip_of(2, (1280, 704))
        self._forget()
        base = torch.cuda.memory_reserved(self._place)
        torch.cuda.reset_peak_memory_stats(self._place)
        whole = straight(self._output(clip, backend=backend, tile=0))
        needed = torch.cuda.max_memory_allocated(self._place) - base
        self._forget()
        total = torch.cuda.get_device_properties(self._place).total_memory
        with messages() as said, _share((base + _STARVED * needed) / total, self._place):
            found = straight(self._output(clip, backend=backend))
            self._forget()
        largest, psnr = difference(found, whole)
        text = (
            f"{needed / _MIB:.0f} MiB needed, {_STARVED * needed / _MIB:.0f} left; {psnr:.1f} dB, {largest:.3g} levels"
        )
        message = first_of(said, "ran out of memory")
        if message is None:
            return None, f"{text}; it did not run out"
        return psnr >= _WHOLE_AGAINST_TILES, f"{text}; {' '.join(said)[:400]}"

    def _given_back(self, before: int) -> tuple[bool | None, str]:
        self._expected.clear()
        self._forget()
        if not self._on_cuda:
            raise AbsentError("only CUDA says how much of its memory is used")
        left = torch.cuda.memory_allocated(self._place) - before
        reserved = torch.cuda.memory_reserved(self._place)
        return left <= _LEFT_OVER, f"{left / _MIB:.1f} MiB still in use, {reserved / _MIB:.0f} MiB kept by PyTorch"

    def _forget(self) -> None:
        pool._kept.clear()
        gc.collect()
        if self._on_cuda:
            torch.cuda.synchronize(self._place)
            getattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None)()
        memory.release(self._place)


@contextmanager
def _share(fraction: float, place: torch.device) -> Iterator[None]:
    """This process may use so much of the device's memory."""
    torch.cuda.set_per_process_memory_fraction(fraction, place)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, place)
