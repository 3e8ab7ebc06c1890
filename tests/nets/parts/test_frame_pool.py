"""vsrrin.nets.parts.frame_pool"""

import random
import threading

import pytest
import torch

from vsrrin.nets.parts.frame_pool import FramePool

SHAPE = (1, 3, 360, 640)
BYTES = 4 * 3 * 360 * 640


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    pool = FramePool(2**26)
    first = pool.empty(*SHAPE)
    address, view = first.data_ptr(), first[..., :10, :10]
    view.fill_(7)
    del first
    assert pool.idle_bytes == 0
    assert pool.empty(*SHAPE).data_ptr() != address  # somebody still looks at it
    assert torch.all(view == 7)
    del view
    found = {pool.empty(*SHAPE).data_ptr() for _ in range(2)}
    assert address in found


def test_tensors_are_ordinary_ones() -> None:
    x = FramePool(2**26).empty(*SHAPE)
    assert (x.shape, x.dtype, x.device.type, x.is_contiguous()) == (SHAPE, torch.float32, "cpu", True)
    assert torch.equal(x.fill_(2).mul(3), torch.full(SHAPE, 6.0))


def test_idle_memory_has_a_bound_and_can_be_given_back() -> None:
    pool = FramePool(3 * BYTES)
    kept = [pool.empty(*SHAPE) for _ in range(6)]
    assert pool.idle_bytes == 0
    del kept
    assert pool.idle_bytes == 3 * BYTES
    pool.clear()
    assert pool.idle_bytes == 0


def test_other_sizes_get_memory_of_their_own() -> None:
    pool = FramePool(2**28)
    pool.empty(*SHAPE)  # comes back at once
    assert pool.empty(1, 3, 720, 1280).shape == (1, 3, 720, 1280)
    assert pool.idle_bytes == BYTES + 4 * BYTES
    pool.empty(*SHAPE)
    assert pool.idle_bytes == BYTES + 4 * BYTES


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.int64])
def test_any_type_is_kept_by_its_bytes(dtype: torch.dtype) -> None:
    pool = FramePool(2**26)
    x = pool.empty(*SHAPE[1:], 4 // dtype.itemsize or 1, dtype=dtype)
    assert (x.dtype, x.is_contiguous(), x.data_ptr() % 64) == (dtype, True, 0)
    address, size = x.data_ptr(), x.nbytes
    del x
    assert pool.idle_bytes == size
    assert pool.empty(size, dtype=torch.uint8).data_ptr() == address


def test_what_exceeds_the_bound_does_not_drive_out_the_rest() -> None:
    pool = FramePool(2 * BYTES)
    pool.empty(*SHAPE)
    pool.empty(3, *SHAPE)
    assert pool.idle_bytes == BYTES


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 16, 16)])
def test_small_tensors_need_no_pool(shape: tuple[int, ...]) -> None:
    pool = FramePool(2**26)
    assert pool.empty(*shape).shape == shape
    assert pool.idle_bytes == 0


def test_threads_never_share_memory() -> None:
    pool, wrong = FramePool(8 * BYTES), []

    def work(number: int) -> None:
        chooser = random.Random(number)
        for _ in range(60):
            x = pool.empty(*SHAPE)
            x[0, 0, 0].fill_(number)
            if chooser.random() < 0.5:
                y = pool.empty(*SHAPE)
                y[0, 0, 0].fill_(-1)
            if not torch.all(x[0, 0, 0] == number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert pool.idle_bytes <= 8 * BYTES
