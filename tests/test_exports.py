"""The public names, and what importing the package brings along."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vsrrin

PACKAGE = Path(vsrrin.__file__).parent


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_star_import_brings_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from vsrrin import *", names)
    assert set(vsrrin.__all__) <= set(names)
    assert names["interpolate"] is vsrrin.interpolate
    assert names["convert_file"] is vsrrin.convert_file


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'vsrrin' has no attribute 'extrapolate'"):
        _ = vsrrin.extrapolate


@pytest.mark.parametrize(
    "module",
    [
        "vsrrin",
        "vsrrin.nets",
        "vsrrin.checkpoint.loader",
        "vsrrin.engine.interpolator",
        "vsrrin.engine.pool",
        "vsrrin.checkpoint.inspection",
        "vsrrin.cli.main",
    ],
)
def test_only_the_filter_needs_vapoursynth(module: str) -> None:
    assert python(f"import sys, {module}; print('vapoursynth' in sys.modules)") == "False\n"


def test_the_package_itself_is_light() -> None:
    code = "import sys, vsrrin; print(sorted({'torch', 'cv2', 'numpy', 'vapoursynth', 'av'} & set(sys.modules)))"
    assert python(code) == "[]\n"


def test_the_filter_is_loaded_on_first_use_and_says_nothing() -> None:
    code = "import sys, vsrrin; vsrrin.interpolate; print('vapoursynth' in sys.modules, 'av' in sys.modules)"
    assert python(code) == "True False\n"


def test_types_are_announced() -> None:
    assert (PACKAGE / "py.typed").read_bytes() == b""


def test_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", vsrrin.__version__)
    assert vsrrin.__version__ in (PACKAGE / "__init__.py").read_text()
    assert "version = " not in (PACKAGE.parent / "pyproject.toml").read_text().split("[tool.")[0]


def test_every_parameter_of_interpolate_is_annotated_and_described() -> None:
    signature = inspect.signature(vsrrin.interpolate)
    text = inspect.cleandoc(vsrrin.interpolate.__doc__ or "")
    arguments = text.partition("\nArgs:\n")[2].partition("\nReturns:\n")[0]
    described = re.findall(r"^ {4}(\w+): \S", arguments, re.MULTILINE)
    assert set(described) == set(signature.parameters) and len(described) == len(signature.parameters)
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not inspect.Parameter.empty, name
    positional = [n for n, p in signature.parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["clip", "factor", "model"]


def test_every_error_of_ours_is_public_and_described() -> None:
    from vsrrin import errors

    kinds = {
        name for name, kind in vars(errors).items() if inspect.isclass(kind) and kind.__module__ == errors.__name__
    }
    assert kinds <= set(vsrrin.__all__)
    for name in kinds:
        assert issubclass(getattr(vsrrin, name), vsrrin.VsrrinError)
        assert name in (errors.__doc__ or "")
        assert getattr(vsrrin, name).__doc__
