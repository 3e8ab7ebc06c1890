"""Backend that records the work of a network once per frame size and replays it from then on: CUDA graphs.

A small network on a fast device spends more time on starting its hundreds of kernels than on running them; a recording
starts all of them at once. What is recorded reads and writes memory of its own, so every call copies its frames in and
the result out. Recording is CUDA's; all else here runs on any device, where "replaying" is running once more.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor, nn

from vsrrin.engine import memory
from vsrrin.errors import BackendError
from vsrrin.nets.spec import NetSpec

from .torch_backend import TorchBackend

_KEPT = 12
"""Recordings kept: two to five for each size of frames or tiles. Each keeps the memory that the network worked in."""
_WARM_UP = 2
"""Runs before a recording: libraries choose their kernels in the first ones."""

_FIRST_TO_RECORD = (2, 12)
"""Version of PyTorch from which on a recording that fails leaves nothing behind."""

_recording = Lock()
"""PyTorch records one thing at a time in a process, on whatever device."""

type Work = Callable[[], Tensor]


class Recorder(Protocol):
    """Recorder of work on a device."""

    def __call__(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Run work; return a function that repeats it in the same memory, and its result, which changes with that."""
        ...


@dataclass(frozen=True)
class _Recording:
    inputs: Sequence[Tensor]
    replay: Callable[[], None]
    output: Tensor


class GraphBackend(TorchBackend):
    """Backend that replays recordings of a network.

    The engine asks for one thing at a time, so recordings are not used twice at once.

    Args:
        net: The net; copied, so that the caller's stays as it is.
        spec: Its description.
        device: A device from :func:`vsrrin.engine.backends.torch_backend.resolve_device`.
        dtype: Type of the convolutions, from :func:`vsrrin.engine.backends.torch_backend.resolve_precision`.
        recorder: Replaces the device's own way to record.

    Raises:
        BackendError: This PyTorch is too old to record on CUDA.
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
        version = tuple(int(part) for part in torch.__version__.split(".")[:2])
        if device.type == "cuda" and version < _FIRST_TO_RECORD:
            raise BackendError(
                f"backend 'graphs' needs PyTorch {'.'.join(map(str, _FIRST_TO_RECORD))} or newer on CUDA, this is "
                f"{torch.__version__}: use backend='torch'"
            )
        super().__init__(net, spec, device, dtype)
        self.name = "graphs"
        self._record = recorder or (partial(_on_cuda, device) if device.type == "cuda" else _again)
        self._recordings: OrderedDict[tuple[object, ...], _Recording | None] = OrderedDict()

    def estimate(self, img0: Tensor, img1: Tensor, flow: Tensor | None) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        if flow is None:
            return self._run("estimate", lambda *x: TorchBackend.estimate(self, x[0], x[1], None), img0, img1)
        return self._run("estimate", lambda *x: TorchBackend.estimate(self, *x), img0, img1, flow)

    def share(self, img0: Tensor, img1: Tensor, estimate: Tensor) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        return self._run("share", lambda *x: TorchBackend.share(self, *x), img0, img1, estimate)

    def synthesize(self, img0: Tensor, img1: Tensor, estimate: Tensor, t: Tensor) -> Tensor:
        """See :class:`vsrrin.engine.backends.Backend`."""
        return self._run("synthesize", lambda *x: TorchBackend.synthesize(self, *x), img0, img1, estimate, t)

    def close(self) -> None:
        """See :class:`vsrrin.engine.backends.Backend`."""
        self._recordings.clear()
        super().close()

    def _run(self, name: str, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        try:
            return self._replayed(name, function, inputs)
        except Exception as error:
            if memory.is_out_of_memory(error):
                # The engine tries again, with smaller tiles in the end; it cannot give back what is recorded.
                self._recordings.clear()
            raise

    def _replayed(self, name: str, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> Tensor:
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
        """Return the recording; ``None`` if the device cannot record it."""
        with torch.inference_mode():
            own = [torch.empty_like(x).copy_(x) for x in inputs]
            try:
                replay, output = self._record(lambda: function(*own))
            except RuntimeError as error:
                if memory.is_out_of_memory(error):
                    raise
                logging.getLogger("vsrrin").info("%s is run without being recorded: %s", name, error)
                return None
        return _Recording(own, replay, output)


def _again(work: Work) -> tuple[Callable[[], None], Tensor]:
    """Record work on a device that records nothing."""
    output = work().clone()

    def replay() -> None:
        output.copy_(work())

    return replay, output


def _on_cuda(device: torch.device, work: Work) -> tuple[Callable[[], None], Tensor]:
    with _recording, torch.cuda.device(device):
        # A stream of its own: PyTorch's usual one for recordings belongs to the device that recorded first. Of high
        # priority, since the others are handed out again and again, and copies go on meanwhile.
        aside = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                work()
        current.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads copy frames meanwhile, which must not end the recording.
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
            output = work()
    return graph.replay, output
