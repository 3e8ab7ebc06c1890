"""vsrrin.engine.transfer, and the engine on a device whose copies take their time."""

import math
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock

import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from tests.engines import MOTION, untrained
from vsrrin.checkpoint import loader
from vsrrin.checkpoint.loader import Model
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.transfer import DONE, Direct, Empty, Mark, Transfer, mover_of
from vsrrin.nets.parts.frame_pool import FramePool

CPU = torch.device("cpu")


class Late:
    """A mark whose work is done when somebody waits for it, and not before."""

    def __init__(self, work: Callable[[], object], log: list[str], name: str) -> None:
        self._work, self._log, self._name, self._pending, self._lock = work, log, name, True, Lock()

    def wait(self) -> None:
        self._finish("device")

    def synchronize(self) -> None:
        self._finish("host")

    def _finish(self, who: str) -> None:
        with self._lock:
            if not self._pending:
                return
            with torch.inference_mode():
                self._work()
            self._pending = False
            self._log.append(f"{self._name} awaited by the {who}")


class LateMover:
    """Copies that begin at once and are done as late as possible. Until then there is nothing to be read."""

    pinned = False

    def __init__(self) -> None:
        self.log: list[str] = []
        self.on_their_way = self.most = 0
        self._lock = Lock()

    def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
        there, source = torch.full_like(x, math.nan), weakref.ref(x)
        self._count(1)

        def copy() -> None:
            given = source()
            assert given is not None, "what is being copied was given up"
            there.copy_(given)
            self._count(-1)

        return there, Late(copy, self.log, "upload")

    def _count(self, more: int) -> None:
        with self._lock:
            self.on_their_way += more
            self.most = max(self.most, self.on_their_way)

    def download(self, x: Tensor, empty: Empty) -> tuple[Tensor, Mark]:
        here = empty(*x.shape).fill_(math.nan)
        return here, Late(lambda: here.copy_(x), self.log, "download")


@pytest.mark.parametrize("name", ["rrin_lite", "balanced", "draft", "rrin"])
@pytest.mark.parametrize("peak", [1.0, 30.0])
def test_nothing_is_read_before_it_is_there(name: str, peak: float) -> None:
    """The same bits as without copies: whatever is read too early is no number, which would spread."""
    model = untrained(name) if name == "rrin" else loader.load(name)
    frames = [texture(96, 128, (MOTION[0] * k, MOTION[1] * k)) * peak for k in range(4)]
    mover = LateMover()
    usual = Interpolator(model, Options(device="cpu", precision="fp32", backend="torch"))
    late = Interpolator(model, Options(device="cpu", precision="fp32", backend="torch"), mover=mover)
    for left, right in pairwise(frames):
        expected = usual.interpolate(left, right, [0.25, 0.5])
        for found, wanted in zip(late.interpolate(left, right, [0.25, 0.5]), expected, strict=True):
            assert torch.equal(found, wanted)
    assert mover.log.count("download awaited by the host") == 6
    assert "upload awaited by the device" in mover.log


def test_frames_are_on_their_way_while_others_are_worked_on(lite: Model) -> None:
    """The host waits for an upload only when two newer ones are to begin."""
    mover = LateMover()
    engine = Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch"), mover=mover)
    frames = [engine.ready(texture(64, 96, (k, 0.0))) for k in range(2)]
    assert mover.log == []
    assert all(frame.image.isnan().all() for frame in frames)
    engine.ready(texture(64, 96, (2.0, 0.0)))
    assert mover.log == ["upload awaited by the host"]
    assert frames[0].image.isfinite().all() and frames[1].image.isnan().all()
    engine.close()
    assert frames[1].image.isfinite().all()


def test_many_threads_have_two_uploads_on_their_way_at_most() -> None:
    mover = LateMover()
    transfer = Transfer(mover)

    def there_and_back(k: int) -> bool:
        x = torch.full((64, 64), float(k))
        image, mark = transfer.upload(x)
        mark.wait()
        return torch.equal(transfer.download(image, torch.empty), torch.full((64, 64), float(k)))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(200)))
    assert 1 <= mover.most <= 2


