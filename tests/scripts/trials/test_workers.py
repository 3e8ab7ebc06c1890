"""Processes for trials: what becomes of a task that fails, dies or hangs."""

import os
import time

from scripts.trials.workers import Worker


def test_a_result_a_failure_a_crash_and_a_result_again() -> None:
    worker = Worker(divmod)
    assert worker.run(7, 2).result == (3, 1)
    assert worker.run(7, 0).failure.endswith("ZeroDivisionError: integer division or modulo by zero\n")
    worker.stop()
    assert worker.run(9, 2).result == (4, 1)
    worker.stop()


def test_a_crash() -> None:
    assert Worker(os.abort).run().failure.startswith("crash: status -6")


def test_a_hang() -> None:
    assert Worker(time.sleep, patience=0.1).run(100).failure.startswith("hang")
