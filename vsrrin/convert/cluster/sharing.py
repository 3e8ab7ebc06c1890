"""Segments of one conversion, shared among workers that come, go and die."""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from distributed import Client, Future, KilledWorker

from vsrrin import files
from vsrrin.convert.encode import Job
from vsrrin.convert.work_folder import Segment, WorkFolder, sha256
from vsrrin.errors import ConvertError, VsrrinError

from . import worker
from .worker import ForgottenError, Made, Order

PATIENCE = 30.0
"""Seconds to wait for a worker where there is none."""
DEATHS = 3
"""Workers that may die of a segment until it is given to no other."""
_STEP = 0.1
_PATIENT = 2.0
"""Seconds after which it is asked whether the worker that was to answer is still there."""
_HEADS = 0.5
"""Seconds between two looks at what is done, and at who is there."""
_OF_MACHINES = ("network", "numba", "encoder")
"""What a machine adds to a signature by itself, so that it may differ where bits may."""
_OWN = ("path", "modified", "files")
"""Facts of a source that differ between machines, and that its checksum stands for."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the workers of a conversion are asked for, and what they are compared with.

    Attributes:
        address: Address of the scheduler.
        order: The conversion.
        files: Files to send by their names there.
        facts: What `vsrrin.convert.cluster.worker.facts` says of this machine.
        signature: Signature of the conversion here.
        mixed: Take workers whose bits may differ.
    """

    address: str
    order: Order
    files: Mapping[str, Path]
    facts: Mapping[str, Any]
    signature: Mapping[str, object]
    mixed: bool


@dataclass(frozen=True, kw_only=True)
class State:
    """Frames made in this run, the cuts found in it, and the workers' frames per second by their names."""

    frames: int
    cuts: list[int]
    workers: dict[str, float]


@dataclass(kw_only=True)
class _Member:
    """A worker, and what it is at."""

    address: str
    name: str
    host: str
    answer: dict[str, Any] | Exception
    step: Literal["told", "opening", "ready"] = "told"
    future: Future[Any] | None = None
    number: int | None = None
    told: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"worker {self.name} on {self.host}"


class _GoneError(Exception):
    """A worker that answers no more."""


