"""Results to read: tables in Markdown, and what follows from them."""

from collections.abc import Callable, Iterable
from functools import partial

from .method import EAGER, is_own, parse
from .results import CHANNELS, HEIGHT, WIDTH, Cell, Results

RIFE = "rife-4.0"
ACCURATE = 0.1
"""dB that a variant of a peer may lose against its best one and still count as the same network."""
FEWEST_TIMES, MOST_AT_4, MOST_BYTES = 4.0, 2.2, 6e9
"""Set goals: rrin against float32 eager; factor 4 against factor 2 per source frame; memory at 4K."""
_NONE = "-"

NOTES = """\
New frames/s: new frames, not output frames, in a second; medians over the rounds, spread is (longest - shortest) /
median. For vsrrin, RIFE, mvtools and svpflow a run is a VapourSynth clip of 8-bit 4:2:0 frames in memory in, the same
out, everything in between counted (conversions, scene detection of vsrrin); "network alone" is RIFE's or RRIN's bare
network on tensors that are there. minterpolate: a process of ffmpeg on raw frames, less the same process without the
filter. CPU s: of all cores together. Memory: peak of the process, source frames held in memory included. PSNR and
SSIM: 8-bit RGB against true frames; "limit": time that the network's convolutions alone would take at the highest
rate measured here (of float32 for float32), as a share of the time it took."""


