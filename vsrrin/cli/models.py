"""``vsrrin models``: arguments and printing."""

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vsrrin.errors import ArgumentError

from . import arguments

# Loading torch takes seconds, so the work is imported by the function that does it: help and Ctrl-C stay quick.
if TYPE_CHECKING:
    from vsrrin.checkpoint.files import CheckpointFile
    from vsrrin.checkpoint.inspection import Inspection, ListedNet

_NARROW, _WIDE = 80, 120
_MODEL = "a file, a folder with the published parts of one network, or the name of bundled weights"
# Side-car facts worth a line, with what they are called in the report.
_FACTS = ("training_data", "metrics", "licence", "source", "created_with", "description")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``models`` and its own commands to a parser."""
    models = commands.add_parser("models", help="networks and weights: list, inspect, convert, export")
    models.add_argument("--json", action="store_true", help="the list as JSON")
    models.set_defaults(run=_list)
    actions = models.add_subparsers(title="commands", metavar="COMMAND", description="without one: list")

    listing = actions.add_parser("list", help="list the networks vsrrin knows and its bundled weights")
    listing.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")

    inspect = actions.add_parser("inspect", help="say what a checkpoint is, and why")
    inspect.add_argument("model", metavar="MODEL", help=_MODEL)
    inspect.add_argument("--keys", action="store_true", help="list every tensor, too")
    inspect.set_defaults(run=_inspect)

    convert = actions.add_parser("convert", help="write a checkpoint in vsrrin's form: .safetensors with a side-car")
    convert.add_argument("model", metavar="IN", help=_MODEL)
    convert.add_argument("out", metavar="OUT", type=Path, help="the file to write, ending with .safetensors")
    convert.add_argument("--arithmetic", help="the convention the weights were trained with")
    convert.add_argument("--dtype", default="fp32", help="type to store: fp32 (default), fp16 or bf16")
    convert.add_argument("--overwrite", action="store_true", help="replace existing files")
    for fact, text in (
        ("licence", "licence of the weights (default: of the network's published weights)"),
        ("source", "where the weights are from"),
        ("training-data", "what they were trained on"),
        ("metrics", "what they reach"),
        ("description", "anything else worth knowing"),
    ):
        convert.add_argument(f"--{fact}", metavar="TEXT", help=f"for the side-car: {text}")
    convert.set_defaults(run=_convert)
    _add_export(actions)


def _add_export(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = actions.add_parser("export", help="write a network as ONNX, for other programs; needs vsrrin[export]")
    export.add_argument("model", metavar="MODEL", help=_MODEL)
    export.add_argument("out", metavar="OUT", type=Path, help="the file to write, ending with .onnx")
    export.add_argument(
        "--size", metavar="WxH", type=arguments.size, help="take pictures of this size only (default: any)"
    )
    export.add_argument("--opset", type=int, default=18, metavar="N", help="version of ONNX's operations (default: 18)")
    export.add_argument("--arithmetic", help="the convention the weights were trained with")
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    export.set_defaults(run=_export)

    quantize = actions.add_parser(
        "quantize",
        help="measure what running a checkpoint in 8 bit needs, on frames of videos; needs vsrrin[openvino]",
        description="Write FILE.int8.json beside a checkpoint: the range of values that each of its convolutions is "
        "given. With it --precision int8 can be had, and auto may choose it.",
    )
    quantize.add_argument("model", metavar="MODEL", help=_MODEL)
    quantize.add_argument("videos", metavar="VIDEO", type=Path, nargs="+", help="videos such as it will be used on")
    quantize.add_argument("--pairs", type=int, default=64, metavar="N", help="frame pairs to measure on (default: 64)")
    quantize.add_argument("--overwrite", action="store_true", help="replace an existing file")
    quantize.set_defaults(run=_quantize)


def _list(options: argparse.Namespace) -> int:
    from vsrrin.checkpoint import inspection

    nets = inspection.networks()
    if options.json:
        print(json.dumps([net.facts() for net in nets], indent=2, ensure_ascii=False))
    else:
        _print(_table(nets, _width()))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from vsrrin.checkpoint import inspection

    found = inspection.inspect(inspection.locate(options.model))
    width = _width()
    _print(line for label, text in _report(found) for line in _labelled(label, text, width))
    if options.keys:
        _print(_keys(found))
    for problem in found.problems:
        print(f"vsrrin: {problem}", file=sys.stderr)
    return 1 if found.problems else 0


def _convert(options: argparse.Namespace) -> int:
    from vsrrin import __version__
    from vsrrin.checkpoint import convert, inspection

    facts = {key: getattr(options, key) for key in _FACTS if getattr(options, key, None) is not None}
    done = convert.convert(
        inspection.locate(options.model),
        options.out,
        created_with=f"vsrrin {__version__}",
        arithmetic=options.arithmetic,
        dtype=options.dtype,
        facts=facts,
        overwrite=options.overwrite,
    )
    print(
        f"{done.path}: {done.spec.name}, arithmetic {done.arithmetic}, {len(done.net.state_dict())} tensors as "
        f"{options.dtype}, {done.path.stat().st_size:,} bytes, sha256 {done.metadata['sha256']}"
    )
    print(f"{done.path.with_suffix('.json')}: side-car; licence: {done.metadata['licence']}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from vsrrin.checkpoint import inspection, loader, onnx_export

    model = loader.load(inspection.locate(options.model), arithmetic=options.arithmetic)
    done = onnx_export.export(model, options.out, size=options.size, opset=options.opset, overwrite=options.overwrite)
    inputs = ", ".join(f"{name} {shape}" for name, shape in done.inputs)
    print(f"{options.out}: {model.spec.name}, opset {options.opset}, {options.out.stat().st_size:,} bytes")
    print(f"inputs: {inputs}; H and W multiples of {model.spec.size_multiple}; output: frame")
    if done.difference is None:
        print("not compared with PyTorch: ONNX Runtime is not installed (pip install onnxruntime)")
    else:
        mean, largest = done.difference
        print(f"compared in ONNX Runtime: differs from PyTorch by {mean:.1e} on average, {largest:.1e} at most")
    return 0


def _quantize(options: argparse.Namespace) -> int:
    from vsrrin.checkpoint import inspection
    from vsrrin.checkpoint.names import locate
    from vsrrin.checkpoint.ranges import ranges_path
    from vsrrin.doctor import tuning

    model = inspection.locate(options.model)
    if options.pairs < 1:
        raise ArgumentError(f"--pairs must be at least 1, not {options.pairs}")
    path = ranges_path(locate(model)[0])
    if path.exists() and not options.overwrite:
        raise ArgumentError(f"{path} exists: overwrite=True replaces it")
    found = tuning.frames_of(options.videos, options.pairs)
    done = tuning.quantise(model, found, f"{len(options.videos)} videos")
    print(f"{done.path}: ranges of {done.convolutions} convolutions, measured on {len(found)} frame pairs")
    print(f"new frames against the true ones: {done.exact:.2f} dB in float32, {done.rounded:.2f} dB in 8 bit")
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _width() -> int:
    return min(max(shutil.get_terminal_size((_WIDE, 24)).columns, _NARROW), _WIDE)


def _table(nets: Sequence["ListedNet"], width: int) -> Iterator[str]:
    """One line of figures per network, and below it where its weights are from."""
    heading = ("network", "parameters", "size multiple", "times", "bundled weights")
    rows = [heading, *(_figures(net) for net in nets)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(size) if column in (1, 2) else cell.ljust(size)
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
        if number:
            spec = nets[number - 1].spec
            yield from _labelled("  weights' licence", spec.weights_licence, width)
            yield from _labelled("  weights from", spec.weights_from, width)
            yield from _labelled("  published code", spec.upstream, width)


def _figures(net: "ListedNet") -> tuple[str, str, str, str, str]:
    weights = ", ".join(w.name if w.trained else f"{w.name} (no training)" for w in net.bundled)
    times = "any" if net.factors is None else f"middle only (factor {', '.join(map(str, net.factors))})"
    return net.spec.name, f"{net.parameters / 1e6:.2f} M", str(net.spec.size_multiple), times, weights or "none"


def _report(inspection: "Inspection") -> Iterator[tuple[str, str]]:
    """Yield label and text of each fact."""
    found, state = inspection.found, inspection.state
    yield "checkpoint", str(inspection.path)
    yield "network", f"{found.spec.name} ({found.spec.paper})" if found is not None else "not known, see the message"
    yield "tensors", f"{len(state)}, {sum(value.numel() for value in state.values()):,} values"
    if found is not None:
        yield "sizes", inspection.sizes
        known = ", ".join(found.spec.arithmetics)
        yield "arithmetic", f"{found.arithmetic}: {found.arithmetic_from} ({found.spec.name} has {known})"
        yield "published", f"{found.spec.upstream}; licence of published weights: {found.spec.weights_licence}"
    for name, reason in inspection.reasons:
        yield "recognised", f"{name} as {reason}" if found is not None and found.parts else f"by {reason}"
    for part, file in found.parts if found is not None else ():
        if part.left_out:
            yield "left out", f"{file.path.name}: {part.left_out}"
    for file in inspection.files:
        yield from _file(file)
    for name, reason in inspection.others:
        yield f"not {name}", reason


def _file(file: "CheckpointFile") -> Iterator[tuple[str, str]]:
    """Yield label and text of each fact about one file and its side-car."""
    dtypes = ", ".join(f"{count} {dtype}" for dtype, count in file.dtypes.items())
    yield "file", f"{file.path.name}: {file.container}, {dtypes}"
    yield "  sha256", file.sha256
    yield "  wrapping", "; ".join(file.wrapping) or "none"
    if file.header:
        yield "  metadata", ", ".join(f"{key}: {value}" for key, value in sorted(file.header.items()))
    if not file.sidecar:
        yield "  side-car", "none"
        return
    agrees = "its sha256 agrees" if file.fits_sidecar else "its sha256 does NOT agree"
    yield (
        "  side-car",
        f"{file.path.with_suffix('.json').name}, {agrees if 'sha256' in file.sidecar else 'without a sha256'}",
    )
    for fact in _FACTS:
        if fact in file.sidecar:
            yield f"    {fact.replace('_', ' ')}", str(file.sidecar[fact])


def _labelled(label: str, text: str, width: int) -> list[str]:
    indent = 20
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"{label:<{indent - 1}} ",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _keys(inspection: "Inspection") -> Iterator[str]:
    width = max(map(len, inspection.state))
    for key, value in inspection.state.items():
        yield f"{key:<{width}}  {str(value.dtype).removeprefix('torch.')}  {tuple(value.shape)}"
