"""Figures of a made-up tree: rooms, layers, arrows, lines."""

from pathlib import Path

import pytest

from scripts import structure

FILES = {
    "vsrrin/__init__.py": "from vsrrin.filter import interpolate\n",
    "vsrrin/errors.py": "class OwnError(Exception): ...\n",
    "vsrrin/filter.py": "from .engine import run\n\n\ndef interpolate():\n    return run()\n",
    "vsrrin/engine/__init__.py": "from .cache import Cache\n\n\ndef run():\n    import torch\n\n    return Cache\n",
    "vsrrin/engine/cache.py": "from vsrrin.errors import OwnError\nfrom vsrrin.nets import registry\n",
    "vsrrin/nets/__init__.py": "",
    "vsrrin/nets/registry.py": "from vsrrin import errors\nfrom .parts.unet import UNet\n",
    "vsrrin/nets/spec.py": "",
    "vsrrin/nets/parts/__init__.py": "",
    "vsrrin/nets/parts/unet.py": "from ..spec import Spec\n",
    "training/__init__.py": "",
    "training/train.py": "import vsrrin.engine.cache\n",
    "scripts/demo.py": "import numpy\n\nimport vsrrin\n",
    "scripts/check": "#!/bin/sh\nexit 0\n",
    "tests/engine/test_cache.py": "def test_cache():\n    pass\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_figures(tree: Path) -> None:
    assert structure.figures(tree) == {
        "modules at the top of vsrrin/": 2,
        "modules at the top of training/": 1,
        "modules at the top of scripts/": 2,
        "rooms": 3,
        "layers of rooms": 2,  # engine above nets and nets/parts, which import one another
        "arrows between rooms": 9,
        "arrows in circles": 2,
        "files": 13,
        "lines of code": 25,
        "lines of tests": 2,
        "lines of the median file": 1,
        "lines of the median function": 3,
    }


def test_without_the_circle_there_is_a_layer_more(tree: Path) -> None:
    (tree / "vsrrin/nets/parts/unet.py").write_text("")
    found = structure.figures(tree)
    assert (found["layers of rooms"], found["arrows in circles"]) == (3, 0)


def test_the_repository_itself_is_measured_unless_a_folder_is_named(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    structure.main([str(tree)])
    assert "| modules at the top of vsrrin/ | 2 |" in capsys.readouterr().out
    structure.main([])
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    found = {name.strip(): int(value) for _, name, value, _ in lines}
    assert found["modules at the top of scripts/"] <= 4 and found["layers of rooms"] > 2
