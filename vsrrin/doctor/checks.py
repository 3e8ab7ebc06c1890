"""Checks of libraries, devices and programs, each with its findings and advice.

A check imports what it needs by itself, since libraries that cannot be imported are what it looks for. A check that
raises is a finding of its own, and the others go on.
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from vsrrin.errors import VsrrinError

Status = Literal["ok", "note", "problem"]

_GIB = 2**30
_ENOUGH_MEMORY, _ENOUGH_DISK = 2 * _GIB, 1 * _GIB
_OLDEST_VAPOURSYNTH = 74
_VIDEO_ENCODERS = {"libx264": "H.264", "libx265": "H.265", "libsvtav1": "AV1", "libvpx-vp9": "VP9"}
_AUDIO_ENCODERS = {"libopus": "Opus", "aac": "AAC"}
_LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python-headless", "psutil": "psutil", "safetensors": "safetensors"}
_INSTALL_AGAIN = "install vsrrin again into an environment of its own: pip install vsrrin"
_NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Check:
    """A finding.

    Attributes:
        name: Subject of the check.
        status: "ok", "note" (it works, with something worth knowing) or "problem" (something will not work).
        text: The finding.
        advice: A sentence on what to do; empty if there is nothing to do.
    """

    name: str
    status: Status
    text: str
    advice: str = ""


type Finder = Callable[[], Iterable[Check]]


def examine(finders: Mapping[str, Finder] | None = None) -> Iterator[Check]:
    """Run checks one after the other, and yield their findings; a check that raises is one, too.

    Args:
        finders: The checks by name; all of `FINDERS` unless given.
    """
    for name, find in (FINDERS if finders is None else finders).items():
        try:
            yield from find()
        except VsrrinError as error:
            yield Check(name, "problem", str(error), "do what the message says, then run vsrrin doctor again")
        except Exception as error:
            reason = " ".join(str(error).split())
            yield Check(name, "problem", f"the check failed: {type(error).__name__}: {reason}", _INSTALL_AGAIN)


def python() -> Iterator[Check]:
    """Check the interpreter and this package."""
    from vsrrin import __version__

    where = "" if sys.prefix != sys.base_prefix else ", no virtual environment"
    yield Check("Python", "ok", f"{platform.python_version()} at {sys.executable}{where}; {platform.platform()}")
    yield Check("vsrrin", "ok", f"{__version__} at {Path(__file__).parents[1]}")


def libraries() -> Iterator[Check]:
    """Check libraries that need no check of their own."""
    for module, package in _LIBRARIES.items():
        try:
            importlib.import_module(module)
        except Exception as error:
            yield Check(package, "problem", f"cannot be imported: {error}", f"pip install --force-reinstall {package}")
        else:
            yield Check(package, "ok", importlib.metadata.version(package))


def torch() -> Iterator[Check]:
    """Check PyTorch."""
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield Check("PyTorch", "ok", f"{torch.__version__}, built with {built}, {torch.get_num_threads()} threads")


def vapoursynth() -> Iterator[Check]:
    """Check VapourSynth and its plugins, BestSource among them."""
    import vapoursynth as vs

    release, (major, minor) = vs.__version__.release_major, vs.__api_version__
    old = release < _OLDEST_VAPOURSYNTH
    yield Check(
        "VapourSynth",
        "problem" if old else "ok",
        f"R{release}, API {major}.{minor}, {vs.core.num_threads} threads",
        "pip install --upgrade vapoursynth" if old else "",
    )
    plugins = {plugin.namespace: f"{plugin.version.major}.{plugin.version.minor}" for plugin in vs.core.plugins()}
    yield Check("plugins", "ok", ", ".join(f"{name} {version}" for name, version in sorted(plugins.items())))
    if "bs" in plugins:
        yield Check("BestSource", "ok", plugins["bs"])
    else:
        advice = "pip install --force-reinstall vapoursynth-bestsource"
        yield Check("BestSource", "problem", "VapourSynth does not load it, so no video can be read", advice)


def cpu() -> Iterator[Check]:
    """Check the processor."""
    import torch

    from vsrrin.engine.backends.processor import multiplies_bf16, multiplies_int8, name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kinds = (("bf16", multiplies_bf16()), ("8 bit", multiplies_int8()))
    multiplies = " and ".join(kind for kind, there in kinds if there) or "neither bf16 nor 8 bit"
    capability = torch.backends.cpu.get_cpu_capability()
    yield Check("CPU", "ok", f"{name()}, {cores} cores, {capability}, multiplies {multiplies}")


def calibration() -> Iterator[Check]:
    """Tell what was measured on this processor."""
    from vsrrin.engine.backends import calibration

    found = calibration.records()
    if not found:
        yield Check("fastest settings", "ok", "not measured yet: a network's first run does, or vsrrin tune VIDEO")
    for record in found:
        times = ", ".join(f"{way} {float(time) * 1e3:.1f} ms" for way, time in record["seconds"].items())
        text = f"{record['chosen']} with {record['threads']} threads ({times})"
        yield Check(f"fastest {str(record['network']).split()[0]}", "ok", text)


def openvino() -> Iterator[Check]:
    """Check OpenVINO, which makes most networks faster on CPUs."""
    from vsrrin.engine.backends import openvino_backend

    if not openvino_backend.installed():
        advice = "pip install 'vsrrin[openvino]' makes networks with many convolutions faster on the CPU"
        yield Check("OpenVINO", "note", "not installed; nothing needs it", advice)
        return
    yield Check(
        "OpenVINO", "ok", f"{openvino_backend.version()}, computes in {', '.join(openvino_backend.precisions())}"
    )


def devices(driver: Path = _NVIDIA) -> Iterator[Check]:
    """Check devices other than the CPU, each with a small computation.

    Args:
        driver: The file that NVIDIA's driver makes.
    """
    import torch

    from vsrrin.engine.backends.torch_backend import available_devices

    _, *found = available_devices()
    for name in found:
        yield from examine({name: partial(_device, name)})
    if not found:
        yield Check("devices", "ok", "cpu only")
    if driver.exists() and not any(name.startswith("cuda") for name in found):
        reason = "is built without CUDA" if torch.version.cuda is None else f"(CUDA {torch.version.cuda}) cannot use it"
        advice = "install the PyTorch that fits your driver, see https://pytorch.org/get-started/locally"
        yield Check("NVIDIA GPU", "problem", f"there is a driver, but this PyTorch {reason}", advice)


def _device(name: str) -> Iterator[Check]:
    import torch

    ones = torch.ones(8, 3, 16, 16, device=name)
    weight = torch.ones(3, 3, 3, 3, device=name)
    right = float(torch.nn.functional.conv2d(ones, weight)[0, 0, 0, 0]) == 27
    text = name
    if name != "mps":
        kind = torch.cuda if name.startswith("cuda") else torch.xpu
        free, total = kind.mem_get_info(torch.device(name))
        text = f"{kind.get_device_name(name)}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
    if right:
        yield Check(name, "ok", text)
    else:
        yield Check(name, "problem", f"{text}: it computes wrongly", 'update its driver, or use device="cpu"')


def vspipe(environment: Mapping[str, str] = os.environ, timeout: float = 60) -> Iterator[Check]:
    """Check that the ``vspipe`` of a shell works, and runs scripts with this Python and this vsrrin.

    Args:
        environment: Variables of that shell.
        timeout: Seconds that it may take.
    """
    program = shutil.which("vspipe", path=environment.get("PATH", ""))
    if program is None:
        advice = f"for scripts put {Path(sys.executable).parent} on PATH (activate the environment)"
        yield Check("vspipe", "note", "not on PATH; only scripts need it, vsrrin convert does not", advice)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.vpy").write_text(_SCRIPT, encoding="utf-8")
        command = [program, "script.vpy", "--"]
        variables = {**environment, "XDG_CONFIG_HOME": str(_copied_configuration(environment, folder / "config"))}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=folder,
                env=variables,
                timeout=timeout,
                check=False,
            )
            said, failed = done.stderr.strip().splitlines(), done.returncode != 0
        except subprocess.TimeoutExpired:
            said, failed = [f"it did not end within {timeout:g} s"], True
        report = folder / "report.txt"
        found = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    yield _judge_vspipe(program, found, said if failed else [])


def _copied_configuration(environment: Mapping[str, str], target: Path) -> Path:
    """Copy the user's configuration of VapourSynth, as vspipe writes one where there is none; return where."""
    usual = Path(environment.get("HOME", "")) / ".config"
    source = Path(environment.get("XDG_CONFIG_HOME") or usual) / "vapoursynth"
    if source.is_dir():
        shutil.copytree(source, target / "vapoursynth")
    else:
        target.mkdir()
    return target


