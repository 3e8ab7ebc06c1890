"""Work in a thread of its own, so that the thread that Ctrl-C interrupts holds no lock.

Python raises KeyboardInterrupt in the main thread between any two instructions, also between the taking of a lock and
the block that gives it back. Frames that come from VapourSynth's threads go through many such locks
(``concurrent.futures``): interrupted there, the threads, and whoever waits for them, wait for ever.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread

_PATIENCE = 0.1
"""Longest wait in seconds, as Ctrl-C does not end a wait on Windows."""


@contextmanager
def in_background[T](items: Generator[T], name: str) -> Iterator[Iterator[T]]:
    """Iterate over a generator in another thread, while the calling thread takes the items and may be interrupted.

    At the end of the block the generator is closed, in its own thread, after the item at hand, and waited for. The
    queue of items is unbounded; yield small ones.

    Args:
        items: The generator, which belongs to the other thread from now on.
        name: Name of the thread.

    Yields:
        An iterator over the items in order, which raises what the generator raises.
    """
    worker = _Worker(items, name)
    try:
        worker.start()
        yield worker.results()
    finally:
        worker.stop()


class _Worker[T]:
    """A thread, with queues in C alone between it and the caller, which no interruption leaves locked."""

    def __init__(self, items: Generator[T], name: str) -> None:
        self._items = items
        self._results: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._go: SimpleQueue[None] = SimpleQueue()
        self._started = self._stopped = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        # Interrupted before this line, the thread has done nothing, will do nothing, and ends with the process.
        self._started = True
        self._go.put(None)

    def results(self) -> Iterator[T]:
        while True:
            try:
                result = self._results.get(timeout=_PATIENCE)
            except Empty:
                continue
            if result is None:
                return
            if isinstance(result, BaseException):
                raise result
            yield result[0]

    def stop(self) -> None:
        self._stopped = True
        if self._started:
            self._go.put(None)  # the first may not have been reached
            self._thread.join()

    def _run(self) -> None:
        self._go.get()
        result: BaseException | None = None
        try:
            self._iterate()
        except BaseException as error:
            result = error
        self._results.put(result)

    def _iterate(self) -> None:
        try:
            while not self._stopped:
                self._results.put((next(self._items),))
        except StopIteration:
            pass
        finally:
            self._items.close()
