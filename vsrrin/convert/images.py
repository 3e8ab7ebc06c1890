"""Folders of images, read as clips and written as PNGs.

Images are decoded when their frame is requested, so any number of them can be read in any order. Values stay as they
are encoded (sRGB is not made linear), pictures are turned upright by their EXIF orientation, and alpha stays straight,
as the frames' ``_Alpha``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vsrrin import files
from vsrrin.errors import ConvertError

from .image_headers import Header, read_header

type Picture = NDArray[Any]
"""uint8 or uint16: (H, W) grey, (H, W, 3) colour or (H, W, 4) with alpha; OpenCV's order, BGRA."""

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_SHOWN = 3
_SRGB = {"_Matrix": vs.MATRIX_RGB, "_Primaries": vs.PRIMARIES_BT709, "_Transfer": 13, "_Range": 1}
_GREY = {"_Primaries": vs.PRIMARIES_BT709, "_Transfer": 13, "_Range": 1}


@dataclass(frozen=True, kw_only=True)
class ImageClip:
    """A folder of images as a clip.

    Attributes:
        folder: The folder.
        files: The images in the order of the frames.
        clip: RGB24, RGB48, GRAY8 or GRAY16; its frames carry ``_Alpha`` if any image has alpha.
        has_alpha: Whether any image has alpha; those without are opaque.
        profile: The ICC profile of the first image, which stands for all.
        notes: Messages for the user about the folder.
    """

    folder: Path
    files: tuple[Path, ...]
    clip: vs.VideoNode
    has_alpha: bool
    profile: bytes | None
    notes: tuple[str, ...]


def read_folder(path: Path, fps: Fraction = Fraction(24)) -> ImageClip:
    """Return a clip of the images in a folder, in natural order (img2 before img10).

    Only the headers of the images are read. Size and bits per sample must be the same for all; grey images among
    coloured ones become coloured.

    Args:
        path: The folder; files other than images are left out, and named in the notes.
        fps: The rate at which the images are shown.

    Raises:
        ConvertError: There is no such folder, it has no images, or one is damaged or differs from the first.
    """
    files, notes = _list_images(path)
    headers = [read_header(file) for file in files]
    _require_alike(files, headers)
    notes += _describe(files, headers)
    first = headers[0]
    target = _Target(first.depth, all(h.grey for h in headers), any(h.alpha for h in headers))
    profile = _profile(files[0], first) if first.grey == target.grey else None
    return ImageClip(
        folder=path,
        files=tuple(files),
        clip=_clip(files, headers, target, fps),
        has_alpha=target.alpha,
        profile=profile,
        notes=tuple(notes),
    )


def natural_key(name: str) -> tuple[tuple[tuple[float, str], ...], str]:
    """Return a key that sorts names as people do: numbers by value and before letters, letters in any case."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return tuple((int(part), "") if part.isdecimal() else (inf, part) for part in parts), name


@dataclass(frozen=True)
class _Target:
    """The form that every image is turned into."""

    depth: int
    grey: bool
    alpha: bool

    @property
    def formats(self) -> tuple[int, int]:
        """VapourSynth's formats of the clip and of its alpha."""
        grey = vs.GRAY8 if self.depth == 8 else vs.GRAY16
        return (grey if self.grey else vs.RGB24 if self.depth == 8 else vs.RGB48), grey


def _list_images(path: Path) -> tuple[list[Path], list[str]]:
    if not path.is_dir():
        raise ConvertError(f"the folder {path} does not exist")
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise ConvertError(f"the folder {path} cannot be read: {error.strerror}") from error
    files = [entry for entry in entries if entry.suffix.lower() in EXTENSIONS and entry.is_file()]
    files.sort(key=lambda file: natural_key(file.name))
    if not files:
        raise ConvertError(f"the folder {path} holds no images ({', '.join(EXTENSIONS)})")
    for before, after in pairwise(sorted(files, key=lambda file: file.stem)):
        if before.stem == after.stem:
            raise ConvertError(f"{before} and {after.name} have the same name: keep one of them in the folder")
    others = sorted(entry.name for entry in set(entries) - set(files))
    notes = [f"left out, not images: {_some(others)}"] if others else []
    return files, notes + _gaps([file.stem for file in files])


