"""Conversion of any checkpoint that loads to canonical form: one safetensors file and its side-car."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vsrrin.errors import ArgumentError, CheckpointError
from vsrrin.files import explained, publish

from . import loader

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def convert(
    model: str | os.PathLike[str],
    out: Path,
    *,
    created_with: str,
    arithmetic: str | None = None,
    dtype: str = "fp32",
    facts: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> loader.Model:
    """Write a checkpoint in canonical form.

    It is loaded again and compared before it is put in its place.

    Args:
        model: As for :func:`vsrrin.checkpoint.loader.load`.
        out: Where to, ending with ``.safetensors``; the side-car is written beside it.
        created_with: Program and version, for the side-car.
        arithmetic: As for :func:`vsrrin.checkpoint.loader.load`.
        dtype: Type to store floats in: ``fp32``, ``fp16`` or ``bf16``.
        facts: What is known of the weights, for the side-car: ``licence``, ``source``, ``training_data``, ``metrics``
            and more. What is not given is taken from the side-car of the input; else the licence is that of the
            network's published weights.
        overwrite: Whether existing files are replaced.

    Returns:
        The checkpoint that was written, as it loads.

    Raises:
        ArgumentError: ``out`` or ``dtype`` is not as above, or the network has no such arithmetic.
        CheckpointError: The input does not load, ``out`` exists or cannot be written, or a weight overflows ``dtype``.
    """
    if out.suffix != ".safetensors":
        raise ArgumentError(f"convert: the output must end with .safetensors, got {str(out)!r}.")
    if dtype not in DTYPES:
        raise ArgumentError(f"convert: dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if not os.path.isdir(out.parent):
        raise ArgumentError(f"convert: there is no folder {out.parent}.")
    existing = [path.name for path in (out, out.with_suffix(".json")) if os.path.lexists(path)]
    if os.path.isdir(out) or (existing and not overwrite):
        advice = (
            "it is a folder"
            if os.path.isdir(out)
            else f"{' and '.join(existing)} exists; give overwrite=True to replace it"
        )
        raise CheckpointError(f"convert: {out} cannot be written: {advice}, or choose another name.")
    source = loader.load(model, arithmetic=arithmetic)
    sidecar = {**_sidecar(source), **(facts or {}), "created_with": created_with}
    weights, text = loader.serialised(
        source.net, source.spec, arithmetic=source.arithmetic, sidecar=sidecar, dtype=DTYPES[dtype]
    )
    with (
        explained(out, CheckpointError),
        tempfile.TemporaryDirectory(dir=out.parent, prefix=".vsrrin-", ignore_cleanup_errors=True) as folder,
    ):
        written = Path(folder) / out.name
        written.write_bytes(weights)
        written.with_suffix(".json").write_bytes(text)
        again = _verify(source, written, DTYPES[dtype])
        publish({written.with_suffix(s): out.with_suffix(s) for s in (".safetensors", ".json")}, overwrite=overwrite)
    return replace(again, path=out)


def _sidecar(source: loader.Model) -> dict[str, Any]:
    """Return the contents of the side-car, unless the caller knows better."""
    known = {key: value for key, value in source.metadata.items() if key not in loader.SIDECAR_WRITTEN}
    origin: dict[str, Any] = {"name": source.path.name or source.name}
    origin |= {key: known.pop(key) for key in ("parts", "left_out") if key in known}
    if "sha256" in source.metadata:
        origin["sha256"] = source.metadata["sha256"]
    defaults = {
        "training_data": "not stated",
        "metrics": "not stated",
        "licence": source.spec.weights_licence,
        "source": f"converted from {origin['name']}; published implementation: {source.spec.upstream}",
    }
    return {**defaults, **known, "converted_from": origin}


def _verify(source: loader.Model, written: Path, dtype: torch.dtype) -> loader.Model:
    again = loader.load(written)
    loaded = again.net.state_dict()
    differing = [
        key
        for key, value in source.net.state_dict().items()
        if not torch.equal(value.to(dtype).float() if value.is_floating_point() else value, loaded[key])
    ]
    if differing or again.spec is not source.spec or again.arithmetic != source.arithmetic:
        raise CheckpointError(
            f"convert: {written.name} read back is not what was written ({len(differing)} tensors differ). Nothing was "
            "kept; check the disk."
        )
    return again
