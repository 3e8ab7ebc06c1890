"""vsrrin.transfer, and the engine on a device whose copies take their time."""

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
from vsrrin import checkpoint
from vsrrin.checkpoint import Model
from vsrrin.engine import Interpolator
from vsrrin.transfer import DONE, Direct, Empty, Mark, Transfer

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
    model = untrained(name) if name == "rrin" else checkpoint.load(name)
    frames = [texture(96, 128, (MOTION[0] * k, MOTION[1] * k)) * peak for k in range(4)]
    mover = LateMover()
    usual, late = Interpolator(model, precision="fp32"), Interpolator(model, precision="fp32", mover=mover)
    for left, right in pairwise(frames):
        expected = usual.interpolate(left, right, [0.25, 0.5])
        for found, wanted in zip(late.interpolate(left, right, [0.25, 0.5]), expected, strict=True):
            assert torch.equal(found, wanted)
    assert mover.log.count("download awaited by the host") == 6
    assert "upload awaited by the device" in mover.log


def test_frames_are_on_their_way_while_others_are_worked_on(lite: Model) -> None:
    """The host waits for an upload only when two newer ones are to begin."""
    mover = LateMover()
    engine = Interpolator(lite, precision="fp32", mover=mover)
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
    engine = Interpolator(lite, precision="fp32", mover=mover)
    frames = [engine.ready(texture(64, 96, (k, 0.0))) for k in range(3)]
    assert mover.tries == 4
    assert mover.log == ["upload awaited by the host"] * 2
    (found,) = engine.synthesize(engine.prepare(*frames[1:]), [0.5])
    pair = texture(64, 96, (1.0, 0.0)), texture(64, 96, (2.0, 0.0))
    assert torch.equal(found, Interpolator(lite, precision="fp32").interpolate(*pair, [0.5])[0])


def test_on_the_cpu_nothing_is_copied() -> None:
    transfer = Transfer(Direct(CPU))
    x = torch.rand(1, 3, 8, 8)
    there, mark = transfer.upload(x)
    assert there is x and mark is DONE
    assert transfer.download(x, torch.empty) is x