_SCRIPT = """\
import importlib.util
import vapoursynth as vs
found = importlib.util.find_spec("vsrrin")
with open("report.txt", "w", encoding="utf-8") as report:
    print(vs.__file__, "" if found is None else found.origin, sep="\\n", file=report)
vs.core.std.BlankClip(length=1).set_output()
"""


def _judge_vspipe(program: str, found: list[str], complaint: list[str]) -> Check:
    """Return the finding of a run, from the files of its VapourSynth and its vsrrin and its last words."""
    ours = Path(sys.executable).parent
    if complaint or len(found) != 2:
        reason = complaint[-1] if complaint else "it ran no script"
        advice = f"activate this environment ({ours}), or run `{ours / 'vapoursynth'} config` once"
        return Check("vspipe", "problem", f"{program} does not work: {reason}", advice)
    import vapoursynth

    for what, theirs, mine in (
        ("VapourSynth", found[0], vapoursynth.__file__),
        ("vsrrin", found[1], str(Path(__file__).parents[1] / "__init__.py")),
    ):
        if not theirs:
            advice = f"put {ours} first on PATH, or pip install vsrrin into the environment of that vspipe"
            return Check("vspipe", "problem", f"{program} runs scripts with a Python that has no {what}", advice)
        if Path(theirs).resolve() != Path(mine).resolve():
            advice = f"put {ours} first on PATH, or use the vsrrin of that environment"
            text = f"{program} runs scripts with another {what}: {theirs}, not {mine}"
            return Check("vspipe", "problem", text, advice)
    return Check("vspipe", "ok", f"{program}, with this Python and this vsrrin")


