"""The work of a network recorded once per frame size and replayed from then on: CUDA graphs.

A small network on a fast device spends more time on starting its hundreds of kernels than on running them; a recording
starts all of them at once. What is recorded reads and writes memory of its own, so every call copies its frames in and
the result out. Recording is CUDA's; all else here runs on any device, where "replaying" is running once more.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from ..nets.spec import NetSpec
from .torch_backend import TorchBackend

_KEPT = 8
"""Recordings kept: two for each size of frames or tiles. Each keeps the memory that the network worked in."""
_WARM_UP = 2
"""Runs before a recording: libraries choose their kernels in the first ones."""

type Work = Callable[[], Tensor]


class Recorder(Protocol):
    """Records work."""

    def __call__(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Runs the work; returns what does it again, in the same memory, and its result, which changes with that."""
        ...


@dataclass(frozen=True)
class _Recording:
    inputs: Sequence[Tensor]
    replay: Callable[[], None]
    output: Tensor


class GraphBackend(TorchBackend):
    """Replays recordings of a net. The engine asks for one thing at a time, so recordings are not used twice at once.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: A device from :func:`vsrrin.backends.torch_backend.resolve_device`.
        dtype: Type of the convolutions, from :func:`vsrrin.backends.torch_backend.resolve_precision`.
        recorder: Replaces the device's own way to record.
    """

    def __init__(
        self,
        net: nn.Module,
        spec: NetSpec,
        device: torch.device,
        dtype: torch.dtype,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        super().__init__(net, spec, device, dtype)
        self.name = "graphs"
        self._record = recorder or (partial(_on_cuda, device) if device.type == "cuda" else _again)
        self._recordings: OrderedDict[tuple[object, ...], _Recording | None] = OrderedDict()

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        """See :class:`vsrrin.backends.Backend`."""
        if flow is None:
            return self._run("estimate", lambda *x: TorchBackend.estimate(self, x[0], x[1], None), img0, img1)
        return self._run("estimate", lambda *x: TorchBackend.estimate(self, *x), img0, img1, flow)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """See :class:`vsrrin.backends.Backend`."""
        return self._run("synthesize", lambda *x: TorchBackend.synthesize(self, *x), img0, img1, estimate, t)

    def close(self) -> None:
        """See :class:`vsrrin.backends.Backend`."""
        self._recordings.clear()
        super().close()

    def _run(self, name: str, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        key = (name, *((x.shape, x.stride()) for x in inputs))
        if key not in self._recordings:
            self._recordings[key] = self._recording(name, function, inputs)
            while len(self._recordings) > _KEPT:
                self._recordings.popitem(last=False)
        self._recordings.move_to_end(key)
        recording = self._recordings[key]
        if recording is None:
            return function(*inputs)
        with torch.inference_mode():
            for own, given in zip(recording.inputs, inputs, strict=True):
                own.copy_(given)
            recording.replay()
            return recording.output.clone()

    def _recording(self, name: str, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> _Recording | None:
        """``None`` if the device cannot record it."""
        with torch.inference_mode():
            own = [torch.empty_like(x).copy_(x) for x in inputs]
            try:
                replay, output = self._record(lambda: function(*own))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                logging.getLogger("vsrrin").info("%s is run without being recorded: %s", name, error)
                return None
        return _Recording(own, replay, output)


def _again(work: Work) -> tuple[Callable[[], None], Tensor]:
    """For devices that record nothing."""
    output = work().clone()

    def replay() -> None:
        output.copy_(work())

    return replay, output


def _on_cuda(device: torch.device, work: Work) -> tuple[Callable[[], None], Tensor]:
    with torch.cuda.device(device):
        current = torch.cuda.current_stream()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                work()
        current.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads copy frames meanwhile, which must not end the recording.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            output = work()
    return graph.replay, output
