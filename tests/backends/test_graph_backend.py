"""vsrrin.backends.graph_backend: recordings, here of a device that records nothing but how often it is asked."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from tests.engines import MOTION, untrained
from vsrrin.backends.choice import make_backend
from vsrrin.backends.graph_backend import GraphBackend, Work
from vsrrin.backends.torch_backend import TorchBackend
from vsrrin.checkpoint import Model
from vsrrin.engine import Interpolator
from vsrrin.errors import BackendError

CPU = torch.device("cpu")


class Notes:
    """Records like the CPU does, and notes recordings and replays."""

    def __init__(self) -> None:
        self.recordings = self.replays = 0

    def __call__(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        self.recordings += 1
        output = work().clone()

        def replay() -> None:
            self.replays += 1
            output.copy_(work())

        return replay, output


def refused(work: Work) -> tuple[Callable[[], None], Tensor]:
    raise RuntimeError("operation not permitted when stream is capturing")


def frames(height: int, width: int) -> tuple[Tensor, Tensor]:
    return texture(height, width), texture(height, width, MOTION)


def recorded(model: Model, notes: Notes) -> GraphBackend:
    return GraphBackend(model.net, model.spec, CPU, torch.float32, recorder=notes)


def test_every_size_is_recorded_once_and_gives_the_nets_picture(lite: Model) -> None:
    notes = Notes()
    engine = Interpolator(lite, backend=recorded(lite, notes))
    plain = Interpolator(lite, precision="fp32")
    for _ in range(2):
        for size in ((64, 96), (96, 64)):
            found = engine.interpolate(*frames(*size), [0.25, 0.5])
            for frame, expected in zip(found, plain.interpolate(*frames(*size), [0.25, 0.5]), strict=True):
                assert torch.equal(frame, expected)
    assert notes.recordings == 4  # estimate and synthesize of each size
    assert notes.replays == 2 * 2 * 3


def test_results_are_not_changed_by_the_next_call() -> None:
    """What is recorded writes into the same memory every time."""
    model = untrained("rrin")
    backend = recorded(model, Notes())
    img0, img1 = frames(48, 64)
    first = backend.estimate(img0, img1, None)
    before = first.clone()
    second = backend.estimate(img1, img0, None)
    assert torch.equal(first, before)
    assert not torch.equal(first, second)


def test_recordings_kept_have_a_bound(lite: Model) -> None:
    notes = Notes()
    engine = Interpolator(lite, backend=recorded(lite, notes))
    sizes = [(64 + 16 * k, 64) for k in range(6)]
    for size in [*sizes, sizes[-1], sizes[0]]:
        engine.interpolate(*frames(*size), [0.5])
    assert notes.recordings == 2 * 7  # the last size is still known, the first was forgotten


def test_what_cannot_be_recorded_is_run(lite: Model) -> None:
    backend = GraphBackend(lite.net, lite.spec, CPU, torch.float32, recorder=refused)
    (found,) = Interpolator(lite, backend=backend).interpolate(*frames(64, 96), [0.5])
    (expected,) = Interpolator(lite, precision="fp32").interpolate(*frames(64, 96), [0.5])
    assert torch.equal(found, expected)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), RuntimeError("CUDA error: out of memory")])
def test_recordings_make_room_when_memory_runs_out(lite: Model, error: RuntimeError) -> None:
    """The engine tries once more, with what other recordings had taken."""
    notes, failing = Notes(), True

    def record(work: Work) -> tuple[Callable[[], None], Tensor]:
        nonlocal failing
        if notes.recordings == 2 and failing:
            failing = False
            raise error
        return notes(work)

    backend = GraphBackend(lite.net, lite.spec, CPU, torch.float32, recorder=record)
    engine = Interpolator(lite, backend=backend)
    for size in ((64, 96), (96, 64), (64, 96)):
        (found,) = engine.interpolate(*frames(*size), [0.5])
        assert torch.equal(found, Interpolator(lite, precision="fp32").interpolate(*frames(*size), [0.5])[0])
    assert not failing
    assert notes.recordings == 6  # the first size was forgotten for the second, and recorded again


def test_cuda_needs_a_pytorch_whose_failures_leave_nothing_behind(lite: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.__version__", "2.11.3+cu128")
    with pytest.raises(BackendError, match=r"backend 'graphs' needs PyTorch 2\.12 or newer on CUDA, this is 2\.11\.3"):
        make_backend("graphs", lite.net, lite.spec, torch.device("cuda"), torch.float16)
    assert make_backend("graphs", lite.net, lite.spec, CPU, torch.float32).name == "graphs"


def test_it_is_used_when_asked_for(lite: Model) -> None:
    backend = make_backend("graphs", lite.net, lite.spec, CPU, torch.float32)
    assert type(backend) is GraphBackend and backend.name == "graphs"
    assert type(make_backend("torch", lite.net, lite.spec, CPU, torch.float32)) is TorchBackend
