"""A source that several modules of tests convert."""

from pathlib import Path

import pytest

from tests.convert.media.files import bunny, ffmpeg

FONT = bytes(range(256)) * 20
SRT = "1\n00:00:00,200 --> 00:00:00,700\nOne <i>moment</i>\n\n2\n00:00:01,000 --> 00:00:01,500\nTwo\n"


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska file with everything: two sound tracks, subtitles, chapters, a font, a cover, a title."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "font.ttf").write_bytes(FONT)
    (folder / "texts.srt").write_text(SRT)
    chapters = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n"
        for start, end, title in ((0, 400, "Opening"), (400, 2000, "The rest"))
    )
    (folder / "facts.txt").write_text(f";FFMETADATA1\ntitle=A film\n{chapters}")
    ffmpeg(folder, "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", "cover.png")
    inputs = ("-f", "lavfi", "-i", "sine=440:d=2", "-f", "lavfi", "-i", "sine=880:d=2:r=44100")
    inputs += ("-i", "texts.srt", "-i", "facts.txt")
    return bunny(
        folder,
        "rich.mkv",
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-map", "3", "-map_metadata", "4", "-map_chapters", "4"),
        *("-c:a:0", "flac", "-c:a:1", "pcm_s16le", "-ac:a:1", "2", "-c:s", "srt"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Deutsch", "-disposition:a:0", "0"),
        *("-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Commentary", "-disposition:a:1", "default"),
        *("-metadata:s:s:0", "language=fra", "-disposition:s:0", "forced"),
        *("-attach", "font.ttf", "-metadata:s:t:0", "mimetype=application/x-truetype-font"),
        *("-attach", "cover.png", "-metadata:s:t:1", "mimetype=image/png", "-metadata:s:t:1", "filename=cover.png"),
        inputs=inputs,
        frames=50,
    )