def _gaps(stems: Sequence[str]) -> list[str]:
    """Return a note on missing numbers, where all names are one text with a number at its end."""
    found = [re.fullmatch(r"(.*?)(\d+)", stem) for stem in stems]
    if not all(found) or len({match[1].lower() for match in found if match}) != 1:
        return []
    numbers = [int(match[2]) for match in found if match]
    gaps = [
        f"{before + 1}" if after == before + 2 else f"{before + 1} to {after - 1}"
        for before, after in pairwise(numbers)
        if after > before + 1
    ]
    return [f"numbers missing, the images beside them are taken as neighbours: {_some(gaps)}"] if gaps else []


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _require_alike(files: Sequence[Path], headers: Sequence[Header]) -> None:
    first = headers[0]
    for file, header in zip(files, headers, strict=True):
        if header.size != first.size:
            was, must = (f"{width}x{height}" for width, height in (header.size, first.size))
        elif header.depth != first.depth:
            was, must = (f"{depth} bits per sample" for depth in (header.depth, first.depth))
        else:
            continue
        raise ConvertError(
            f"{file} has {was}, but the first image, {files[0].name}, has {must}: all must be alike; "
            "give each kind a folder of its own"
        )


def _describe(files: Sequence[Path], headers: Sequence[Header]) -> list[str]:
    notes = []
    if len(forms := Counter(header.form for header in headers)) > 1:
        notes.append(f"images of several kinds: {', '.join(f'{count} {form}' for form, count in forms.items())}")
    if len({header.grey for header in headers}) > 1:
        notes.append("grey images among colour ones: all become colour")
    if len({header.alpha for header in headers}) > 1:
        odd = next(file for file, header in zip(files, headers, strict=True) if not header.alpha)
        notes.append(f"some images have no alpha ({odd.name} is the first): they are opaque")
    if any(header.profile for header in headers):
        notes.append("the colour profiles of TIFF files are not kept")
    return notes


def _clip(files: Sequence[Path], headers: Sequence[Header], target: _Target, fps: Fraction) -> vs.VideoNode:
    width, height = headers[0].size
    colours, alpha = (
        vs.core.std.BlankClip(
            width=width, height=height, format=form, length=len(files), fpsnum=fps.numerator, fpsden=fps.denominator,
            keep=True,
        )
        for form in target.formats
    )  # fmt: skip
    step = 1 / fps
    props = {**(_GREY if target.grey else _SRGB), "_DurationNum": step.numerator, "_DurationDen": step.denominator}

    known = [_state(file) for file in files]

    def load(n: int, f: vs.VideoFrame, number: int) -> vs.VideoFrame:
        if _state(files[number]) not in (known[number], None):
            raise ConvertError(f"{files[number]} has changed since the work began: begin again with overwrite=True")
        picture = decode(files[number], headers[number])
        frame = frame_of(_planes(picture, target.grey), colours.format)
        if target.alpha:
            frame.props["_Alpha"] = frame_of([_alpha(picture)], alpha.format)
        frame.props.update(props)
        return frame

    # A node for each frame: one node alone would decode one image at a time.
    single = colours[0]
    return colours.std.FrameEval(lambda n: single.std.ModifyFrame(single, partial(load, number=n)))


