"""backends.graph_backend: recordings, of a device that records nothing but how often it is asked, and of those
that are here."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from tests.engines import MOTION, untrained
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.backends import graph_backend
from vsrrin.engine.backends.choice import make_backend
from vsrrin.engine.backends.graph_backend import GraphBackend, Work
from vsrrin.engine.backends.torch_backend import TorchBackend
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.transfer import Transfer, mover_of
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
    plain = Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch"))
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
    sizes = [(64 + 16 * k, 64) for k in range(8)]
    for size in [*sizes, sizes[-1], sizes[0]]:
        engine.interpolate(*frames(*size), [0.5])
    assert notes.recordings == 2 * 9  # the last size is still known, the first was forgotten


def test_what_cannot_be_recorded_is_run(lite: Model) -> None:
    backend = GraphBackend(lite.net, lite.spec, CPU, torch.float32, recorder=refused)
    (found,) = Interpolator(lite, backend=backend).interpolate(*frames(64, 96), [0.5])
    (expected,) = Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch")).interpolate(
        *frames(64, 96), [0.5]
    )
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
        assert torch.equal(
            found,
            Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch")).interpolate(
                *frames(*size), [0.5]
            )[0],
        )
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


@pytest.fixture
def any_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded without failing works with an older one, too."""
    monkeypatch.setattr(graph_backend, "_FIRST_TO_RECORD", (2, 0))


def pair_of_chance(height: int, width: int, seed: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    left, right = frames(height, width)
    noise = 0.1 * torch.rand(1, 3, height, width)
    flow = torch.tensor([3.0, -2.0, -3.0, 2.0]).view(1, 4, 1, 1) + torch.rand(1, 4, height // 2, width // 2)
    return (left + noise).to(device), (right + noise).to(device), flow.to(device)


def result(backend: TorchBackend, given: tuple[Tensor, Tensor, Tensor], t: float) -> Tensor:
    img0, img1, flow = given
    times = torch.full((1, 1, 1, 1), t, device=backend.device)
    return backend.synthesize(img0, img1, backend.estimate(img0, img1, flow), times)


def check(backend: GraphBackend, plain: TorchBackend, given: tuple[Tensor, Tensor, Tensor], t: float) -> None:
    found, expected = result(backend, given, t), result(plain, given, t)
    # On a GPU a library may choose another kernel while it is recorded.
    tolerance = 0.0 if backend.device.type == "cpu" else 5e-3
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.usefixtures("any_pytorch")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["rrin_lite", "balanced", "draft"])
@pytest.mark.device
def test_what_the_device_replays_is_what_the_network_gives(device: str, name: str, dtype: torch.dtype) -> None:
    """Sizes in turn, each with other frames and times than it was recorded with; more sizes than are kept."""
    model = loader.load(name)
    place = torch.device(device)
    backend, plain = (kind(model.net, model.spec, place, dtype) for kind in (GraphBackend, TorchBackend))
    sizes = [(64, 96), (96, 64), (64, 64), (64, 80), (80, 96), (96, 96), (80, 64)]
    for seed, size in enumerate([*sizes, sizes[-1], sizes[0], sizes[0]]):
        check(backend, plain, pair_of_chance(*size, seed, device), 0.2 + 0.1 * (seed % 5))
    assert len(backend._recordings) == 12
    assert None not in backend._recordings.values(), "was run without being recorded"
    backend.close()
    assert not backend._recordings


@pytest.mark.usefixtures("any_pytorch")
@pytest.mark.device
def test_residues_of_a_pair_are_recorded_too(lite: Model, device: str) -> None:
    backend, plain = (
        kind(lite.net, lite.spec, torch.device(device), torch.float32) for kind in (GraphBackend, TorchBackend)
    )
    for seed in range(2):
        img0, img1, flow = pair_of_chance(64, 96, seed, device)
        t = torch.full((1, 1, 1, 1), 0.25, device=backend.device)
        found, expected = (
            each.synthesize(img0, img1, each.share(img0, img1, each.estimate(img0, img1, flow)), t)
            for each in (backend, plain)
        )
        torch.testing.assert_close(found, expected, atol=0.0 if device == "cpu" else 5e-3, rtol=0)
    assert len(backend._recordings) == 3 and None not in backend._recordings.values()


@pytest.mark.usefixtures("any_pytorch")
@pytest.mark.device
def test_recording_and_copying_at_once_do_not_disturb_each_other(lite: Model, device: str) -> None:
    place = torch.device(device)
    backend, plain = (kind(lite.net, lite.spec, place, torch.float32) for kind in (GraphBackend, TorchBackend))
    mover = mover_of(place)
    transfer, over = Transfer(mover), Event()

    def copy(seed: int) -> int:
        count = 0
        while not over.is_set() or not count:
            x = torch.full((3, 256, 256), float(count), pin_memory=mover.pinned)
            image, mark = transfer.upload(x)
            mark.wait()
            here = transfer.download(image + seed, lambda *shape: torch.empty(shape, pin_memory=mover.pinned))
            assert bool((here == count + seed).all())
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        copies = [pool.submit(copy, seed) for seed in range(3)]
        try:
            for seed in range(8):
                check(backend, plain, pair_of_chance(64 + 16 * seed, 96, seed, device), 0.5)
        finally:
            over.set()
        assert all(each.result() > 0 for each in copies)
    assert None not in backend._recordings.values(), "was run without being recorded"


@pytest.mark.usefixtures("any_pytorch")
@pytest.mark.device
def test_engines_that_share_recordings_from_many_threads_give_the_same_bits(lite: Model, device: str) -> None:
    place = torch.device(device)
    backend = GraphBackend(lite.net, lite.spec, place, torch.float32)
    pairs = [
        (texture(*size, (k, 0.0)), texture(*size, (k + 4.0, 1.0))) for k in range(3) for size in ((64, 96), (80, 64))
    ]
    expected = [Interpolator(lite, backend=backend).interpolate(*pair, [0.25, 0.5]) for pair in pairs]
    engines = [Interpolator(lite, backend=backend) for _ in range(2)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda k: engines[k % 2].interpolate(*pairs[k % 6], [0.25, 0.5]), range(24)))
    for k, images in enumerate(found):
        assert all(map(torch.equal, images, expected[k % 6]))
