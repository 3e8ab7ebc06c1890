"""The processor at hand, as far as the choice of arithmetic depends on it."""

import platform
from functools import cache
from pathlib import Path

_INFO = Path("/proc/cpuinfo")
_TOLD = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "bf16", "i8mm")
"""Flags that decide which arithmetic is fast."""


def name() -> str:
    """Return the processor's name."""
    return _facts().get("model name") or platform.processor() or platform.machine()


@cache
def processor() -> str:
    """Return the processor's name and those of its flags that matter; equal ones are equally good at each precision."""
    facts = _facts()
    kind = [facts[key] for key in ("cpu family", "model") if key in facts]
    return " ".join([name(), *("/".join(kind),) * bool(kind), *(flag for flag in _TOLD if flag in _flags(facts))])


def multiplies_bf16() -> bool:
    """Return whether this processor has bf16 dot products or AMX; others emulate bf16, slower than float32."""
    flags = _flags(_facts())
    return "avx512_bf16" in flags or "amx_bf16" in flags


def multiplies_int8() -> bool:
    """Return whether this processor adds up products of 8 bit without losing any, or does not say."""
    flags = _flags(_facts())
    return not flags or any(flag in flags for flag in ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp"))


def _facts() -> dict[str, str]:
    try:
        lines = _INFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _flags(facts: dict[str, str]) -> list[str]:
    return (facts.get("flags") or facts.get("features") or "").split()
