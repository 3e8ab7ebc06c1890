"""The command `vsrrin`: what it prints, where, and its exit status."""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

import vsrrin
from tests.commands import vsrrin_command
from vsrrin.checkpoint import loader
from vsrrin.cli import main
from vsrrin.cli.arguments import in_flags
from vsrrin.nets import NETS, rrin
from vsrrin.nets.parts.raft import RAFT

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "vsrrin"]
SIDECAR = {"training_data": "d", "metrics": "m", "licence": "ours", "source": "s", "created_with": "c"}


@pytest.fixture(scope="module")
def net() -> rrin.RRIN:
    """A narrow RRIN, so that files are small."""
    torch.manual_seed(0)
    return rrin.RRIN(width=4).eval()


@pytest.fixture
def state(net: rrin.RRIN) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one, so that commands name files as a user does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one run."""
    return vsrrin_command(arguments)


def succeed(*arguments: str | Path) -> str:
    """The output of a run that must succeed, without a word on stderr."""
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    return out


def fail(*arguments: str | Path, status: int = 1) -> str:
    """What a run that must fail says on stderr; it prints nothing else."""
    code, out, err = run(*arguments)
    assert (code, out) == (status, ""), err
    assert "Traceback" not in err
    return err


def facts(report: str) -> dict[str, str]:
    """The labels of a report and their text, with the lines joined again."""
    found: dict[str, str] = {}
    label = ""
    for line in report.splitlines():
        label = line[:20].strip() or label
        found[label] = f"{found.get(label, '')} {line[20:].strip()}".strip()
    return found


# The command itself


def test_the_console_script_is_this_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["vsrrin"].partition(":")
    assert getattr(importlib.import_module(module), function)(["models", "--json"]) == 0


def test_version_and_help(folder: Path) -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"vsrrin {vsrrin.__version__}\n", "")
    assert "models" in succeed("--help")
    assert all(word in succeed("models", "--help") for word in ("list", "inspect", "convert"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "required: COMMAND"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("models", "inspect"), "required: MODEL"),
        (("models", "convert", "a"), "required: OUT"),
        (("convert", "a.mkv", "b.mkv", "--crff", "3"), "usage: vsrrin convert "),
        (("models", "inspect", "a", "--nope"), "usage: vsrrin models inspect "),
        (("doctor", "--nope"), "vsrrin doctor: error: unrecognized arguments: --nope"),
    ],
)
def test_wrong_usage(folder: Path, arguments: Sequence[str], text: str) -> None:
    error = fail(*arguments, status=2)
    assert error.startswith("usage: vsrrin")
    assert text in error


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--version",), 0),
        (("models", "list"), 0),
        (("models", "inspect", "none.pth"), 1),
        (("models", "convert", "none.pth", "out.safetensors"), 1),
        (("models", "export", "none.pth", "out.onnx"), 1),
        (("models", "export", "draft", "out.onnx", "--size", "9"), 2),
        (("convert", "none.mkv", "out.mkv"), 1),
        (("convert", "none.mkv", "out.mkv", "--fps", "fast"), 2),
        (("convert", "none.mkv", "out.xyz"), 2),
        (("convert", "none.mkv"), 2),
        (("preview", "none.mkv", "--at", "1"), 1),
        (("preview", "none.mkv"), 2),
        (("preview", "none.mkv", "--at", "1", "--factor", "1"), 2),
        (("doctor", "extra"), 2),
    ],
)
def test_exit_status(folder: Path, arguments: Sequence[str], status: int) -> None:
    code, _, err = run(*arguments)
    assert code == status, err
    assert (not err) == (status == 0)


def test_help_does_not_load_torch(folder: Path) -> None:
    code = "import sys, vsrrin.cli.main\ntry: vsrrin.cli.main.main(['--help'])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("False\n")


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    with subprocess.Popen([*COMMAND, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 128 + signal.SIGPIPE


def test_output_that_cannot_be_written_is_an_error(folder: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "vsrrin: [Errno 28] No space left on device\n"


def test_a_closed_output_is_an_error(folder: Path) -> None:
    command = f"{shlex.join(COMMAND)} models >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "vsrrin: stdout, where the result goes, is closed: lead it to a file or to a terminal\n"
    error = f"{shlex.join(COMMAND)} models inspect none.pth >&- 2>&-"
    assert subprocess.run(["sh", "-c", error], check=False).returncode == 1


@pytest.mark.parametrize(
    ("message", "translated"),
    [
        ("out.mkv exists: overwrite=True replaces it", "out.mkv exists: --overwrite replaces it"),
        ("leave subtitles out (subtitles=False)", "leave subtitles out (--no-subtitles)"),
        ("give pix_fmt=FORMAT, or codec=NAME", "give --pix-fmt FORMAT, or --codec NAME"),
        ('use device="cpu" or scene_threshold=0.5', "use --device cpu or scene_threshold=0.5"),
        ("rate_out=RATE, image_rate=RATE", "--fps RATE, --input-fps RATE"),
        ("scene_threshold must be a number, not 2", "--scene-threshold must be a number, not 2"),
        ("factor must be at least 1, not 1/2", "factor must be at least 1, not 1/2"),
        ("OUT must be a video", "OUT must be a video"),
        ("/films/fps=RATE.mkv cannot be read", "/films/fps=RATE.mkv cannot be read"),
    ],
)
def test_messages_of_the_core_in_flags(message: str, translated: str) -> None:
    assert in_flags(message) == translated


def test_no_file_takes_the_place_of_a_closed_stream(folder: Path) -> None:
    """Encoders write to stderr whatever is there: it must not be the video."""
    code = (
        "import sys, vsrrin.cli.main as m; m.main(['models', 'inspect', 'none.pth']); x = open('x'); open('got', 'w')"
    )
    (folder / "x").touch()
    code += ".write(str(x.fileno()))"
    subprocess.run(["sh", "-c", f"{shlex.join([sys.executable, '-c', code])} <&- >&- 2>&-"], check=True, timeout=120)
    assert int((folder / "got").read_text()) > 2


def test_interrupting_is_quiet(folder: Path) -> None:
    os.mkfifo("slow.pth")
    with subprocess.Popen([*COMMAND, "models", "inspect", "slow.pth"], stderr=subprocess.PIPE) as child:
        writer = os.open("slow.pth", os.O_WRONLY)  # returns once the command opens it
        time.sleep(0.5)  # until it reads: of a file that is just being opened, Python warns that nobody closed it
        child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        assert child.stderr.read() == b""
        os.close(writer)
    assert child.returncode == 128 + signal.SIGINT


# models, models list


def test_the_list_names_every_network_in_lines_that_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = succeed("models")
    assert succeed("models", "list") == out
    rows = {line.split()[0]: line for line in out.splitlines() if not line.startswith(" ")}
    assert list(rows) == ["network", *(spec.name for spec in NETS)]
    for spec in NETS:
        with torch.device("meta"):
            parameters = sum(value.numel() for value in spec.default().parameters())
        assert f"{parameters / 1e6:.2f} M" in rows[spec.name]
        assert f" {spec.size_multiple} " in rows[spec.name]
        assert ("  any" in rows[spec.name]) == spec.arbitrary_t
        assert ("middle only (factor 2, 4, 8)" in rows[spec.name]) == (not spec.arbitrary_t)
        assert spec.upstream in out
    assert rows["rrin_lite"].endswith(" rrin_lite")
    assert rows["plain"].endswith("draft (no training)")
    assert rows["rrin"].endswith(" rrin_half")
    assert rows["cain"].endswith("none")
    assert "non-commercial research use" in out
    assert max(map(len, out.splitlines())) <= 120
    monkeypatch.setenv("COLUMNS", "80")
    narrow = succeed("models")
    assert max(map(len, narrow.splitlines())) <= 100
    assert len(narrow.splitlines()) > len(out.splitlines())
    assert narrow.split() == out.split()


def test_the_list_as_json(folder: Path) -> None:
    out = succeed("models", "--json")
    assert succeed("models", "list", "--json") == out
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert list(entries) == [spec.name for spec in NETS]
    for spec in NETS:
        for fact in ("paper", "upstream", "size_multiple", "arbitrary_t", "weights_licence", "weights_from"):
            assert entries[spec.name][fact] == getattr(spec, fact)
        assert entries[spec.name]["factors"] == (None if spec.arbitrary_t else [2, 4, 8])
    assert entries["rrin"]["parameters"] == 19_194_445
    assert entries["cain"]["bundled"] == []
    bundled = [weights for name in ("plain", "rrin", "rrin_lite", "srrin") for weights in entries[name]["bundled"]]
    trained = {weights["name"]: weights["trained"] for weights in bundled}
    assert trained == {"draft": False, "rrin_half": True, "rrin_lite": True, "srrin_half": True}
    for weights in bundled:
        sidecar = json.loads(loader.bundled()[weights["name"]].with_suffix(".json").read_text())
        assert (weights["licence"], weights["sha256"]) == (sidecar["licence"], sidecar["sha256"])


# models inspect


def test_inspecting_bundled_weights_by_name(folder: Path) -> None:
    report = facts(succeed("models", "inspect", "rrin_lite"))
    assert report["network"].startswith("rrin_lite (")
    assert report["tensors"] == "76, 1,589,380 values"
    assert report["sizes"] == "the usual ones of rrin_lite"
    assert report["arithmetic"] == "exact: the metadata of rrin_lite.safetensors (rrin_lite has exact)"
    assert "choose.first.0.weight (32, 129, 3, 3)" in report["recognised"]
    assert report["file"] == "rrin_lite.safetensors: safetensors, 76 float16"
    assert report["side-car"] == "rrin_lite.json, its sha256 agrees"
    assert not report["training data"].startswith("none")
    assert "keys missing: 162 (Mask.down_path.0.block.0.weight, " in report["not rrin"]


def test_inspecting_a_wrapped_file(folder: Path, state: dict[str, Tensor]) -> None:
    renamed = {f"module.{key.replace('Flow_L.', 'Flow.')}": value.half() for key, value in state.items()}
    torch.save({"state_dict": renamed, "epoch": 3}, "x.pth.tar")
    out = succeed("models", "inspect", "x.pth.tar", "--keys")
    report = facts(out)
    assert report["network"].startswith("rrin (")
    assert report["arithmetic"].startswith("published: no file says, and it is the usual one of rrin (rrin has ")
    assert report["sizes"].startswith(
        "not the usual ones of rrin: keys missing: 0; left over: 0; of another shape: 158"
    )
    assert report["wrapping"] == (
        "in a dict under 'state_dict', beside epoch; 'module.' before every key; keys Flow.* for Flow_L.*"
    )
    assert report["recognised"].startswith("by Mask.down_path.0.block.0.weight (4, 16, 3, 3), ")
    assert report["recognised"].endswith("; without beta")
    assert report["file"] == "x.pth.tar: torch (zip), 162 float16"
    assert report["side-car"] == "none"
    listed = [line.split(maxsplit=2) for line in out.splitlines()[-len(state) :]]
    assert listed == [[key, "float32", str(tuple(value.shape))] for key, value in state.items()]


def test_inspecting_what_is_unknown(folder: Path, state: dict[str, Tensor]) -> None:
    torch.save({**state, "more": torch.ones(1)}, "left_over.pth")
    status, out, err = run("models", "inspect", "left_over.pth")
    assert status == 1
    assert facts(out)["network"].startswith("rrin (")
    assert "does not fit rrin: keys missing: 0; left over: 1 (more)" in err
    torch.save(torch.nn.Linear(2, 2).state_dict(), "linear.pth")
    status, out, err = run("models", "inspect", "linear.pth")
    assert status == 1
    report = facts(out)
    assert report["network"] == "not known, see the message"
    assert [label for label in report if label.startswith("not ")] == [f"not {spec.name}" for spec in NETS]
    assert report["not rrin"].startswith("keys missing: 162 (")
    assert err.startswith("vsrrin: load: linear.pth: identify: these weights belong to no network vsrrin knows.")


def test_inspecting_a_file_that_its_side_car_does_not_describe(folder: Path, net: rrin.RRIN) -> None:
    path = folder / "mine.safetensors"
    loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar=SIDECAR)
    assert facts(succeed("models", "inspect", path.name))["side-car"] == "mine.json, its sha256 agrees"
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "sha256": "0" * 64}))
    status, out, err = run("models", "inspect", path.name)
    assert status == 1
    assert facts(out)["network"].startswith("rrin (")
    assert facts(out)["side-car"] == "mine.json, its sha256 does NOT agree"
    assert f"the side-car says {'0' * 64}" in err


def test_inspecting_what_cannot_be_read(folder: Path) -> None:
    (folder / "page.pth").write_text("<html>sign in</html>")
    assert "page.pth is damaged or not a checkpoint" in fail("models", "inspect", "page.pth")
    assert "no bundled weights are called rrin" in fail("models", "inspect", "rrin")
    (folder / "rrin").mkdir()  # now the name means the folder
    assert "the folder rrin holds no checkpoint" in fail("models", "inspect", "rrin")


# models convert


def test_converting_a_published_file(folder: Path, state: dict[str, Tensor]) -> None:
    torch.save({"model": state, "optim": {}, "epoch": 7}, "x.pth")
    out = succeed("models", "convert", "x.pth", "y.safetensors", "--source", "a friend")
    assert sorted(path.name for path in folder.iterdir()) == ["x.pth", "y.json", "y.safetensors"]
    sidecar = json.loads(Path("y.json").read_text())
    first, second = out.splitlines()
    assert first.startswith("y.safetensors: rrin, arithmetic published, 162 tensors as fp32, ")
    assert first.endswith(f"sha256 {sidecar['sha256']}")
    assert second == f"y.json: side-car; licence: {rrin.SPEC.weights_licence}"
    assert sidecar["source"] == "a friend"
    assert sidecar["created_with"] == f"vsrrin {vsrrin.__version__}"
    assert sidecar["converted_from"]["name"] == "x.pth"
    model = loader.load("y.safetensors")
    assert model.arithmetic == "published"
    assert all(torch.equal(model.net.state_dict()[key], value) for key, value in state.items())


def test_converting_says_why_not(folder: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, "x.pth")
    Path("y.json").write_text("{}")
    error = fail("models", "convert", "x.pth", "y.safetensors")
    assert error.startswith("vsrrin: convert: y.safetensors cannot be written: y.json exists;")
    assert Path("y.json").read_text() == "{}"
    assert "must end with .safetensors, got 'y.pth'" in fail("models", "convert", "x.pth", "y.pth", status=2)
    succeed("models", "convert", "x.pth", "y.safetensors", "--overwrite", "--arithmetic", "fork", "--dtype", "bf16")
    assert loader.load("y.safetensors").arithmetic == "fork"
    assert sorted(path.name for path in folder.iterdir()) == ["x.pth", "y.json", "y.safetensors"]


# Networks that are published in several files


def test_a_folder_of_parts(folder: Path, state: dict[str, Tensor]) -> None:
    parts = folder / "parts"
    parts.mkdir()
    torch.manual_seed(0)
    flow = RAFT(small=True).state_dict()
    torch.save({f"module.{key}": value for key, value in flow.items()}, parts / "raft-small.pth")
    error = run("models", "inspect", "parts")[2]
    assert "the folder parts does not hold the parts of raft_rrin: RRIN is missing (" in error
    torch.save(state, parts / "rrin.pth")
    report = facts(succeed("models", "inspect", "parts"))
    assert report["network"].startswith("raft_rrin (")
    assert report["arithmetic"].startswith(
        "published: files published as RRIN have it (raft_rrin has exact, published)"
    )
    assert report["recognised"].startswith("raft-small.pth as RAFT, by its keys as a whole rrin.pth as RRIN, by ")
    assert report["left out"] == "rrin.pth: Flow_L, RRIN's own estimate of flow"
    out = succeed("models", "convert", "parts", "whole.safetensors")
    assert out.startswith("whole.safetensors: raft_rrin, arithmetic published, ")
    loaded = loader.load("whole.safetensors").net.state_dict()
    assert torch.equal(loaded["raft.fnet.conv1.weight"], flow["fnet.conv1.weight"])
    assert torch.equal(loaded["Mask.last.bias"], state["Mask.last.bias"])


def test_help_explains_rates(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main.main(["convert", "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for part in ("--fps 60 ", "60000/1001", "slow motion", "vsrrin convert in.mkv out.mkv --fps 2x", "--resume", "143"):
        assert part in text