def memory() -> Iterator[Check]:
    """Check free main memory."""
    import psutil

    found = psutil.virtual_memory()
    little = found.available < _ENOUGH_MEMORY
    text = f"{found.available / _GIB:.1f} of {found.total / _GIB:.1f} GiB free"
    advice = "close other programs, or give a small tile=SIDE: large frames may not fit" if little else ""
    yield Check("memory", "note" if little else "ok", text, advice)


def temporary(folder: Path | None = None) -> Iterator[Check]:
    """Check the folder for temporary files.

    Args:
        folder: The folder; Python's choice unless given.
    """
    try:
        where = Path(tempfile.gettempdir()) if folder is None else folder
        with tempfile.TemporaryFile(dir=where) as file:
            file.write(bytes(2**16))
            file.flush()
        free = shutil.disk_usage(where).free
    except OSError as error:
        advice = "set TMPDIR to a folder that you may write to and that has room"
        yield Check("temporary files", "problem", f"cannot be written: {error}", advice)
        return
    little = free < _ENOUGH_DISK
    advice = "make room there, or set TMPDIR to a folder with more" if little else ""
    yield Check("temporary files", "note" if little else "ok", f"{where}, {free / _GIB:.1f} GiB free", advice)


def weights(files: Mapping[str, Path] | None = None) -> Iterator[Check]:
    """Check that all bundled weights load, and are the files that their side-cars describe.

    Args:
        files: Weights by name; those that come with vsrrin unless given.
    """
    from vsrrin.checkpoint import loader

    found = loader.bundled() if files is None else files
    if not found:
        yield Check("weights", "problem", "none came with vsrrin", _INSTALL_AGAIN)
    for name, path in found.items():
        try:
            model = loader.load(path)
        except VsrrinError as error:
            yield Check(f"weights {name}", "problem", str(error), _INSTALL_AGAIN)
            continue
        untrained = str(model.metadata.get("training_data", "")).lower().startswith("none")
        text = f"{model.spec.name}, sha256 {model.metadata['sha256']} as it should be"
        yield Check(f"weights {name}", "ok", text + (", made without training" if untrained else ""))


def encoders() -> Iterator[Check]:
    """Check PyAV and its encoders."""
    from vsrrin.convert.media import library

    version, ffmpeg = library.versions()
    yield Check("PyAV", "ok", f"{version} with FFmpeg {ffmpeg}")
    names = {**_VIDEO_ENCODERS, **_AUDIO_ENCODERS}
    missing = [f"{text} ({name})" for name, text in names.items() if not library.has_encoder(name)]
    there = ", ".join(text for name, text in names.items() if library.has_encoder(name))
    advice = "pip install --force-reinstall --only-binary av av"
    if not any(map(library.has_encoder, _VIDEO_ENCODERS)):
        yield Check("encoders", "problem", "PyAV can encode no video that vsrrin convert writes", advice)
    elif missing:
        yield Check("encoders", "note", f"{there}; missing: {', '.join(missing)}", advice)
    else:
        yield Check("encoders", "ok", there)


def self_test() -> Iterator[Check]:
    """Check the whole way on a tiny clip, see :mod:`vsrrin.doctor.selftest`."""
    from vsrrin.engine.backends.torch_backend import available_devices

    for device in available_devices():
        yield from examine({f"self-test {device}": partial(interpolation, device)})
    yield from examine({"self-test file": _file})


def interpolation(device: str) -> Iterator[Check]:
    """Check new frames of one device."""
    from . import selftest

    found = selftest.interpolate(device)
    good = found >= selftest.LEAST_PSNR
    text = f"new frames of a known motion: {found:.1f} dB ({selftest.LEAST_PSNR:g} or more is right)"
    advice = "" if good else 'use device="cpu" or precision="fp32", and report this with what vsrrin doctor --json says'
    yield Check(f"self-test {device}", "ok" if good else "problem", text, advice)


def _file() -> Iterator[Check]:
    from vsrrin.convert.media import library

    from . import selftest

    for codec in filter(library.has_encoder, _VIDEO_ENCODERS):
        found = selftest.round_trip(codec)
        good = found >= selftest.LEAST_CODED_PSNR
        advice = "" if good else "pip install --force-reinstall av vapoursynth-bestsource"
        text = f"{_VIDEO_ENCODERS[codec]} written and read again, {found:.1f} dB"
        yield Check(f"self-test {_VIDEO_ENCODERS[codec]}", "ok" if good else "problem", text, advice)


FINDERS: Mapping[str, Finder] = {
    "Python": python,
    "libraries": libraries,
    "PyTorch": torch,
    "VapourSynth": vapoursynth,
    "PyAV": encoders,
    "vspipe": vspipe,
    "CPU": cpu,
    "OpenVINO": openvino,
    "fastest settings": calibration,
    "devices": devices,
    "memory": memory,
    "temporary files": temporary,
    "weights": weights,
    "self-test": self_test,
}
