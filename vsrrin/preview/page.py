"""A page for browsers that shows source and new frames of one place over one another, with maps and figures.

It is one file that asks for nothing else: pictures are in it, without loss, and its rules forbid anything from outside.
What a file's name holds is text on it, never markup.
"""

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from itertools import count

from PIL import Image

import vsrrin

from . import sheet
from .findings import Finding, facts_of_place, facts_of_settings, findings, name, source_name
from .pair import Pair, Shown
from .sheet import Picture

_LARGEST_WEBP = 16_383
"""Largest side of a WebP file in pixels."""
_WHEEL = 96


def page(pairs: Sequence[Pair]) -> str:
    """Return the page of what several settings make at one place, as HTML.

    Args:
        pairs: What each of the settings makes, see :func:`vsrrin.preview.pair.pairs`.
    """
    pictures = _Pictures()
    names = list(_names(pairs))
    data = _data(pairs, names, pictures)
    script, style = (resources.files(__package__).joinpath(f"page.{end}").read_text("utf-8") for end in ("js", "css"))
    first = pairs[0]
    values = {
        "version": _text(vsrrin.__version__),
        "title": _text(first.wanted.source.name),
        "place": _text(f"frames {dict(facts_of_place(first))['frames']}"),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "wheel": _address(sheet.wheel(_WHEEL)),
        "rows": "\n".join(_rows(pairs, names)),
        "facts": "\n".join(_facts(pairs, names)),
        "pictures": "\n".join(pictures.figures()),
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    template = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return re.sub(r"{{(\w+)}}", lambda found: values[found[1]], template)  # at once: values may hold braces


@dataclass
class _Pictures:
    """Pictures of the page; equal ones are there once."""

    found: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """Identifiers and captions by address."""

    def add(self, picture: Picture, caption: str) -> str:
        """Return the identifier of a picture."""
        identifier, captions = self.found.setdefault(_address(picture), (f"picture{len(self.found)}", []))
        if caption not in captions:
            captions.append(caption)
        return identifier

    def figures(self) -> Iterator[str]:
        """Yield all pictures with their captions."""
        for address, (identifier, captions) in self.found.items():
            caption = _text("; ".join(captions))
            yield (
                f'<figure><figcaption>{caption}</figcaption><img id="{identifier}" src="{address}" alt="{caption}">'
                "</figure>"
            )


@dataclass(frozen=True, kw_only=True)
class _Take:
    """What one side of the slider can show.

    Attributes:
        key: Its name in addresses.
        name: What people call it.
        texts: What it shows, for each output frame.
        frames: Layers of each output frame: identifier of the picture, opacity.
        maps: Maps by name; ``None`` for what no network has made.
        blend: Whether it is a blend, which is not shown side by side with the others.
    """

    key: str
    name: str
    texts: list[str]
    frames: Sequence[Sequence[tuple[str, float]]]
    maps: dict[str, dict[str, object]] | None = None
    blend: bool = False


def _data(pairs: Sequence[Pair], names: Sequence[str], pictures: _Pictures) -> dict[str, object]:
    """Return what the script knows."""
    first, source = pairs[0], pairs[0].source
    factor, starts = first.wanted.factor, source.times.starts
    shown = {n: picture for pair in pairs for n, picture in zip(pair.between, pair.sources, strict=True)}
    sources = {n: pictures.add(shown[n], source_name(first, n)) for n in sorted(shown)}
    before = [_of_source(first, n, sources[n]) for n in sources if n <= first.left]
    after = [_of_source(first, n, sources[n]) for n in sources if n > first.left]
    settings = [_of_setting(n, pair, title, pictures) for n, (pair, title) in enumerate(zip(pairs, names, strict=True))]
    takes = [*before, *settings, *after, _blended(first, *(sources[n] for n in first.between))]
    return {
        "width": source.clip.width,
        "height": source.clip.height,
        "factor": factor,
        "seconds": float(starts[first.left + 1] - starts[first.left]),
        "takes": [asdict(take) for take in takes],
        "maps": list(dict.fromkeys(each for take in settings for each in take.maps or {})),
    }


def _of_source(pair: Pair, number: int, picture: str) -> _Take:
    text, frames = source_name(pair, number), pair.wanted.factor + 1
    return _Take(key=f"source{number}", name=text, texts=[text] * frames, frames=[[(picture, 1)]] * frames)


def _of_setting(number: int, pair: Pair, title: str, pictures: _Pictures) -> _Take:
    texts = [_name(pair, k, shown) for k, shown in enumerate(pair.shown)]
    captions = [
        text if shown.kind == "source" else f"{title}: {text}" for shown, text in zip(pair.shown, texts, strict=True)
    ]
    frames = [[(pictures.add(shown.picture, caption), 1)] for shown, caption in zip(pair.shown, captions, strict=True)]
    maps = {found.name: _map(found, title, pictures) for found in findings(pair)}
    return _Take(key=str(number), name=title, texts=texts, frames=frames, maps=maps)


def _map(found: Finding, title: str, pictures: _Pictures) -> dict[str, object]:
    caption = f"{title}: {found.name}, {found.meaning}"
    return {"picture": pictures.add(found.picture, caption), "meaning": found.meaning, "flow": found.of_flow}


def _blended(pair: Pair, left: str, right: str) -> _Take:
    """Return both source frames of motion, mixed by the time between them."""
    first, following = pair.between
    times = [(pair.left + k / pair.wanted.factor - first) / (following - first) for k in range(pair.wanted.factor + 1)]
    return _Take(
        key="blend",
        name="both source frames blended",
        texts=[f"blended at t = {t:.4g}" for t in times],
        frames=[[(left, 1), (right, t)] for t in times],
        blend=True,
    )


def _names(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield a name of its own for each of the settings."""
    used: set[str] = set()
    for pair in pairs:
        wanted = _visible(pair.wanted.settings)
        own = next(each for n in count(1) if (each := f"{wanted} ({n})" if n > 1 else wanted) not in used)
        used.add(own)
        yield own


def _name(pair: Pair, k: int, shown: Shown) -> str:
    return source_name(pair, pair.left + bool(k)) if shown.kind == "source" else name(pair, shown)


def _rows(pairs: Sequence[Pair], names: Sequence[str]) -> Iterator[str]:
    for pair, title in zip(pairs, names, strict=True):
        for k, shown in enumerate(pair.shown):
            number = pair.wanted.factor * pair.left + k
            taken = f"{1000 * shown.seconds:.0f} ms" if shown.kind == "new" else ""
            cells = (title, str(number), _name(pair, k, shown))
            yield (
                "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + f'<td class="number">{taken}</td></tr>'
            )


def _facts(pairs: Sequence[Pair], names: Sequence[str]) -> Iterator[str]:
    of_place = [*facts_of_place(pairs[0]), *(("note", note) for note in pairs[0].notes)]
    groups = zip(names, map(facts_of_settings, pairs), strict=True)
    for title, group in (("", of_place), *groups):
        if title:
            yield f"<h3><bdi>{_text(title)}</bdi></h3>"
        rows = (f"<dt>{_text(subject)}</dt><dd><bdi>{_text(text)}</bdi></dd>" for subject, text in group)
        yield f"<dl>{'\n'.join(rows)}</dl>"


def _text(text: str) -> str:
    """Return a text as HTML."""
    return html.escape(_visible(text))


def _visible(text: str) -> str:
    """Return a text in which what cannot be seen, or turns what follows, is written as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _hash(text: str) -> str:
    """Return what lets a browser run a script or use a style, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _address(picture: Picture) -> str:
    """Return a picture as an address that holds it, without loss."""
    if max(picture.shape) > _LARGEST_WEBP:
        kind, data = "png", sheet.png(picture)
    else:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "WEBP", lossless=True, method=0, quality=0)
        kind, data = "webp", file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
