"""vsrrin.engine.pool: each network is loaded once."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vsrrin.checkpoint import loader
from vsrrin.engine import pool as models
from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError, BackendError, CheckpointError, UnknownNetError, VsrrinError
from vsrrin.nets import rrin
from vsrrin.nets.bmbc import BMBC

SIDECAR = dict.fromkeys(loader.SIDECAR_GIVEN, "test")

Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> OrderedDict[tuple[object, ...], models.Shared]:
    """An empty cache for each test."""
    empty: OrderedDict[tuple[object, ...], models.Shared] = OrderedDict()
    monkeypatch.setattr(models, "_kept", empty)
    return empty


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were really loaded."""
    done: list[str] = []
    original = loader.load

    def load(model: Any, **options: Any) -> loader.Model:
        done.append(Path(model).stem)
        return original(model, **options)

    monkeypatch.setattr(loader, "load", load)
    return done


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a narrow RRIN whose weights come from a seed."""

    def write(name: str, seed: int = 0, **changes: str) -> Path:
        torch.manual_seed(seed)
        path = tmp_path / f"{name}.safetensors"
        net = rrin.RRIN("exact", width=2).eval()
        loader.save(net, rrin.SPEC, path, arithmetic="exact", sidecar={**SIDECAR, **changes})
        # File systems keep time more coarsely than tests run.
        for file in (path, path.with_suffix(".json")):
            os.utime(file, ns=(1_000_000_000 * (seed + 1),) * 2)
        return path

    return write


def first_weight(shared: models.Shared) -> torch.Tensor:
    return next(shared.model.net.parameters())


def test_a_network_is_loaded_once_whatever_name_it_is_asked_by(
    save: Save, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save("mine")
    first = models.shared(Options(model=path))
    monkeypatch.chdir(path.parent)
    assert models.shared(Options(model=str(path))) is first
    assert models.shared(Options(model="./mine.safetensors")) is first
    assert models.shared(Options(model=path.parent / "." / path.name)) is first
    assert models.shared(Options(model=path, device=first.backend.device)) is first
    assert loads == ["mine"]


def test_bundled_name_and_path_of_the_bundled_file_are_one(loads: list[str]) -> None:
    assert models.shared(Options(model="rrin_lite")) is models.shared(Options(model=loader.bundled()["rrin_lite"]))
    assert loads == ["rrin_lite"]


def test_what_is_asked_of_it_makes_another(save: Save, loads: list[str]) -> None:
    path = save("mine")
    plain = models.shared(Options(model=path, device="cpu", precision="fp32"))
    half = models.shared(Options(model=path, device="cpu", precision="bf16"))
    published = models.shared(Options(model=path, device="cpu", precision="fp32", arithmetic="published"))
    assert len({id(shared) for shared in (plain, half, published)}) == 3
    assert (plain.model.arithmetic, published.model.arithmetic) == ("exact", "published")
    assert len(loads) == 3
    assert first_weight(half).dtype == torch.float32  # the checkpoint itself is as it was read


@pytest.mark.parametrize("rewritten", ["weights", "side-car"])
def test_a_file_that_was_written_again_is_loaded_again(save: Save, loads: list[str], rewritten: str) -> None:
    path = save("mine", 0)
    before = models.shared(Options(model=path))
    if rewritten == "weights":
        save("mine", 1)
    else:
        sidecar = path.with_suffix(".json")
        sidecar.write_text(sidecar.read_text().replace('"licence": "test"', '"licence": "other"'))
        assert "other" in sidecar.read_text()
    after = models.shared(Options(model=path))
    assert after is not before
    assert after is models.shared(Options(model=path))
    assert loads == ["mine", "mine"]
    assert torch.equal(first_weight(before), first_weight(after)) == (rewritten == "side-car")
    assert after.model.metadata["licence"] == ("test" if rewritten == "weights" else "other")


def test_a_folder_is_loaded_again_when_a_file_in_it_changes(tmp_path: Path, loads: list[str]) -> None:
    torch.manual_seed(0)
    widths = (4, 4, 4, 4, 4, 4)
    net = BMBC(context=2, widths=widths, dense=widths[:5], dilated=widths, channels=4, growth=2, blocks=2, layers=2)
    folder = tmp_path / "weights"
    folder.mkdir()
    parts = {"context_layer": net.context_layer, "BMNet": net.BMNet, "DFNet": net.DFNet}
    for name, part in parts.items():
        torch.save(part.state_dict(), folder / f"{name}.pth")
    first = models.shared(Options(model=folder))
    (folder / "README.txt").write_text("of no matter")
    assert models.shared(Options(model=f"{folder}{os.sep}")) is first
    with torch.no_grad():
        net.context_layer.weight.add_(1)
    torch.save(net.context_layer.state_dict(), folder / "context_layer.pth")
    os.utime(folder / "context_layer.pth", ns=(5, 5))
    second = models.shared(Options(model=folder))
    assert second is not first
    assert torch.equal(second.model.net.state_dict()["context_layer.weight"], net.context_layer.weight)
    assert loads == ["weights", "weights"]
    (folder / "DFNet.pth").unlink()
    with pytest.raises(CheckpointError, match="DFNet is missing"):
        models.shared(Options(model=folder))


def test_no_more_than_four_are_kept_and_the_least_recently_used_goes(
    save: Save, loads: list[str], kept: OrderedDict[tuple[object, ...], models.Shared]
) -> None:
    paths = [save(name) for name in "abcde"]
    for path in paths[:4]:
        models.shared(Options(model=path))
    models.shared(Options(model=paths[0]))  # now b is the least recently used
    models.shared(Options(model=paths[4]))
    assert len(kept) == 4
    loads.clear()
    for name in "cdea":
        models.shared(Options(model=paths["abcde".index(name)]))
    assert loads == []
    models.shared(Options(model=paths[1]))
    assert loads == ["b"]
    assert len(kept) == 4


def test_threads_that_ask_at_once_get_the_same_network(save: Save, loads: list[str]) -> None:
    paths = [save("a"), save("b")]
    barrier = threading.Barrier(8)

    def ask(number: int) -> models.Shared:
        barrier.wait(30)
        return models.shared(Options(model=paths[number % 2]))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len({id(shared) for shared in found}) == 2
    assert all(found[n] is found[n % 2] for n in range(8))
    assert [found[0].model.name, found[1].model.name] == [path.name for path in paths]
    assert sorted(loads) == ["a", "b"]


def test_networks_on_one_device_do_not_push_out_those_of_another(
    save: Save, kept: OrderedDict[tuple[object, ...], models.Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(name: Any) -> torch.device:
        return torch.device("cuda", 1) if name == "cuda:1" else torch.device("cpu")

    monkeypatch.setattr(models, "resolve_device", place)
    monkeypatch.setattr(models, "make_backend", lambda name, net, spec, device, dtype: SimpleNamespace(device=device))
    paths = [save(name) for name in "abcdef"]
    elsewhere = models.shared(Options(model=paths[0], device="cuda:1", precision="fp32"))
    for path in paths:
        models.shared(Options(model=path, device="cpu", precision="fp32"))
    assert len(kept) == 4 + 1
    assert models.shared(Options(model=paths[0], device="cuda:1", precision="fp32")) is elsewhere
    several = models.shared_by(Options(model=paths[5], device=["cpu", "cuda:1"], precision="fp32"))
    assert [each.backend.device.type for each in several] == ["cpu", "cuda"]


def broken(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:100])
    return path


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"device": "cuda:99"}, BackendError),
        ({"device": "toaster"}, ArgumentError),
        ({"precision": "fp8"}, ArgumentError),
        ({"arithmetic": "mental"}, ArgumentError),
    ],
    ids=["absent device", "no device", "precision", "arithmetic"],
)
def test_failures_are_not_kept(
    save: Save,
    kept: OrderedDict[tuple[object, ...], models.Shared],
    options: dict[str, str],
    kind: type[VsrrinError],
) -> None:
    path = save("mine")
    for _ in range(2):
        with pytest.raises(kind):
            models.shared_by(Options(model=path, **options))  # type: ignore[arg-type]
    assert not kept
    assert models.shared(Options(model=path)).model.spec is rrin.SPEC


def test_a_damaged_file_is_refused_until_it_is_repaired(save: Save) -> None:
    path = broken(save("mine"))
    for _ in range(2):
        with pytest.raises(CheckpointError, match="is not the file that its side-car"):
            models.shared(Options(model=path))
    assert models.shared(Options(model=save("mine"))).model.path == path


def test_an_unknown_name_is_refused(kept: OrderedDict[tuple[object, ...], models.Shared]) -> None:
    with pytest.raises(UnknownNetError, match="nonesuch"):
        models.shared(Options(model="nonesuch"))
    assert not kept
