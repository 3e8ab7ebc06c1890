"""Cache bounded in bytes, for values that several threads ask for."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock


class BoundedCache[V]:
    """Values by key; the least recently used go first.

    Each value is made once: threads that ask for it meanwhile wait. Making a value must therefore not wait for
    anything that waits for the cache. A failure is raised in all waiting threads and is not remembered.

    Args:
        limit: Total bytes of the values kept. A larger value is returned but not kept.
        size: Returns the bytes of a value.
    """

    def __init__(self, limit: int, size: Callable[[V], int]) -> None:
        self._limit = limit
        self._size = size
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._making: dict[Hashable, Future[V]] = {}
        self._bytes = 0
        self._generation = 0

    @property
    def bytes(self) -> int:
        """Bytes kept now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of ``key``, made by ``make()`` if it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            future = self._making.get(key)
            maker = future is None
            if future is None:
                future = self._making[key] = Future()
            generation = self._generation
        if not maker:
            return future.result()
        try:
            value = make()
        except BaseException as error:
            self._finish(key, future)
            future.set_exception(error)
            raise
        self._finish(key, future, value, generation)
        future.set_result(value)
        return value

    def _finish(self, key: Hashable, future: Future[V], value: V | None = None, generation: int = -1) -> None:
        with self._lock:
            if self._making.get(key) is future:
                del self._making[key]
            if value is None or generation != self._generation:
                return
            size = self._size(value)
            if size > self._limit:
                return
            while self._bytes + size > self._limit:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
            self._kept[key] = (value, size)
            self._bytes += size

    def clear(self) -> None:
        """Drop all values; those being made now are returned but not kept."""
        with self._lock:
            self._kept.clear()
            self._making.clear()
            self._bytes = 0
            self._generation += 1
