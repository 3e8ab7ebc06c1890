"""`vsrrin doctor`: what it finds on this machine, and on machines where something is broken."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest
import torch

import vsrrin
from vsrrin.checkpoint import loader
from vsrrin.convert.media import library
from vsrrin.doctor import checks as doctor
from vsrrin.doctor import selftest
from vsrrin.doctor.checks import Check
from vsrrin.engine.backends import openvino_backend
from vsrrin.errors import VsrrinError

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


def environment(home: Path, path: str, **more: str) -> dict[str, str]:
    """The user's, but with a home without any configuration of VapourSynth and with this PATH."""
    return {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
        **more,
    }


def run(home: Path, *arguments: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "vsrrin", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=home, env=variables, timeout=120, check=False)


def by_name(report: str) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(report)["checks"]}


def only(checks: Iterator[Check]) -> Check:
    (check,) = checks
    return check


def with_programs() -> str:
    return f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"


# The command


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run in this environment, which is sound, with its programs on PATH."""
    home = tmp_path_factory.mktemp("home")
    done = run(home, "--json", variables=environment(home, with_programs()))
    assert not list(home.iterdir())
    return done


def test_openvino_is_named_or_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    if openvino_backend.installed():
        check = only(doctor.openvino())
        assert check.status == "ok"
        assert check.text.startswith(f"{metadata.version('openvino')}, computes in fp32")
    monkeypatch.setattr(openvino_backend, "installed", lambda: False)
    check = only(doctor.openvino())
    assert (check.status, check.text) == ("note", "not installed; nothing needs it")
    assert "vsrrin[openvino]" in check.advice


def test_a_sound_environment_has_no_problem(sound: subprocess.CompletedProcess[str]) -> None:
    assert (sound.returncode, sound.stderr) == (0, ""), sound.stdout
    assert json.loads(sound.stdout)["problems"] == 0
    found = by_name(sound.stdout)
    assert all(check["status"] in ("ok", "note") for check in found.values())
    assert {"Python", "vsrrin", "numpy", "PyTorch", "VapourSynth", "BestSource", "PyAV", "encoders"} <= set(found)
    assert {"vspipe", "CPU", "devices", "memory", "temporary files", "weights rrin_lite"} <= set(found)
    assert found["vsrrin"]["text"] == f"{vsrrin.__version__} at {ROOT / 'vsrrin'}"
    assert torch.__version__ in found["PyTorch"]["text"]
    assert found["vspipe"]["text"] == f"{PROGRAMS / 'vspipe'}, with this Python and this vsrrin"
    assert found["encoders"]["text"] == "H.264, H.265, AV1, VP9, Opus, AAC"
    assert {f"self-test {name}" for name in ("cpu", "H.264", "H.265", "AV1", "VP9")} <= set(found)


def test_the_weights_are_named_with_their_sha256(sound: subprocess.CompletedProcess[str]) -> None:
    path = loader.bundled()["rrin_lite"]
    sha256 = json.loads(path.with_suffix(".json").read_text())["sha256"]
    assert sha256 in by_name(sound.stdout)["weights rrin_lite"]["text"]


def test_without_vspipe_it_is_a_note_for_people(tmp_path: Path) -> None:
    done = run(tmp_path, variables=environment(tmp_path, "/nowhere"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    line = next(number for number, text in enumerate(lines) if text.startswith("note     vspipe"))
    assert "not on PATH; only scripts need it" in lines[line]
    assert lines[line + 1].strip().startswith(f"-> for scripts put {PROGRAMS} on PATH")
    assert lines[-1].startswith("no problems, ")
    assert max(map(len, lines)) <= 160


def test_a_library_that_cannot_be_imported_does_not_stop_the_rest(tmp_path: Path) -> None:
    """As with a wheel for another machine: the import fails."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "vapoursynth.py").write_text("raise ImportError('libvapoursynth.so: cannot open shared object file')")
    variables = environment(tmp_path, "/nowhere", PYTHONPATH=f"{broken}{os.pathsep}{ROOT}")
    done = run(tmp_path, "--json", variables=variables)
    assert (done.returncode, done.stderr) == (1, "")
    found = by_name(done.stdout)
    assert found["VapourSynth"]["status"] == "problem"
    assert "cannot open shared object file" in found["VapourSynth"]["text"]
    assert found["VapourSynth"]["advice"] == "install vsrrin again into an environment of its own: pip install vsrrin"
    assert found["PyTorch"]["status"] == "ok"
    assert found["encoders"]["status"] == "ok"
    assert found["memory"]["status"] == "ok"
    assert found["self-test cpu"]["status"] == "problem"


