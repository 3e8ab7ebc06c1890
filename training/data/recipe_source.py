"""Source of samples that a recipe describes, and the summary of its data that goes beside the weights."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.errors import DatasetError
from training.recipe import DataTable

from .batch import Source


def open_source(data: DataTable, seed: int) -> Source:
    """Open the source of samples of a recipe.

    Args:
        data: The recipe's description of its data.
        seed: Seed of the samples.

    Raises:
        DatasetError: A folder or file is missing, damaged, or of an unknown form.
    """
    # Here and not above: who only wants to know what a recipe says needs no decoder.
    from training.data.banks.samples import BankSource, GrowingMotion

    from .flat_samples import FlatSource
    from .mixed_samples import MixedSource
    from .real_samples import RealSource, Sampling
    from .shots import open_photos, open_shots
    from .synthetic_samples import SyntheticSource

    if data.bank is not None:
        motion = GrowingMotion(data.motion, data.motion_doubles) if data.motion else None
        return BankSource(Path(data.bank), crop=data.crop, seed=seed, times=data.times, motion=motion)
    sampling = Sampling(
        crop=data.crop,
        largest_gap=data.largest_gap,
        candidates=data.candidates,
        hard=data.hard,
        times=data.times,
        flow_preset=data.flow_preset,
        flow_scale=data.flow_scale,
        margin=data.margin,
    )
    parts: list[tuple[Source, float]] = []
    real = round(1 - data.synthetic - data.flat, 9)
    if real > 0:
        shots = [shot for folder in data.shots for shot in open_shots(Path(folder)).shots]
        parts.append((RealSource(shots, sampling, seed), real))
    photos = [] if data.photos is None or data.synthetic + data.flat == 0 else open_photos(Path(data.photos))
    if data.synthetic > 0:
        parts.append((SyntheticSource(photos, sampling, seed), data.synthetic))
    if data.flat > 0:
        parts.append((FlatSource(photos, sampling, seed), data.flat))
    return parts[0][0] if len(parts) == 1 else MixedSource(parts)


def describe(data: DataTable) -> str:
    """Return the data of a recipe and its licences in short, as the manifests beside it state them.

    Raises:
        DatasetError: A folder or file is missing, or a manifest is damaged.
    """
    named = [*data.shots, *([data.photos] if data.photos is not None and data.synthetic + data.flat > 0 else [])]
    if data.bank is not None:
        named = [data.bank]
    return "; ".join(_described(Path(name)) for name in named)


def _described(path: Path) -> str:
    if not path.exists():
        raise DatasetError(f"there is no {path}, which the recipe names under data")
    manifest = path / "manifest.json" if path.is_dir() else path.with_suffix(".json")
    if not manifest.is_file():
        return f"{path.name} (licence not stated)"
    try:
        content = json.loads(manifest.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{manifest} cannot be read: {error}; make the dataset again") from None
    stated = content.get("licences") if isinstance(content, Mapping) else None
    # A bank has counted them, other manifests name them shot by shot or picture by picture.
    found = Counter(stated) if isinstance(stated, Mapping) else Counter(_licences(content))
    if not found:
        return f"{path.name} (licence not stated)"
    return f"{path.name} ({'; '.join(f'{count} x {licence}' for licence, count in found.most_common())})"


def _licences(content: Any) -> Iterator[str]:
    """Yield every text under "licence", in order."""
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if name == "licence" and isinstance(value, str) and value:
            yield value
        else:
            yield from _licences(value)
    for value in content if isinstance(content, list) else ():
        yield from _licences(value)
