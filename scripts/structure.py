"""Figures of how the code is laid out: modules, rooms, layers, lines.

    python -m scripts.structure [FOLDER]

A room is a folder of modules below vsrrin/, training/ or scripts/; a module loose at their top (``__init__`` is not
counted there) is a room of its own to arrows, but no layer. An arrow is any number of imports from one room to another.
Layers are the longest chain of arrows; rooms that import one another in a circle are one layer together.
"""

import argparse
import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median

ROOTS = ("vsrrin", "training", "scripts")

type Arrows = set[tuple[str, str]]


def figures(folder: Path) -> dict[str, int]:
    """Return the figures of the repository in a folder, by name."""
    trees = {path: ast.parse(path.read_text("utf-8")) for root in ROOTS for path in (folder / root).rglob("*.py")}
    names = {_name(path.relative_to(folder)): tree for path, tree in trees.items()}
    packages = {_name(path.relative_to(folder)) for path in trees if path.name == "__init__.py"}
    found = arrows(names, packages)
    functions = [
        (node.end_lineno or 0) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    programs = [path for path in (folder / "scripts").iterdir() if path.is_file() and not path.suffix]
    tops = {root: sum(path.parent == folder / root and path.stem != "__init__" for path in trees) for root in ROOTS}
    tops["scripts"] += len(programs)
    rooms = {room for name in names if (room := _room(name, packages)) in packages and room not in ROOTS}
    return {
        **{f"modules at the top of {root}/": count for root, count in tops.items()},
        "rooms": len(rooms),
        "layers of rooms": layers(found, rooms),
        "arrows between rooms": len(found),
        "arrows in circles": sum(start in _reached(frozenset(found), end) for start, end in found),
        "files": len(trees),
        "lines of code": sum(map(_lines, [*trees, *programs])),
        "lines of tests": sum(map(_lines, (folder / "tests").rglob("*.py"))),
        "lines of the median file": int(median(map(_lines, trees))),
        "lines of the median function": int(median(functions)) if functions else 0,
    }


def arrows(modules: dict[str, ast.Module], packages: set[str]) -> Arrows:
    """Return the pairs of rooms of which the first imports from the second."""
    found = set()
    for name, tree in modules.items():
        for target in _imports(tree, _package(name, packages)):
            while target and target not in modules:  # a name in a module, or one of another library
                target = target.rpartition(".")[0]
            if target:
                found.add((_room(name, packages), _room(target, packages)))
    return {(start, end) for start, end in found if start != end}


def layers(found: Arrows, rooms: set[str]) -> int:
    """Return the number of rooms along the longest chain of arrows, where a circle counts as one."""
    fixed = frozenset(found)

    @cache
    def circle(node: str) -> frozenset[str]:
        return frozenset({node, *(other for other in _reached(fixed, node) if node in _reached(fixed, other))})

    @cache
    def depth(nodes: frozenset[str]) -> int:
        below = {circle(end) for start, end in found if start in nodes and end not in nodes}
        return bool(nodes & rooms) + max(map(depth, below), default=0)

    return max((depth(circle(room)) for pair in found for room in pair), default=min(len(rooms), 1))


@cache
def _reached(found: frozenset[tuple[str, str]], node: str) -> set[str]:
    reached: set[str] = set()
    new = {node}
    while new := {end for start, end in found if start in new} - reached:
        reached |= new
    return reached


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def _package(name: str, packages: set[str]) -> str:
    return name if name in packages else name.rpartition(".")[0]


def _room(name: str, packages: set[str]) -> str:
    package = _package(name, packages)
    return name if package in ROOTS else package


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[1], help="root of a clone")
    found = figures(parser.parse_args(arguments).folder)
    print("\n".join(["| figure | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in found.items())]))


if __name__ == "__main__":
    main()
