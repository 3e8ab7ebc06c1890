"""``vsrrin doctor``: arguments and printing."""

import argparse
import dataclasses
import json
import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from .arguments import in_flags

if TYPE_CHECKING:
    from vsrrin.doctor.checks import Check

_NAME, _STATUS = 24, 9
"""Widths of the first columns."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``doctor`` to a parser."""
    parser = commands.add_parser("doctor", help="check what is installed, and advise on each problem")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from vsrrin.doctor import checks

    found: list[Check] = []
    for finding in checks.examine():
        check = dataclasses.replace(finding, text=in_flags(finding.text), advice=in_flags(finding.advice))
        found.append(check)
        if not options.json:
            # At once: some checks take seconds, and one may bring down the process.
            print("\n".join(_lines(check)), flush=True)
    counts = Counter(check.status for check in found)
    if options.json:
        report = {"problems": counts["problem"], "checks": [dataclasses.asdict(check) for check in found]}
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print(f"\n{_counted(counts['problem'], 'problem')}, {_counted(counts['note'], 'note')}")
    return 1 if counts["problem"] else 0


def _lines(check: "Check") -> list[str]:
    width = min(max(shutil.get_terminal_size((120, 24)).columns, 80), 120)
    indent = " " * (_STATUS + _NAME)
    head = f"{check.status:<{_STATUS}}{check.name:<{_NAME - 1}} "
    lines = textwrap.wrap(
        check.text,
        width,
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if check.advice:
        lines += textwrap.wrap(
            check.advice,
            width,
            initial_indent=f"{indent}-> ",
            subsequent_indent=f"{indent}   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
