"""What the check of a device found: every check on its own, so that one that fails does not hide the others."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import vapoursynth as vs

PASSED, FAILED, NOTE, ABSENT = "ok", "FAILED", "note", "absent"
"""As it should be; not; a figure without a limit; not to be had here."""


class AbsentError(Exception):
    """What is to be checked is not to be had here; the text says why."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    network: str
    check: str
    verdict: str
    text: str
    seconds: float


class Report:
    """Runs checks, prints each at once and keeps what was found.

    Args:
        file: Is written anew after each check, as JSON; ``None`` for none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.findings: list[Finding] = []
        self._file = file

    def check(self, network: str, name: str, run: Callable[[], tuple[bool | None, str]]) -> None:
        """One check.

        Args:
            network: Of this network.
            name: In words.
            run: Returns whether it is as it should be (``None``: there is no limit to judge by), and figures. Whatever
                it raises counts as a failure, but for `AbsentError`.
        """
        begin = time.perf_counter()
        try:
            good, text = run()
            verdict = NOTE if good is None else PASSED if good else FAILED
        except AbsentError as error:
            verdict, text = ABSENT, str(error)
        except Exception as error:
            print(f"\n{network}, {name}:", file=sys.stderr)
            traceback.print_exc()
            sys.stderr.flush()
            # Behind VapourSynth's callbacks a whole traceback comes as the text, the cause at its end.
            lines = str(error).strip().splitlines() or [""]
            verdict, text = FAILED, f"{type(error).__name__}: {lines[-1]}"
        self.add(Finding(network, name, verdict, text, round(time.perf_counter() - begin, 2)))

    def add(self, finding: Finding) -> None:
        """Keeps and prints a finding."""
        self.findings.append(finding)
        print(
            f"{finding.verdict:6} {finding.network}: {finding.check}: {finding.text} ({finding.seconds:.1f} s)",
            flush=True,
        )
        self._write()

    def read(self, file: Path) -> None:
        """Takes over what another process found, without printing it again."""
        if file.exists():
            self.findings += [Finding(**each) for each in json.loads(file.read_text(encoding="utf-8"))]
            self._write()

    def _write(self) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps([asdict(each) for each in self.findings], indent=1), encoding="utf-8")

    def failed(self) -> bool:
        """Whether anything was not as it should be."""
        return any(finding.verdict == FAILED for finding in self.findings)

    def table(self) -> str:
        """A markdown table; what failed at its end as well."""
        lines = ["| network | check | | found | s |", "|---|---|---|---|---|"]
        bad = [finding for finding in self.findings if finding.verdict == FAILED]
        lines += [_row(finding) for finding in self.findings]
        counts = ", ".join(
            f"{sum(each.verdict == verdict for each in self.findings)} {verdict}"
            for verdict in (PASSED, FAILED, NOTE, ABSENT)
        )
        return "\n".join([*lines, "", f"{len(self.findings)} checks: {counts}", *(_row(finding) for finding in bad)])


def _row(finding: Finding) -> str:
    text = finding.text.replace("|", "/")
    return f"| {finding.network} | {finding.check} | {finding.verdict} | {text} | {finding.seconds:.1f} |"


@contextmanager
def messages() -> Iterator[list[str]]:
    """All that vsrrin says meanwhile, through VapourSynth's log or Python's."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, listener = logging.getLogger("vsrrin"), Listener()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    handle = vs.core.core.add_log_handler(lambda kind, text: said.append(text) if "vsrrin" in text else None)
    try:
        yield said
    finally:
        vs.core.core.remove_log_handler(handle)
        logger.removeHandler(listener)
        logger.setLevel(level)


def first_of(said: Sequence[str], part: str) -> str | None:
    """The first message that contains ``part``."""
    return next((text for text in said if part in text), None)