def test_a_machine_without_anything_still_gets_a_report(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for module in ("torch", "numpy", "cv2", "psutil", "safetensors", "vapoursynth", "av"):
        (broken / f"{module}.py").write_text("raise OSError('damaged')")
    variables = environment(tmp_path, "/nowhere", PYTHONPATH=f"{broken}{os.pathsep}{ROOT}")
    done = run(tmp_path, variables=variables)
    assert (done.returncode, done.stderr) == (1, "")
    starts = [line[:33].split(maxsplit=1) for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    problems = {name for status, name in starts[:-1] if status == "problem"}
    assert {"numpy", "psutil", "PyTorch", "VapourSynth", "PyAV", "CPU", "memory", "weights", "self-test"} <= {
        name.strip() for name in problems
    }
    assert "Traceback" not in done.stdout


# vspipe


def write_program(folder: Path, text: str) -> str:
    """A program called vspipe, and the PATH on which it is found."""
    path = folder / "bin" / "vspipe"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"{path.parent}{os.pathsep}{with_programs()}"


def test_a_vspipe_that_does_not_start(tmp_path: Path) -> None:
    path = write_program(tmp_path, "echo 'Failed to initialize VSScript' >&2; exit 1")
    check = only(doctor.vspipe(environment(tmp_path, path)))
    assert check.status == "problem"
    assert check.text == f"{tmp_path / 'bin' / 'vspipe'} does not work: Failed to initialize VSScript"
    assert f"activate this environment ({PROGRAMS})" in check.advice


def test_a_vspipe_that_hangs(tmp_path: Path) -> None:
    check = only(doctor.vspipe(environment(tmp_path, write_program(tmp_path, "exec sleep 30")), timeout=0.2))
    assert check.status == "problem"
    assert check.text.endswith("does not work: it did not end within 0.2 s")


def test_a_vspipe_that_does_nothing(tmp_path: Path) -> None:
    check = only(doctor.vspipe(environment(tmp_path, write_program(tmp_path, "exit 0"))))
    assert (check.status, check.text.rpartition(": ")[2]) == ("problem", "it ran no script")


def test_a_vspipe_with_another_vsrrin(tmp_path: Path) -> None:
    other = tmp_path / "other" / "vsrrin"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    path = write_program(tmp_path, f'PYTHONPATH={other.parent} exec {PROGRAMS / "vspipe"} "$@"')
    check = only(doctor.vspipe(environment(tmp_path, path)))
    assert check.status == "problem"
    assert check.text.endswith(f"with another vsrrin: {other / '__init__.py'}, not {ROOT / 'vsrrin' / '__init__.py'}")
    assert check.advice.startswith(f"put {PROGRAMS} first on PATH")


def test_a_vspipe_that_is_configured_for_another_python(tmp_path: Path) -> None:
    variables = environment(tmp_path, with_programs())
    subprocess.run(["vspipe", "--version"], env=variables, capture_output=True, check=True, timeout=60)
    (configuration,) = (tmp_path / ".config" / "vapoursynth").iterdir()
    library_file, _, settings = configuration.read_text().partition(" = ")
    assert sys.prefix in settings
    other = f"{library_file} = {settings.replace(sys.prefix, sys.base_prefix)}"
    configuration.write_text(other)
    check = only(doctor.vspipe(variables))
    assert check.status == "problem"
    assert f"{PROGRAMS / 'vapoursynth'} config" in check.advice
    assert configuration.read_text() == other  # looked at, not repaired


def test_a_vspipe_that_is_right(tmp_path: Path) -> None:
    assert only(doctor.vspipe(environment(tmp_path, with_programs()))).status == "ok"


# Weights, folders, devices, encoders


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy of the bundled weights with their side-car."""
    source = loader.bundled()["rrin_lite"]
    shutil.copy(source.with_suffix(".json"), tmp_path)
    return Path(shutil.copy(source, tmp_path))


def test_sound_weights(weights: Path) -> None:
    check = only(doctor.weights({"mine": weights}))
    assert check.status == "ok"
    assert check.text.endswith("as it should be")
    (draft,) = doctor.weights({"draft": loader.bundled()["draft"]})
    assert draft.status == "ok"
    assert draft.text.endswith("as it should be, made without training")


def test_damaged_weights(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    check = only(doctor.weights({"mine": weights}))
    assert (check.name, check.status) == ("weights mine", "problem")
    assert "sha256" in check.text
    assert check.advice.startswith("install vsrrin again")
    weights.write_bytes(data[:1000])
    assert only(doctor.weights({"mine": weights})).status == "problem"


def test_no_weights_at_all() -> None:
    check = only(doctor.weights({}))
    assert (check.status, check.text) == ("problem", "none came with vsrrin")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert only(doctor.temporary(tmp_path)).text.startswith(f"{tmp_path}, ")
    check = only(doctor.temporary(tmp_path / "nothing"))
    assert check.status == "problem"
    assert check.advice.startswith("set TMPDIR to a folder")


def test_a_driver_that_this_pytorch_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "version").touch()
    problems = [check for check in doctor.devices(tmp_path / "version") if check.status == "problem"]
    assert [check.name for check in problems] == ([] if torch.cuda.is_available() else ["NVIDIA GPU"])
    assert all("https://pytorch.org/get-started/locally" in check.advice for check in problems)
    assert all(check.status == "ok" for check in doctor.devices(tmp_path / "no driver"))


def test_encoders_are_told_apart() -> None:
    assert library.has_encoder("ffv1")
    assert not library.has_encoder("flic")  # a decoder only
    assert not library.has_encoder("nonsense")


# The self-test and the frame around all


def test_the_self_test_tells_interpolation_from_a_blend() -> None:
    inner = (slice(8, -8), slice(8, -8))
    left, right, true = (selftest.pattern(shift)[inner].astype(float) for shift in (0, 6, 3))
    error = (((left + right) / 2 - true) ** 2).mean()
    assert 255**2 / error < 10 ** (selftest.LEAST_PSNR / 10) / 4
    assert selftest.interpolate("cpu") > selftest.LEAST_PSNR + 5


def test_the_self_test_says_when_a_device_is_not_there() -> None:
    check = only(doctor.examine({"self-test": partial(doctor.interpolation, "cuda:99")}))
    assert check.status == "problem"
    assert "device 'cuda:99' is not available" in check.text


def test_the_self_test_of_files_reads_what_was_written() -> None:
    assert selftest.round_trip("ffv1") > 45
    with pytest.raises(Exception, match="nonsense"):
        selftest.round_trip("nonsense")


def test_checks_that_raise_are_findings_and_the_others_go_on() -> None:
    def ours() -> Iterator[Check]:
        yield Check("first", "ok", "fine")
        raise VsrrinError("no such thing")

    def foreign() -> Iterator[Check]:
        raise RuntimeError("a\nlong   story")

    def fine() -> Iterator[Check]:
        yield Check("last", "ok", "fine")

    found = list(doctor.examine({"a": ours, "b": foreign, "c": fine}))
    assert [(check.name, check.status) for check in found] == [
        ("first", "ok"),
        ("a", "problem"),
        ("b", "problem"),
        ("last", "ok"),
    ]
    assert found[1].text == "no such thing"
    assert found[2].text == "the check failed: RuntimeError: a long story"
    assert all(check.advice for check in found if check.status == "problem")
