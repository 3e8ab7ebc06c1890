"""Docstrings and signatures for the reference, as they are at run time.

mkdocstrings reads the source, but a filter takes its options, and what is said of them, from `vsrrin.Options`.
"""

import inspect
import re
from typing import Any

import griffe

import vsrrin


class AtRunTime(griffe.Extension):
    """Extension of griffe, which mkdocstrings reads sources with."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Replace what the source says of a public function that is put together at run time."""
        public = getattr(vsrrin, func.name, None) if func.name in vsrrin.__all__ else None
        if public is None or f"{public.__module__}.{func.name}" != func.path or not hasattr(public, "__wrapped__"):
            return
        assert func.docstring is not None
        func.docstring.value = _plain(inspect.getdoc(public) or "")
        func.parameters = griffe.Parameters(*map(_parameter, inspect.signature(public).parameters.values()))

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Show references to modules and functions as code."""
        if obj.docstring is not None:
            obj.docstring.value = _plain(obj.docstring.value)


def _plain(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)


def _parameter(parameter: inspect.Parameter) -> griffe.Parameter:
    default = None if parameter.default is inspect.Parameter.empty else repr(parameter.default)
    kind = griffe.ParameterKind[parameter.kind.name.lower()]
    annotation = re.sub(r"\b(typing|fractions|os|vapoursynth)\.", "", inspect.formatannotation(parameter.annotation))
    return griffe.Parameter(parameter.name, annotation=annotation, kind=kind, default=default)
