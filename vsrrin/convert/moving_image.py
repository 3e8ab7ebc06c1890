"""Conversion to a moving image: GIF, APNG or animated WebP.

Frames are made as those of a folder of images, so an interrupted run can be continued frame by frame; the file is
written when all are there. All kinds hold 8 bits per sample, and GIF 256 colours and transparent pixels or opaque ones.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import vapoursynth as vs

from vsrrin import files
from vsrrin.errors import ArgumentError, ConvertError

from . import prepare, speed
from .animations import writing
from .image_folder import FolderConversion, Images
from .media.losses import tag_losses
from .prepare import Settings
from .work_folder import WorkFolder

_SHORTEST = {"GIF": Fraction(2, 100), "APNG": Fraction(11, 1000), "WebP": Fraction(11, 1000)}
"""Seconds of a frame; browsers show those of less for `_SHOWN`."""
_SHOWN = Fraction(1, 10)
_LONGEST = {"GIF": Fraction(65535, 100), "APNG": Fraction(65535), "WebP": Fraction((1 << 24) - 1, 1000)}
"""Seconds of a frame that can be said."""
_MOST_PLAYS = 65535
_VIDEO_QUALITY = 85


class MovingImageConversion(FolderConversion):
    """Prepared conversion to a moving image; nothing is written before it runs.

    Args:
        settings: Settings of the conversion; of those of encoders, WebP takes ``crf``: 100 less its quality.
        images: The source if it is a folder of images.

    Attributes:
        form: The kind of file.
        plays: Times that it is played; 0 for ever.
        quality: Quality of a WebP; ``None`` for lossless.
        losses: Those of the notes that are about what is lost.

    Raises:
        VsrrinError: The source, a setting, the target or the model cannot be used, or frames would last too short.
    """

    unit = "frames"

    def __init__(self, settings: Settings, images: Images | None = None) -> None:
        self.form = writing.FORMS[settings.target.suffix.lower()]
        self.losses: list[str] = []
        _check_encoder(settings, self.form)
        super().__init__(settings, images)
        if self.source.clip.num_frames == 1:
            raise ConvertError(f"{settings.source} has one picture, which does not move: write a video, or a folder")
        times = speed.output_times(settings.rates, self.source, self.frames)
        self.duration = times.duration
        self.rate = times.rate if times.step is not None else None
        self._tick = writing.unit(self.form, times.time_base)
        self._ticks = [int(times.seconds(n) / self._tick + Fraction(1, 2)) for n in range(self.frames + 1)]
        self._check_times()
        pictures = images is not None or self.source.plays is not None
        self.quality = None if pictures or self.form != "WebP" else _VIDEO_QUALITY
        if settings.crf is not None:
            self.quality = None if settings.crf == 0 else round(100 - settings.crf)
        self.plays = min(self.source.plays or 0, _MOST_PLAYS)
        if self.plays == 1 and settings.loop:
            self.plays = 0

    def publish(self, work: WorkFolder) -> None:
        """Write the file from its frames, read it, and only then give it its name.

        Raises:
            ConvertError: The file cannot be written, is not whole, or its name was taken meanwhile.
        """
        target = self.settings.target
        joined = work.path / f"joined{target.suffix.lower()}"
        timing = speed.timing(self.settings.rates, self.source)
        with files.explained(target):
            try:
                writing.write(
                    joined,
                    self.form,
                    [self._path(work.path, number) for number in range(self.frames)],
                    sources=lambda number: timing.at(number).is_source,
                    ticks=self._ticks,
                    tick=self._tick,
                    plays=self.plays,
                    quality=self.quality,
                )
                files.publish({joined: target}, overwrite=self.settings.overwrite)
            finally:
                joined.unlink(missing_ok=True)
        work.remove()

    def _check_target(self, settings: Settings) -> None:
        prepare.check_target(settings)

    def _check_times(self) -> None:
        """Check that every frame is shown as long as browsers need, and not longer than the file can say."""
        lasting = [(after - before) * self._tick for before, after in pairwise(self._ticks)]
        target, form, least, shortest = self.settings.target, self.form, min(lasting), _SHORTEST[self.form]
        if max(lasting) > _LONGEST[form]:
            raise ConvertError(
                f"{target}: a frame would be shown for {float(max(lasting)):.0f} s, longer than {form} says"
            )
        if least >= shortest:
            return
        brief = (
            f"frames would be shown for {float(least):.3g} s, and browsers show those of less than {float(shortest)} s"
        )
        if form != "GIF":
            self.notes += (f"{brief} for {float(_SHOWN)} s",)
            return
        rate = self.source.clip.num_frames / self.source.duration
        slower = 'fps="50" makes as many as a GIF can show; or ' if rate < 50 else ""
        raise ArgumentError(
            f"{target}: {brief} in a GIF for {float(_SHOWN)} s: {slower}write .webp or .apng, which can show more"
        )

    def _notes(self, first: vs.VideoFrame) -> Iterator[str]:
        source, form = self.source, self.form
        yield from source.notes
        if form == "GIF":
            yield "a GIF has 256 colours, and times in hundredths of a second"
        if "_Alpha" in first.props and form == "GIF":
            yield "pixels that are transparent by less than half become opaque, all others fully transparent"
        if source.plays == 1 and self.settings.loop:
            yield "the source is played once, and the new file for ever, as it is a loop"
        self.losses += self._lost(first)
        yield from self.losses

    def _lost(self, first: vs.VideoFrame) -> Iterator[str]:
        info, form = self.source.info, self.form
        others = {"cover picture" if stream.is_picture else stream.kind for stream in info.others}
        if others := others | ({"chapters"} if info.chapters else set()):
            yield f"left out, as {form} holds none: {', '.join(sorted(others))}"
        yield from tag_losses("the file", info.metadata, {}, f"{form} has no place for {{}}")
        if self._profile:
            yield "the colour profile of the images is left out"
        if self.bits > 8:
            yield "samples of more than 8 bits become such of 8"
        if abs(info.sample_aspect - 1) > Fraction(1, 100):
            yield f"pixels of the source are {info.sample_aspect} times as wide as high; {form} does not say so"
        if first.props.get("_Transfer") in (16, 18):
            yield f"HDR: samples stay as they are, and {form} does not say that they are PQ or HLG"


def _check_encoder(settings: Settings, form: str) -> None:
    """Refuse settings of encoders of videos."""
    given = [name for name in ("codec", "preset", "pix_fmt") if getattr(settings, name) is not None]
    if given:
        raise ArgumentError(f"{given[0]} is for videos: {settings.target} is a {form}, which has one way to be written")
    if settings.crf is not None and form != "WebP":
        raise ArgumentError(f"crf is for videos and WebP: {form} is written without loss of quality by an encoder")
    if settings.crf is not None and not 0 <= settings.crf <= 100:
        raise ArgumentError(f"crf must be from 0 (lossless) to 100 for WebP, not {settings.crf:g}")