def test_running_out_of_memory_ends_what_is_on_its_way_and_tries_again(lite: Model) -> None:
    class Full(LateMover):
        tries = 0

        def upload(self, x: Tensor) -> tuple[Tensor, Mark]:
            self.tries += 1
            if self.tries == 3:
                raise torch.OutOfMemoryError("out of memory")
            return super().upload(x)

    mover = Full()
    engine = Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch"), mover=mover)
    frames = [engine.ready(texture(64, 96, (k, 0.0))) for k in range(3)]
    assert mover.tries == 4
    assert mover.log == ["upload awaited by the host"] * 2
    (found,) = engine.synthesize(engine.prepare(*frames[1:]), [0.5])
    pair = texture(64, 96, (1.0, 0.0)), texture(64, 96, (2.0, 0.0))
    assert torch.equal(
        found, Interpolator(lite, Options(device="cpu", precision="fp32", backend="torch")).interpolate(*pair, [0.5])[0]
    )


def test_on_the_cpu_nothing_is_copied() -> None:
    transfer = Transfer(Direct(CPU))
    x = torch.rand(1, 3, 8, 8)
    there, mark = transfer.upload(x)
    assert there is x and mark is DONE
    assert transfer.download(x, torch.empty) is x


@pytest.mark.device
def test_every_frame_arrives_as_it_was_sent_under_load(device: str) -> None:
    """Memory of frames is used again as soon as nobody holds it, by the host and by the device."""
    place = torch.device(device)
    mover = mover_of(place)
    transfer, pool = Transfer(mover), FramePool(2**26, pinned=mover.pinned)
    shape = 3, 320, 320  # above what the pool leaves to the C library

    def there_and_back(k: int) -> bool:
        with torch.inference_mode():
            x = pool.empty(*shape).fill_(k)
            x[:, k] = -1
            image, mark = transfer.upload(x)
            del x
            mark.wait()
            for _ in range(4):
                image = image * 2 + 1
            here = transfer.download(image, pool.empty)
        other = here[:, torch.arange(shape[1]) != k]
        return bool((other == 16 * k + 15).all() and (here[:, k] == -1).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(120)))
    assert len(transfer._uploads) <= 2
    transfer.clear()
    assert not transfer._uploads


@pytest.mark.device
def test_an_upload_is_awaited_on_the_device_behind_its_other_work(device: str) -> None:
    place = torch.device(device)
    transfer = Transfer(mover_of(place))
    pool = FramePool(2**26, pinned=mover_of(place).pinned)
    busy = torch.rand(256, 256, device=place)
    sums = []
    for k in range(12):
        for _ in range(8):
            busy = (busy @ busy).clamp(0, 1)
        image, mark = transfer.upload(pool.empty(1, 3, 512, 512).fill_(k + 1))
        mark.wait()
        sums.append(image.mean() + 0 * busy[0, 0])
    assert [round(float(value), 3) for value in sums] == [k + 1 for k in range(12)]


@pytest.mark.device
@pytest.mark.parametrize("name", ["rrin_lite", "draft"])
def test_copies_beside_other_work_change_no_bit(name: str, device: str) -> None:
    """The device's own copies against those that the host waits for, from many threads."""
    place, model = torch.device(device), loader.load(name)
    engine = Interpolator(model, Options(device=device, precision="fp32", backend="torch"))
    waiting = Interpolator(model, Options(device=device, precision="fp32", backend="torch"), mover=Direct(place))
    frames = [texture(96, 128, (MOTION[0] * k, MOTION[1] * k)) for k in range(9)]
    expected = [waiting.interpolate(left, right, [0.25, 0.5]) for left, right in pairwise(frames)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            found = list(pool.map(lambda pair: engine.interpolate(*pair, [0.25, 0.5]), pairwise(frames)))
            for images, wanted in zip(found, expected, strict=True):
                assert all(map(torch.equal, images, wanted))
