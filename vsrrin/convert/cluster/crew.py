"""The client of a cluster: who works there, whether it may, and what for."""

import logging
import re
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from distributed import Client

from vsrrin.checkpoint import loader
from vsrrin.checkpoint.ranges import ranges_path
from vsrrin.clip import mending
from vsrrin.convert.encode import Job, Report, joinable
from vsrrin.convert.interruptible import in_background
from vsrrin.convert.prepare import Settings, with_choices
from vsrrin.convert.video import VideoConversion
from vsrrin.convert.work_folder import Segment, WorkFolder, fingerprint, sha256
from vsrrin.engine.pool import shared_by
from vsrrin.errors import ArgumentError, ConvertError

from . import worker
from .sharing import Plan, Sharing
from .worker import Order

_WAIT = "10s"
"""Longest wait for the scheduler."""


class Crew:
    """Workers of a Dask cluster; a context manager that ends the connection.

    Args:
        address: Address of the scheduler, such as "tcp://scheduler:8786"; or a context manager that starts one with its
            workers and yields the address, which is entered when a segment is missing.
        cluster_map: Folders here and what they are called on the workers.
        cluster_mixed: Take workers whose processor, libraries or backend differ from those here, so that bits may.
        say: Called with messages for the user.

    Raises:
        ArgumentError: The address is none.
        ConvertError: The scheduler cannot be reached.
    """

    def __init__(
        self,
        address: str | AbstractContextManager[str],
        *,
        cluster_map: Mapping[Path, str] | None = None,
        cluster_mixed: bool = False,
        say: Callable[[str], None],
    ) -> None:
        self._map, self._mixed, self._say = cluster_map or {}, cluster_mixed, say
        self._address, self._held = address, ExitStack()
        if isinstance(address, str):  # which is the user's, so that mistakes are said before the source is read
            check_address(address)
            _ = self._client

    @cached_property
    def _client(self) -> Client:
        if not isinstance(self._address, str):
            self._address = self._held.enter_context(self._address)
        for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what it says is said here, in fewer words
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other versions of libraries, which are compared here
                client = _Client(self._address, timeout=_WAIT, set_as_default=False, name="vsrrin")
        except Exception as error:  # each of Dask's transports has errors of its own
            raise ConvertError(
                f"the scheduler {self._address} cannot be reached from here ({error}): start it there (dask "
                "scheduler), and give its address as it says it"
            ) from error
        self._held.callback(_close, client)
        return client

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def take(self, conversion: VideoConversion, image_rate: Fraction) -> None:
        """Let the workers make the segments of a conversion.

        Args:
            conversion: The conversion.
            image_rate: Rate at which a folder of images is shown.
        """

        def encode(job: Job, work: WorkFolder, report: Report) -> list[Segment]:
            return self._encode(conversion, image_rate, job, work, report)

        conversion.encode = encode

    def _encode(
        self, conversion: VideoConversion, image_rate: Fraction, job: Job, work: WorkFolder, report: Report
    ) -> list[Segment]:
        known = {number: work.finished(number, len(span)) for number, span in enumerate(job.spans)}
        if any(segment is None for segment in known.values()):
            client, plan = self._client, self._plan(conversion, image_rate)
            shared = Sharing(client, plan, job, work, known, self._say)
            with in_background(shared.made(), "vsrrin cluster") as states:
                for state in states:
                    report(state.frames, state.cuts, state.workers)
        return joinable(known.values(), job)

    def _plan(self, conversion: VideoConversion, image_rate: Fraction) -> Plan:
        settings, source = conversion.settings, conversion.settings.source
        digest = sha256(source)
        if source.is_file() and not fingerprint(source).items() <= conversion.source.signature.items():
            raise ConvertError(f"{source} has changed since it was opened: begin again")
        (device, *others) = {network.backend.device.type for network in shared_by(settings)}
        if others:
            raise ArgumentError(f"device must be of one kind with a cluster, not {settings.device!r}")
        sent, model = _weights(settings)
        repair = settings.repair
        if repair not in (None, "auto"):
            repair = mending.numbers(repair, conversion.source.whole, "repair")
        order = Order(
            token=secrets.token_hex(8),
            settings=replace(
                with_choices(settings, conversion.signature),
                source=Path(there(source, self._map)),
                target=Path(settings.target.name),
                device=device,
                repair=repair,
                overwrite=False,
                resume=False,
            ),
            image_rate=image_rate,
            digest=digest,
            encoder=conversion.prepared.encoder,
            weights=model,
        )
        return Plan(
            address=str(self._address),
            order=order,
            files=sent,
            facts=worker.facts(device),
            signature=conversion.signature,
            mixed=self._mixed,
        )


class _Client(Client):  # type: ignore[misc]
    def __init__(self, address: str, **options: Any) -> None:
        try:
            super().__init__(address, **options)
        except BaseException:
            # Dask closes it itself after some errors; after others it would wait for that for 20 s, and print a trace.
            self.status = "closed"
            raise


def _close(client: Client) -> None:
    with suppress(Exception):  # the scheduler may be gone
        client.close()


def check_address(address: str) -> None:
    """Check that a text is the address of a scheduler, as far as can be seen without asking there.

    Raises:
        ArgumentError: It is not.
    """
    found = re.fullmatch(r"(?:\w+://)?(?:\[[^\]\s]+\]|[^\s:/\[\]]+):(\d{1,5})", address)
    if found is None or not 1 <= int(found[1]) <= 65535:
        raise ArgumentError(
            f"cluster must be the address of a scheduler, as it says it: a host and a port, such as "
            f"tcp://scheduler:8786, not {address!r}"
        )


def there(source: Path, cluster_map: Mapping[Path, str]) -> str:
    """Return the path of a file on the workers.

    Args:
        source: The file here.
        cluster_map: Folders here and what they are called there; of several around the file, the innermost counts.
    """
    path = source.absolute()
    for folder in sorted(cluster_map, key=lambda folder: -len(folder.parts)):
        for real in (path, path.resolve()):
            if real.is_relative_to(folder):
                return f"{cluster_map[folder].rstrip('/')}/{real.relative_to(folder).as_posix()}"
    return str(path)


def parse_map(texts: Sequence[str]) -> dict[Path, str]:
    """Return folders here and what they are called on the workers, from texts such as "/media=/mnt/media".

    Raises:
        ArgumentError: A text is not two absolute paths, or there is no such folder here.
    """
    found = {}
    for text in texts:
        before, equals, after = text.partition("=")
        folder = Path(before)
        if not equals or not folder.is_absolute() or not after.startswith("/"):
            raise ArgumentError(
                f"cluster_map must be FROM=TO, two absolute paths: a folder here and the same folder on the workers, "
                f"such as /media=/mnt/media, not {text!r}"
            )
        if not folder.is_dir():
            raise ArgumentError(f"cluster_map must be FROM=TO with a folder here as FROM, and there is no {before}")
        found[folder] = after
    return found


def _weights(settings: Settings) -> tuple[dict[str, Path], str | None]:
    """Return files of a checkpoint by the names they get on a worker, and its own name there, if it is not bundled."""
    path, bundled = loader.locate(settings.model)
    if bundled:
        return {}, None
    path = path.resolve()
    if path.is_dir():
        files = {f"weights/{path.name}/{file.name}": file for file in path.iterdir() if file.is_file()}
        beside = [ranges_path(path)]
    else:
        files, beside = {}, [path, path.with_suffix(".json"), ranges_path(path)]
    files |= {f"weights/{file.name}": file for file in beside if file.is_file()}
    return files, f"weights/{path.name}"
