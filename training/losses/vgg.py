"""Perceptual loss on features of VGG-19, whose weights are read from a file; nothing is downloaded.

Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, configuration
E; the loss as in Niklaus and Liu, "Softmax splatting for video frame interpolation", CVPR 2020, section 3.3.
"""

import os
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn

from training.errors import RecipeError

FILE = "vgg19-dcbb9e9d.pth"
"""Name under which torchvision publishes the weights."""
_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512)
"""Channels of the convolutions up to relu4_4; 0 halves the picture."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggLoss(nn.Module):
    """Mean squared difference of the features relu4_4.

    Args:
        path: The file of the weights; without it `FILE` is looked for where PyTorch keeps such files, in the folder
            hub/checkpoints of $TORCH_HOME or of ~/.cache/torch.

    Raises:
        RecipeError: The file is missing, or holds something else.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        path = default_path() if path is None else path
        self.features = vgg_features()
        self.features.load_state_dict(_read(path, self.features.state_dict()))
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (N, 3, H, W), [0, 1]."""
        if next(self.parameters()).device != target.device:
            self.to(target.device)
        with torch.no_grad():
            wanted = self._seen(target)
        return F.mse_loss(self._seen(prediction), wanted)

    def _seen(self, picture: Tensor) -> Tensor:
        features: Tensor = self.features((picture - self.mean) / self.std)
        return features


def vgg_features() -> nn.Sequential:
    """Return the layers of VGG-19 up to relu4_4, numbered as in torchvision."""
    layers: list[nn.Module] = []
    channels = 3
    for width in _WIDTHS:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def default_path() -> Path:
    """Return the file in which PyTorch keeps the weights."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch"
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints" / FILE


def _read(path: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights of the layers that are used."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = {name: state[f"features.{name}"] for name in wanted}
    except FileNotFoundError:
        raise RecipeError(
            f"loss.vgg: there is no file {path} with the weights of VGG-19; put torchvision's {FILE} there, or leave "
            f"the weight of vgg out"
        ) from None
    except Exception as error:  # whatever a damaged file makes of the reader
        raise RecipeError(f"loss.vgg: {path} does not hold torchvision's weights of VGG-19 ({error!r})") from None
    if any(found[name].shape != tensor.shape for name, tensor in wanted.items()):
        raise RecipeError(f"loss.vgg: {path} does not hold torchvision's weights of VGG-19: layers differ in size")
    return found