def _state(file: Path) -> tuple[int, int] | None:
    """Return size and time of change of a file; ``None`` if it is gone, which its decoder says."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def frame_of(planes: Iterable[Picture], form: vs.VideoFormat) -> vs.VideoFrame:
    """Return a frame made of planes."""
    arrays = list(planes)
    height, width = arrays[0].shape
    frame = vs.core.create_video_frame(form, width, height)
    for plane, array in enumerate(arrays):
        np.copyto(np.asarray(frame[plane]), array)
    return frame


def _planes(picture: Picture, grey: bool) -> list[Picture]:
    """Return the planes, R, G, B or grey, of a decoded image; decoders give some grey images as colour."""
    if picture.ndim == 2:
        return [picture] * (1 if grey else 3)
    return [picture[..., 1]] if grey else [picture[..., channel] for channel in (2, 1, 0)]


def _alpha(picture: Picture) -> Picture:
    if picture.ndim == 3 and picture.shape[2] == 4:
        return picture[..., 3]
    return np.full(picture.shape[:2], np.iinfo(picture.dtype).max, picture.dtype)


def decode(file: Path, header: Header) -> Picture:
    """Decode an image and turn it upright.

    Args:
        file: The image.
        header: Its header.

    Raises:
        ConvertError: It is damaged, or not what its header says.
    """
    # OpenCV multiplies the colours of some TIFFs by alpha, and fails on some that are not upright.
    through_ffmpeg = header.form == "TIFF" and (header.alpha or header.orientation != 1)
    picture = _decode_with_ffmpeg(file, header) if through_ffmpeg else _decode_with_opencv(file)
    picture = _upright(picture, header.orientation)
    depth = picture.dtype.itemsize * 8
    if (picture.shape[1], picture.shape[0]) != header.size or depth != header.depth:
        raise ConvertError(f"{file} is damaged: its picture is not what its header says")
    return picture


def _decode_with_opencv(file: Path) -> Picture:
    # Not by name: OpenCV cannot open all names on all systems.
    try:
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError) as error:
        raise ConvertError(f"{file} cannot be decoded: {error}") from error
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise ConvertError(f"{file} is damaged and cannot be decoded")
    return picture


def _decode_with_ffmpeg(file: Path, header: Header) -> Picture:
    name = f"{'gray' if header.grey and not header.alpha else 'bgra' if header.depth == 8 else 'rgba64le'}"
    if header.grey and not header.alpha and header.depth == 16:
        name = "gray16le"
    try:
        # Not by name, in which FFmpeg would take "%03d" for a number.
        with file.open("rb") as data, av.open(BytesIO(data.read()), "r") as container:
            picture = next(container.decode(video=0)).to_ndarray(format=name)
    except (av.FFmpegError, OSError, StopIteration, ValueError) as error:
        raise ConvertError(f"{file} is damaged and cannot be decoded: {error}") from error
    if name == "rgba64le":
        picture = picture[..., [2, 1, 0, 3]]
    if header.premultiplied:
        picture = _straight(picture)
    return picture


def _straight(picture: Picture) -> Picture:
    """Divide colours by alpha; fully transparent pixels become black."""
    peak = np.iinfo(picture.dtype).max
    alpha = picture[..., 3:].astype(np.float64)
    colours = np.divide(picture[..., :3] * float(peak), alpha, out=np.zeros((*picture.shape[:2], 3)), where=alpha > 0)
    straight = picture.copy()
    straight[..., :3] = np.minimum(np.rint(colours), peak)
    return straight


def _upright(picture: Picture, orientation: int) -> Picture:
    """Undo an EXIF orientation (1 to 8)."""
    if orientation in (5, 6, 7, 8):
        picture = np.swapaxes(picture, 0, 1)
    if orientation in (3, 4, 7, 8):
        picture = picture[::-1]
    if orientation in (2, 3, 6, 7):
        picture = picture[:, ::-1]
    return picture


def _profile(file: Path, header: Header) -> bytes | None:
    """Return the ICC profile of an image, ``None`` if it has none that can be kept."""
    if header.form == "TIFF":
        return None
    _, kinds, chunks = cv2.imdecodeWithMetadata(np.fromfile(file, np.uint8), flags=cv2.IMREAD_UNCHANGED)
    found = dict(zip(kinds, chunks, strict=False))
    return found[cv2.IMAGE_METADATA_ICCP].tobytes() if cv2.IMAGE_METADATA_ICCP in found else None


def write_png(frame: vs.VideoFrame, path: Path, profile: bytes | None = None) -> None:
    """Write a frame as a PNG, with its ``_Alpha`` if it has one; the file is complete or not there.

    Args:
        frame: A frame in RGB or GRAY of 8 or 16 bits, full range.
        path: The file; one that exists is replaced.
        profile: An ICC profile to put into it.

    Raises:
        ConvertError: It cannot be written.
    """
    files.write(path, _encode(_picture(frame), profile))


def _picture(frame: vs.VideoFrame) -> Picture:
    planes = [np.asarray(frame[plane]) for plane in range(frame.format.num_planes)]
    alpha = frame.props.get("_Alpha")
    if alpha is None:
        return np.stack(planes[::-1], axis=-1) if len(planes) == 3 else planes[0]
    colours = planes[::-1] if len(planes) == 3 else planes * 3  # OpenCV has no grey with alpha
    return np.stack([*colours, np.asarray(alpha[0])], axis=-1)


def _encode(picture: Picture, profile: bytes | None) -> bytes:
    if profile is None:
        done, data = cv2.imencode(".png", picture)
    else:
        chunk = np.frombuffer(profile, np.uint8)
        done, data = cv2.imencodeWithMetadata(".png", picture, [cv2.IMAGE_METADATA_ICCP], [chunk])
    if not done:
        raise ConvertError("a picture could not be encoded as PNG")
    return bytes(data.tobytes())