class Sharing:
    """Distribution of the missing segments of a conversion.

    Each worker has one segment at a time. A segment goes to another one when its worker dies; workers that come later
    get their share. Work begins when all that are there at first are found fit.

    Args:
        client: Connection to the cluster.
        plan: The conversion.
        job: What the segments are of.
        work: The folder that keeps them.
        known: Finished segments by their numbers, which the new ones are added to.
        say: Called with messages for the user.
    """

    def __init__(
        self,
        client: Client,
        plan: Plan,
        job: Job,
        work: WorkFolder,
        known: dict[int, Segment | None],
        say: Callable[[str], None],
    ) -> None:
        self._client, self._plan, self._job, self._work, self._known, self._say = client, plan, job, work, known, say
        self._missing = deque(number for number, segment in known.items() if segment is None)
        self._new: list[int] = []
        self._members: dict[str, _Member] = {}
        self._refused: set[str] = set()
        self._deaths: Counter[int] = Counter()
        self._begun = False
        self._looked = self._alone = float("-inf")

    def made(self) -> Generator[State]:
        """Have the segments made, and yield the state of the work many times a second.

        Raises:
            ConvertError: Nobody is there, the scheduler has gone, a worker does not fit or fails, or a segment cannot
                be written here.
        """
        self._client.subscribe_topic(f"vsrrin-{self._plan.order.token}", self._hear)
        try:
            while self._missing or any(member.number is not None for member in self._members.values()):
                self._look()
                for member in list(self._members.values()):
                    yield from self._advance(member)
                self._give_all()
                yield self._state()
                time.sleep(_STEP)
        finally:
            self._end()

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        told = event[1]
        if (member := self._members.get(told["worker"])) is not None:
            member.told = told

    def _state(self) -> State:
        doing = [member for member in self._members.values() if member.told.get("segment") == member.number]
        frames = sum(member.told["frames"] for member in doing if member.number is not None)
        finished = [segment for number in self._new if (segment := self._known[number]) is not None]
        return State(
            frames=frames + sum(segment.frames for segment in finished),
            cuts=sorted(cut for segment in finished for cut in segment.cuts),
            workers={member.name: member.told.get("fps", 0.0) for member in self._members.values()},
        )

    def _look(self) -> None:
        """See which workers have come and gone."""
        if (now := time.monotonic()) - self._looked < _HEADS:
            return
        self._looked, address, there = now, self._plan.address, self._there()
        for gone in self._members.keys() - there:
            self._lose(self._members[gone])
        if new := sorted(there - self._members.keys() - self._refused):
            self._welcome(new)
        if self._members:
            self._alone = float("-inf")
        elif self._alone < 0:
            self._alone = now
            self._say(f"no worker is at {address}: waiting {PATIENCE:.0f} s for one")
        elif now - self._alone > PATIENCE:
            unfit = " that fits" if self._refused else ""
            raise ConvertError(f"no worker{unfit} is at the scheduler {address}: start some (dask worker {address})")

    def _there(self) -> set[str]:
        """Return the addresses of all workers."""
        with self._answering():
            there = set(self._client.nthreads())
            if self._client.status != "running":
                raise OSError("the connection is lost")
            return there

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say it if the scheduler does not answer in the block."""
        try:
            yield
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise ConvertError(
                f"the scheduler {self._plan.address} does not answer any more ({error}): start it and its workers again"
            ) from error

    def _welcome(self, addresses: list[str]) -> None:
        """Ask new workers what they are; where vsrrin is missing, no other question would be survived."""
        device = str(self._plan.order.settings.device)
        with self._answering():
            answers = self._client.run(worker.told, device, workers=addresses, on_error="return")
        for address, answer in answers.items():
            if not isinstance(answer, OSError):  # it has gone, or is asked again
                place = address.partition("://")[2]
                host = place.rpartition(":")[0]
                self._members[address] = _Member(address=address, name=place, host=host, answer=answer)

    def _lose(self, member: _Member) -> None:
        """Forget a worker that has died, and have its segment made by another one."""
        del self._members[member.address]
        if member.future is not None:
            member.future.cancel()
        if (number := member.number) is None:
            self._say(f"{member} has gone")
            return
        span = self._job.spans[number]
        self._say(f"{member} has gone: frames {span.start} to {span.stop - 1} go to another one")
        self._missing.appendleft(number)
        self._deaths[number] += 1
        if self._deaths[number] == DEATHS:
            raise ConvertError(
                f"{DEATHS} workers died while they made frames {span.start} to {span.stop - 1}, the last of them "
                f"{member}: see what their logs say, and whether memory was short (dask worker --memory-limit 0 lets "
                "it have all)"
            )

    def _ask(self, member: _Member, function: Callable[..., Any], *arguments: Any) -> None:
        member.future = self._client.submit(function, *arguments, workers=[member.address], pure=False)

    def _advance(self, member: _Member) -> Generator[State]:
        """Take what a worker has done, and give it more to do."""
        future = member.future
        if future is not None and not future.done():
            return
        member.future = None
        try:
            if future is not None and future.status in ("cancelled", "lost"):
                raise _GoneError
            if future is not None and (error := future.exception()) is not None:
                raise self._failure(member, error)
            if future is None and member.step == "told":
                if isinstance(member.answer, Exception):
                    raise self._failure(member, member.answer)
                self._check_facts(member, member.answer)
                yield from self._send(member)
                member.step = "opening"
                self._ask(member, worker.open_source, self._plan.order)
            elif future is not None and member.step == "opening":
                self._check_signature(member, self._result(member, future))
                member.step = "ready"
            elif future is not None and member.number is not None:
                yield from self._take(member, member.number, self._result(member, future))
        except _GoneError:
            self._there()  # it may be the scheduler that has gone
            self._lose(member)
        except ConvertError as problem:
            if not self._begun or member.step == "ready":
                raise
            self._say(f"{problem}; the others go on without it")
            self._refused.add(member.address)
            del self._members[member.address]

    def _result(self, member: _Member, future: Future[Any]) -> Any:
        """Return what a worker has finished; if it dies with that, Dask waits for ever for one of its address."""
        while True:
            try:
                return future.result(timeout=_PATIENT)
            except TimeoutError:
                if member.address not in self._there():
                    raise _GoneError from None

    def _failure(self, member: _Member, error: BaseException) -> Exception:
        if isinstance(
            error, ForgottenError | KilledWorker
        ):  # there may be a new process with the address of the old one
            return _GoneError()
        if re.search(r"(ModuleNotFound|Import|Attribute)Error.*vsrrin", repr(error)):  # which a text may stand for
            wanted = f"pip install 'vsrrin[cluster]=={self._plan.facts['versions']['vsrrin']}'"
            return ConvertError(f"{member} has no vsrrin, or another version ({error}): {wanted} there")
        if isinstance(error, VsrrinError):
            return ConvertError(f"{member}: {error}")
        return ConvertError(f"{member} failed: {type(error).__name__}: {error}: its log says more")

    def _check_facts(self, member: _Member, facts: dict[str, Any]) -> None:
        member.host = facts["host"]
        if "://" not in facts["name"]:  # else it was given none
            member.name = facts["name"]
        ours, theirs = dict(self._plan.facts["versions"]), dict(facts["versions"])
        if ours["vsrrin"] != theirs["vsrrin"]:
            raise ConvertError(
                f"{member} has vsrrin {theirs['vsrrin']}, here it is {ours['vsrrin']}: install the same version"
            )
        keys = ("processor", "system", "device")
        mine, its = ({key: found.get(key) for key in keys} for found in (self._plan.facts, facts))
        self._compare(member, {**mine, **ours}, {**its, **theirs})

    def _check_signature(self, member: _Member, theirs: Mapping[str, Any]) -> None:
        ours, theirs = _comparable(self._plan.signature), _comparable(theirs)
        self._compare(member, *({key: made.get(key) for key in _OF_MACHINES} for made in (ours, theirs)))
        rest = [key for key in {*ours, *theirs} - {*_OF_MACHINES, "versions"} if ours.get(key) != theirs.get(key)]
        if rest:
            raise ConvertError(f"{member} does not understand this conversion as here: {_said(rest, ours, theirs)}")

    def _compare(self, member: _Member, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
        """Refuse, or mention, what may change bits."""
        if differ := [key for key in ours if ours[key] != theirs.get(key)]:
            said = f"{member} would make frames of other bits: {_said(differ, ours, theirs)}"
            if not self._plan.mixed:
                raise ConvertError(f"{said}. Use equal machines, or cluster_mixed=True takes it all the same")
            self._say(said)

    def _send(self, member: _Member) -> Generator[State]:
        token = self._plan.order.token
        for name, path in self._plan.files.items():
            with path.open("rb") as file:
                offset = 0
                while (data := file.read(worker.PIECE)) or not offset:
                    self._run(member, worker.write_piece, token, name, offset, data)
                    offset += max(len(data), 1)
                    yield self._state()

    def _give_all(self) -> None:
        members = self._members.values()
        if self._begun or (members and all(member.step == "ready" for member in members)):
            for member in members:
                if member.step == "ready" and member.number is None:
                    self._give(member)

    def _give(self, member: _Member) -> None:
        if self._missing:
            self._begun = True
            member.number = self._missing.popleft()
            self._ask(member, worker.encode, self._plan.order.token, member.number)

    def _take(self, member: _Member, number: int, made: Made) -> Generator[State]:
        """Bring a finished segment here, while its worker makes the next one."""
        token, part = self._plan.order.token, self._work.part(number)
        member.number = None
        try:
            self._give(member)
            with files.explained(part), part.open("wb") as out:
                while out.tell() < made.size:
                    out.write(self._run(member, worker.read_piece, token, number, out.tell()))
                    yield self._state()
            if sha256(part) != made.sha256:
                raise ConvertError(f"frames {self._job.spans[number]} of {member} came damaged: check its disk")
            self._known[number] = self._work.finish(number, len(self._job.spans[number]), made.cuts, made.headers)
        except BaseException as error:
            self._work.discard_part(number)
            if isinstance(error, _GoneError):
                self._missing.appendleft(number)
            raise
        self._new.append(number)
        self._run(member, worker.forget, token, number)

    def _run(self, member: _Member, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function beside the work of a worker."""
        try:
            return self._client.run(function, *arguments, workers=[member.address])[member.address]
        except Exception as error:
            # A disk there that takes no more; but connections fail with OSErrors of their own.
            if isinstance(error, OSError) and error.filename is not None and function is worker.write_piece:
                raise ConvertError(
                    f"{member}: {error.filename} cannot be written: {error.strerror}: free space there, or start it "
                    "with another --local-directory"
                ) from error
            raise _GoneError from error

    def _end(self) -> None:
        """Stop what is still being made, and have the workers forget the conversion."""
        topic = f"vsrrin-{self._plan.order.token}"
        known = [address for address, member in self._members.items() if member.step != "told"]
        try:
            self._client.cancel([member.future for member in self._members.values() if member.future is not None])
            self._client.unsubscribe_topic(topic)
            self._client.run(worker.forget, self._plan.order.token, workers=known, on_error="ignore")
        except Exception:
            return  # the scheduler has gone, and with it who could tell the workers


def _comparable(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return a signature as it would be on every machine: of devices the kinds, of the source its contents."""
    name, _, used = signature["network"].partition(", ")
    kinds = sorted({re.sub(r"^(\w+):\d+", r"\1", device) for device in used.split("; ")})
    source = {key: value for key, value in signature["input"].items() if key not in _OWN}
    return {**signature, "network": f"{name}, {'; '.join(kinds)}", "input": source}


def _said(keys: list[str], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return "; ".join(f"{key} is {theirs.get(key)}, here {ours.get(key)}" for key in sorted(keys))
