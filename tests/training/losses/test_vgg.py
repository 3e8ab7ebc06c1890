"""The perceptual loss."""

from pathlib import Path

import pytest
import torch

from tests.training.losses.pairs import batch_of, pictures
from training.errors import RecipeError
from training.losses import vgg
from training.losses.weighted import make_loss


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG with a few channels, so that its file is small."""
    monkeypatch.setattr(vgg, "_WIDTHS", tuple(width // 16 for width in vgg._WIDTHS))


def write_weights(path: Path) -> None:
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in vgg.vgg_features().state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, path)


@pytest.mark.usefixtures("narrow")
def test_the_perceptual_loss_is_a_difference_of_features(tmp_path: Path) -> None:
    write_weights(tmp_path / "vgg.pth")
    prediction, target = pictures()
    loss = make_loss({"vgg": 1.0}, vgg_weights=tmp_path / "vgg.pth")
    assert float(loss(target, batch_of(target))[0]) == 0
    total, _ = loss(prediction.requires_grad_(), batch_of(target))
    (found,) = torch.autograd.grad(total, prediction)
    assert float(found.abs().max()) > 0


def test_the_features_are_those_of_vgg_19() -> None:
    layers = [layer for layer in vgg.vgg_features() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 4
    assert vgg.vgg_features()[25].out_channels == 512  # conv4_4 is features.25 in torchvision
    assert len(vgg.vgg_features()) == 27


def test_weights_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match=r"loss\.vgg: there is no file .*hub/checkpoints/vgg19-dcbb9e9d\.pth"):
        make_loss({"vgg": 1.0})


@pytest.mark.usefixtures("narrow")
def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(RecipeError, match=r"loss\.vgg: .*other\.pth does not hold torchvision's weights of VGG-19"):
        make_loss({"vgg": 1.0}, vgg_weights=path)
    write_weights(path)
    state = torch.load(path)
    torch.save({name: value[:1] for name, value in state.items()}, path)
    with pytest.raises(RecipeError, match="layers differ in size"):
        make_loss({"vgg": 1.0}, vgg_weights=path)
