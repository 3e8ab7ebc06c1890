"""vsrrin.engine.interpolator where several pairs are worked on at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import pytest
import torch
from torch import Tensor

from tests.conftest import texture
from tests.engines import MOTION
from vsrrin.engine.cores import cores_of, threads
from vsrrin.engine.interpolator import Interpolator
from vsrrin.engine.options import Options
from vsrrin.engine.pool import shared


@pytest.mark.parametrize(("backend", "precision"), [("torch", "fp32"), ("openvino", "fp32"), ("openvino", "int8")])
def test_pairs_worked_on_at_once_get_the_bits_of_one_after_the_other(
    backend: Literal["torch", "openvino"], precision: Literal["fp32", "int8"]
) -> None:
    options = Options(backend=backend, precision=precision, device="cpu")
    pairs = [(texture(96, 128, seed=i), texture(96, 128, MOTION, seed=i)) for i in range(3)]

    def work(engine: Interpolator, i: int) -> Tensor:
        with threads(engine.threads):
            return engine.interpolate(*pairs[i % 3], [0.5])[0]

    one = shared(options)
    alone = [work(Interpolator(one.model, options, backend=one.backend, lanes=1), i) for i in range(3)]
    many = shared(options, size=(96, 128), at_once=64)
    engine = Interpolator(many.model, options, backend=many.backend, lanes=many.lanes)
    assert (many.lanes, engine.threads) == (torch.get_num_threads(), 1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(partial(work, engine), range(9)))
    assert all(torch.equal(frame, alone[i % 3]) for i, frame in enumerate(found))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_pair_is_worked_on_while_another_one_is(backend: Literal["torch", "openvino"]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    cores_of.cache_clear()  # as in a process that begins with this network
    try:
        options = Options(backend=backend, precision="fp32", device="cpu")
        network = shared(options, size=(96, 112), at_once=2)
        engine = Interpolator(network.model, options, backend=network.backend, lanes=network.lanes)
        with ThreadPoolExecutor(1) as pool, cores_of("cpu").taken(engine.threads):
            made = pool.submit(engine.interpolate, texture(96, 112), texture(96, 112, MOTION), [0.5])
            assert made.result(60)[0].shape == (1, 3, 96, 112)
    finally:
        torch.set_num_threads(before)
        cores_of.cache_clear()
