"""Networks whose weights are published in several files: from a folder, each file told by its keys."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vsrrin.checkpoint import convert, inspection, loader
from vsrrin.errors import CheckpointError
from vsrrin.nets import NETS, rrin
from vsrrin.nets.bmbc import BMBC
from vsrrin.nets.parts.raft import RAFT
from vsrrin.nets.registry import by_name

State = dict[str, Tensor]

SIDECAR = {"training_data": "d", "metrics": "m", "licence": "ours", "source": "s", "created_with": "c"}


def small_bmbc() -> nn.Module:
    """A narrow BMBC."""
    torch.manual_seed(0)
    widths = (4, 4, 4, 4, 4, 4)
    return BMBC(context=2, widths=widths, dense=widths[:5], dilated=widths, channels=4, growth=2, blocks=2, layers=2)


def part(net: nn.Module, prefix: str) -> State:
    """The entries under a prefix, without it, as in a file of their own."""
    return {key.removeprefix(prefix): v.clone() for key, v in net.state_dict().items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return small_bmbc()


@pytest.fixture
def folder(net: nn.Module, tmp_path: Path) -> Path:
    """The three files of BMBC in torch's old format, as published, with something else beside them."""
    for name, prefix in (("context_layer", "context_layer."), ("BMNet_weights", "BMNet."), ("DFNet_weights", "DFNet.")):
        torch.save(part(net, prefix), tmp_path / f"{name}.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "README.txt").write_text("three files")
    return tmp_path


def refused(path: Path) -> str:
    """The text of the error that loading raises."""
    with pytest.raises(CheckpointError) as caught:
        loader.load(path)
    assert type(caught.value) is CheckpointError
    return str(caught.value)


def same(net: nn.Module, state: State) -> bool:
    """Whether a net has exactly these weights."""
    found = net.state_dict()
    return found.keys() == state.keys() and all(torch.equal(found[key], value) for key, value in state.items())


# BMBC


def test_three_files_make_one_network(net: nn.Module, folder: Path) -> None:
    model = loader.load(folder)
    assert model.spec is by_name("bmbc")
    assert same(model.net, net.state_dict())
    assert (model.name, model.path) == (folder.name, folder)
    parts = model.metadata["parts"]
    assert {name: facts["file"] for name, facts in parts.items()} == {
        "context_layer": "context_layer.pth",
        "BMNet": "BMNet_weights.pth",
        "DFNet": "DFNet_weights.pth",
    }
    assert {len(facts["sha256"]) for facts in parts.values()} == {64}
    assert "left_out" not in model.metadata
    assert loader.load(f"{folder}/").spec is model.spec


def test_parts_are_told_by_their_keys_not_their_names(net: nn.Module, folder: Path) -> None:
    (folder / "context_layer.pth").rename(folder / "a.tar")
    (folder / "BMNet_weights.pth").rename(folder / "context_layer.pth")
    (folder / "a.tar").rename(folder / "BMNet_weights.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in part(net, "DFNet.").items()}}, folder / "DFNet_weights.pth")
    assert same(loader.load(folder).net, net.state_dict())


def test_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert loader.load("./").name == folder.name
    assert loader.load(Path(".")).name == folder.name


def test_missing_parts_are_named(folder: Path) -> None:
    (folder / "DFNet_weights.pth").unlink()
    text = refused(folder)
    assert text.startswith(f"load: the folder {folder} does not hold the parts of bmbc: DFNet is missing (")
    assert "DFNet_weights.pth" in text
    (folder / "context_layer.pth").unlink()
    text = refused(folder)
    assert "context_layer is missing (" in text and "DFNet is missing (" in text and "BMNet is missing" not in text


def test_a_part_that_is_there_twice(folder: Path) -> None:
    (folder / "copy.pth").write_bytes((folder / "BMNet_weights.pth").read_bytes())
    text = refused(folder)
    assert text.endswith("parts of bmbc: BMNet is there more than once (BMNet_weights.pth, copy.pth); keep one.")


def test_a_file_that_is_no_part(folder: Path) -> None:
    torch.save(rrin.RRIN(width=2).state_dict(), folder / "other.pth")
    text = refused(folder)
    assert "other.pth is no part of it (a checkpoint of rrin)." in text
    assert "other.pth is a whole checkpoint of rrin: give the path of the file to use it." in text
    torch.save({"x": torch.ones(1)}, folder / "other.pth")
    assert refused(folder).endswith("parts of bmbc: other.pth is no part of it (weights not known).")


def test_a_folder_without_any_part(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "x.pth")
    text = refused(tmp_path)
    assert "holds no parts of a network (x.pth: weights not known)" in text
    networks = ", ".join(spec.name for spec in NETS if spec.parts)
    assert text.endswith(f"several files ({networks}); give the path of a file.")
    assert "bmbc" in networks


def test_a_damaged_part_is_named(folder: Path) -> None:
    (folder / "DFNet_weights.pth").write_bytes(b"<html>")
    assert f"load: {folder / 'DFNet_weights.pth'} is damaged or not a checkpoint" in refused(folder)


def test_a_part_of_another_size_or_with_a_key_too_few(net: nn.Module, folder: Path) -> None:
    first, last = [key for key in part(net, "DFNet.") if key.endswith("bias")][::3][:2]
    spoiled = part(net, "DFNet.")
    del spoiled[last]
    torch.save({**spoiled, "more": torch.ones(1)}, folder / "DFNet_weights.pth")
    assert f"does not fit bmbc: keys missing: 1 (DFNet.{last}); left over: 1 (DFNet.more)" in refused(folder)
    torch.save({**part(net, "DFNet."), first: torch.zeros(7)}, folder / "DFNet_weights.pth")
    assert f"DFNet.{first}: float32 (7,), not float32 (" in refused(folder)
    spoiled = {key: value for key, value in part(net, "BMNet.").items() if not key.startswith("conv5a")}
    torch.save(part(net, "DFNet."), folder / "DFNet_weights.pth")
    torch.save(spoiled, folder / "BMNet_weights.pth")
    text = refused(folder)
    assert "does not fit bmbc" in text and "BMNet.conv5a.0.weight" in text


@pytest.mark.parametrize("name", ["context_layer", "BMNet_weights", "DFNet_weights"])
def test_one_part_alone_says_what_else_is_needed(folder: Path, name: str) -> None:
    text = refused(folder / f"{name}.pth")
    said, _, needed = text.partition("Also needed: ")
    assert "this is one part of bmbc: " in said and f"{name}.pth" in said.removeprefix(f"load: {folder}/{name}.pth")
    assert all(
        (f"{other}.pth" in needed) == (other != name) for other in ("context_layer", "BMNet_weights", "DFNet_weights")
    )
    assert "Put the files into a folder of their own and give the folder." in needed


def test_what_is_said_of_a_part_must_be_true(folder: Path) -> None:
    (folder / "BMNet_weights.json").write_text(json.dumps({"architecture": "cain"}))
    assert "BMNet_weights.pth holds weights of bmbc, but its metadata says bmbc and its side-car cain" in refused(
        folder
    )
    (folder / "BMNet_weights.json").write_text(json.dumps({"sha256": "0"}))
    assert "is not the file that its side-car BMNet_weights.json describes" in refused(folder)


def test_inspection_of_a_folder(folder: Path) -> None:
    found = inspection.inspect(folder)
    assert found.problems == ()
    assert found.found is not None and found.found.spec.name == "bmbc"
    reasons = dict(found.reasons)
    assert reasons["BMNet_weights.pth"].startswith("BMNet, by conv1a.0.weight (4, 3, 3, 3)")
    assert reasons["context_layer.pth"].startswith("context_layer, by weight (2, 3, 7, 7)")
    assert {file.container for file in found.files} == {"torch (old format)"}
    (folder / "DFNet_weights.pth").unlink()
    partial = inspection.inspect(folder)
    assert partial.found is None
    assert "DFNet is missing" in partial.problems[0]
    assert "context_layer.pth: weight" in partial.state


def test_conversion_of_a_folder(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    out = folder / "whole.safetensors"
    done = convert.convert(folder, out, created_with="test")
    assert done.spec.name == "bmbc"
    sidecar = json.loads(done.path.with_suffix(".json").read_text())
    assert sidecar["converted_from"]["parts"]["BMNet"]["file"] == "BMNet_weights.pth"
    assert sidecar["licence"] == by_name("bmbc").weights_licence
    assert same(loader.load(out).net, net.state_dict())
    text = refused(folder)  # which now holds the whole beside its parts
    assert "whole.safetensors is no part of it (a checkpoint of bmbc)" in text


# RAFT and RRIN


@pytest.fixture
def flow_net() -> nn.Module:
    torch.manual_seed(1)
    return RAFT(small=True)


@pytest.fixture
def mixed(flow_net: nn.Module, tmp_path: Path) -> Path:
    """A folder with RAFT as its authors save it and a narrow RRIN as the fork's trainer does."""
    torch.manual_seed(0)
    torch.save({f"module.{key}": value for key, value in flow_net.state_dict().items()}, tmp_path / "raft-small.pth")
    other = {key.replace("Flow_L.", "Flow."): value for key, value in rrin.RRIN(width=4).state_dict().items()}
    torch.save({"model": other, "optim": {}, "epoch": 1}, tmp_path / "rrin.pth")
    return tmp_path


def test_raft_and_rrin_make_one_network(flow_net: nn.Module, mixed: Path) -> None:
    model = loader.load(mixed)
    assert model.spec is by_name("raft_rrin")
    assert model.arithmetic == "published"
    state = model.net.state_dict()
    expected = {f"raft.{key}": value for key, value in flow_net.state_dict().items()}
    expected |= {k: v for k, v in loader.read(mixed / "rrin.pth").items() if not k.startswith("Flow_L.")}
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    assert {name: facts["file"] for name, facts in model.metadata["parts"].items()} == {
        "RAFT": "raft-small.pth",
        "RRIN": "rrin.pth",
    }
    assert "Flow_L" in model.metadata["left_out"]


def test_arithmetic_is_that_of_the_parts(mixed: Path) -> None:
    assert loader.load(mixed, arithmetic="exact").arithmetic == "exact"
    (mixed / "rrin.json").write_text('{"arithmetic": "exact", "architecture": "rrin"}')
    assert loader.load(mixed).arithmetic == "exact"
    (mixed / "raft-small.json").write_text('{"arithmetic": "published"}')
    assert "different arithmetics: raft-small.pth 'published', rrin.pth 'exact'. Name one" in refused(mixed)
    assert loader.load(mixed, arithmetic="exact").arithmetic == "exact"
    (mixed / "raft-small.json").unlink()
    (mixed / "rrin.json").write_text('{"arithmetic": "fork"}')
    text = refused(mixed)
    assert "rrin.pth was made for arithmetic 'fork', which this version does not know for raft_rrin" in text


def test_our_own_rrin_is_a_part_too(mixed: Path) -> None:
    (mixed / "rrin.pth").unlink()
    loader.save(rrin.RRIN("exact", width=4), rrin.SPEC, mixed / "ours.safetensors", arithmetic="exact", sidecar=SIDECAR)
    model = loader.load(mixed)
    assert (model.spec.name, model.arithmetic) == ("raft_rrin", "exact")


def test_raft_alone_says_what_else_is_needed(mixed: Path) -> None:
    text = refused(mixed / "raft-small.pth")
    assert "this is one part of raft_rrin: a checkpoint of RAFT" in text
    assert "Also needed: a checkpoint of RRIN (" in text
    (mixed / "rrin.pth").unlink()
    assert "RRIN is missing (a checkpoint of RRIN" in refused(mixed)


def test_rrin_alone_in_a_folder_is_pointed_to(mixed: Path) -> None:
    (mixed / "raft-small.pth").unlink()
    text = refused(mixed)
    assert "does not hold the parts of raft_rrin: RAFT is missing (" in text
    assert text.endswith("By itself, rrin.pth is a whole checkpoint of rrin: give the path of the file to use it.")
    assert loader.load(mixed / "rrin.pth").spec is rrin.SPEC


def test_two_rafts_and_a_srrin(mixed: Path) -> None:
    (mixed / "again.pth").write_bytes((mixed / "raft-small.pth").read_bytes())
    state = loader.read(mixed / "rrin.pth")
    torch.save({**state, "beta": torch.ones(1)}, mixed / "rrin.pth")
    text = refused(mixed)
    assert "RAFT is there more than once (again.pth, raft-small.pth); keep one" in text
    assert "RRIN is missing" in text
    assert "rrin.pth is no part of it (a checkpoint of srrin)" in text


def test_nothing_in_a_part_is_dropped_in_silence(mixed: Path) -> None:
    state = loader.read(mixed / "rrin.pth")
    torch.save({**state, "more": torch.ones(1)}, mixed / "rrin.pth")
    assert "does not fit raft_rrin: keys missing: 0; left over: 1 (more)" in refused(mixed)


def test_conversion_of_raft_and_rrin(flow_net: nn.Module, mixed: Path) -> None:
    done = convert.convert(mixed, mixed / "whole.safetensors", created_with="test")
    sidecar = json.loads(done.path.with_suffix(".json").read_text())
    assert (done.spec.name, sidecar["arithmetic"]) == ("raft_rrin", "published")
    assert sidecar["licence"] == by_name("raft_rrin").weights_licence
    assert "Flow_L" in sidecar["converted_from"]["left_out"]
    assert sorted(sidecar["converted_from"]["parts"]) == ["RAFT", "RRIN"]
    again = loader.load(done.path)
    assert (again.spec.name, again.arithmetic) == ("raft_rrin", "published")
    assert torch.equal(again.net.state_dict()["raft.fnet.conv1.weight"], flow_net.state_dict()["fnet.conv1.weight"])


def test_the_large_raft_with_its_doubled_norms_is_saved_and_loaded(mixed: Path) -> None:
    torch.manual_seed(2)
    large = RAFT(small=False).eval()
    torch.save({f"module.{key}": value for key, value in large.state_dict().items()}, mixed / "raft-small.pth")
    done = convert.convert(mixed, mixed / "whole.safetensors", created_with="test", dtype="fp16")
    state = loader.load(done.path).net.state_dict()
    for key, value in large.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(state[f"raft.{key}"], expected), key
    assert any(key.endswith("num_batches_tracked") for key in state)