def report(results: Results) -> str:
    """Return everything in Markdown."""
    parts = ["# Benchmark", *_facts(results)]
    for size in results.sizes:
        parts += [f"## {size}", _table(results, size)]
    if not results.sizes:
        parts += ["## Quality", _quality(results)]
    parts += [NOTES, _problems(results), "## What it shows", *conclusions(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(results: Results) -> list[str]:
    facts = "\n".join(f"- {name}: {value}" for name, value in results.machine.items())
    rates = [
        f"{library} {precision} {found / 1e9:.0f}"
        for library, precisions in results.rates.items()
        for precision, values in precisions.items()
        if (found := sorted(values)[len(values) // 2])
    ]
    note = f"- 3x3 convolutions, {CHANNELS} channels, {WIDTH}x{HEIGHT}, GFLOP/s: {', '.join(rates)}" if rates else ""
    others = _text(results.others, "- other programs: {:.0%} of the processor during the timed runs".format)
    return ["\n".join(line for line in (facts, note, others) if line not in ("", _NONE))]


def _table(results: Results, size: str) -> str:
    head = ["method", "factor", "new frames/s", "s per new frame", "spread", "network alone s", "CPU s", "MiB"]
    rows = [[*head, "PSNR dB", "SSIM", "GFLOP", "limit"]]
    for cell in results.cells:
        if cell.size != size:
            continue
        start = [cell.method, str(cell.factor)]
        if not cell.runs:
            rows.append([*start, "not measured (1)", *[_NONE] * 9])
            continue
        quality = results.quality.get(cell.method)
        alone = sorted(cell.alone)[len(cell.alone) // 2] if cell.alone else None
        rows.append(
            [
                *start,
                _text(cell.seconds, lambda s: f"{1 / s:.2f}"),
                _text(cell.seconds, "{:.4f}".format),
                _text(cell.spread, "{:.0%}".format),
                _text(alone, "{:.4f}".format),
                _text(cell.cpu, "{:.3f}".format),
                _text(cell.peak, lambda b: f"{b / 2**20:.0f}"),
                _text(quality and quality.psnr, "{:.2f}".format),
                _text(quality and quality.ssim, "{:.4f}".format),
                _text(cell.flop or None, lambda f: f"{f / 1e9:.1f}"),
                _text(results.share_of_limit(cell), "{:.0%}".format),
            ]
        )
    return markdown(rows)


def _quality(results: Results) -> str:
    rows = [["method", "PSNR dB", "SSIM"]]
    for name, found in results.quality.items():
        rows.append([name, _text(found.psnr, "{:.2f}".format), _text(found.ssim, "{:.4f}".format)])
    return markdown(rows)


def _problems(results: Results) -> str:
    found = {cell.method: cell.problem for cell in results.cells if cell.problem}
    found = {name: quality.problem for name, quality in results.quality.items() if quality.problem} | found
    lines = [f"- {name}: {' '.join(text.split())}" for name, text in found.items()]
    return "\n".join(["(1) Not measured:\n", *lines]) if lines else ""


def markdown(rows: list[list[str]]) -> str:
    """Return a table in Markdown; the first row is its head."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def _text[T](value: T | None, show: Callable[[T], str]) -> str:
    return _NONE if value is None else show(value)


# --- what follows --------------------------------------------------------------------------------------------------


def conclusions(results: Results) -> list[str]:
    """Return what was set as a goal, and whether it is met."""
    found = (_against_rife(results), _against_eager(results), _factors(results), _large(results))
    return [text for text in found if text]


def _is_of(name: str, method: str) -> bool:
    return parse(method)[0] == name


def _at(results: Results, size: str, factor: int, choose: Callable[[str], bool]) -> list[Cell]:
    """Return the cells with times, fastest first."""
    found = [results.cell(method, size, factor) for method in results.methods if choose(method)]
    return sorted((cell for cell in found if cell and cell.seconds), key=_seconds)


def _seconds(cell: Cell) -> float:
    assert cell.seconds is not None
    return cell.seconds


def _against_rife(results: Results) -> str:
    size = "480p" if "480p" in results.sizes else next(iter(results.sizes), "")
    rife = _at(results, size, 2, lambda method: parse(method)[0] == RIFE)
    own = _at(results, size, 2, is_own)
    if not rife or not own:
        return ""
    scores = [score for cell in rife if (score := results.psnr(cell.method)) is not None]
    same = [cell for cell in rife if (results.psnr(cell.method) or 0) >= max(scores) - ACCURATE] if scores else []
    rivals = {"fastest": rife[0]} | ({f"fastest within {ACCURATE} dB of its best": same[0]} if same else {})
    lines = [f"Frames per second at {size}, factor 2, as a multiple of those of RIFE 4.0:", ""]
    head = ["method", *(f"of {cell.method}, {why} ({_db(results, cell.method)})" for why, cell in rivals.items())]
    rows = [[*head, "of its network alone", "PSNR"]]
    for cell in own:
        alone = min((value for other in same or rife for value in other.alone), default=None)
        times = [f"{_seconds(rival) / _seconds(cell):.2f}" for rival in rivals.values()]
        bare = _text(None if alone is None else alone / _seconds(cell), "{:.2f}".format)
        rows.append([cell.method, *times, bare, _db(results, cell.method)])
    return "\n".join([*lines, markdown(rows)])


def _db(results: Results, method: str) -> str:
    return _text(results.psnr(method), "{:.2f} dB".format)


def _against_eager(results: Results) -> str:
    lines = []
    for size in results.sizes:
        for eager in _at(results, size, 2, lambda method: parse(method)[0].endswith(EAGER)):
            net = parse(eager.method)[0].removesuffix(EAGER)
            for cell in _at(results, size, 2, partial(_is_of, net)):
                times = _seconds(eager) / _seconds(cell)
                goal = _goal(times >= FEWEST_TIMES, f"at least {FEWEST_TIMES:.0f}")
                lines.append(f"- {size}: {cell.method} makes {times:.2f} times the frames of {eager.method} ({goal})")
    return _listed("Against the network as published (float32, eager):", lines)


def _factors(results: Results) -> str:
    lines = []
    for size in results.sizes:
        for two in _at(results, size, 2, is_own):
            four = results.cell(two.method, size, 4)
            if four is not None and four.seconds is not None:
                times = 3 * four.seconds / _seconds(two)
                goal = _goal(times <= MOST_AT_4, f"at most {MOST_AT_4}")
                lines.append(f"- {size}: {two.method} {times:.2f} ({goal})")
    return _listed("Time per source frame with factor 4, as a multiple of that with factor 2:", lines)


def _large(results: Results) -> str:
    lines = []
    for cell in results.cells:
        if cell.width * cell.height >= 3840 * 2160 and cell.seconds and cell.peak and is_own(cell.method):
            goal = _goal(cell.peak < MOST_BYTES, f"below {MOST_BYTES / 1e9:.0f} GB")
            text = f"{cell.seconds:.2f} s per new frame, {cell.peak / 1e9:.2f} GB ({goal})"
            lines.append(f"- {cell.width}x{cell.height}, factor {cell.factor}: {cell.method} {text}")
    return _listed("At 4K:", lines)


def _goal(met: bool, text: str) -> str:
    return f"goal {text}: {'met' if met else 'NOT MET'}"


def _listed(title: str, lines: Iterable[str]) -> str:
    found = list(lines)
    return "\n".join([title, "", *found]) if found else ""
