"""Damaged files that trials have found: each is converted, or refused with a reason."""

from pathlib import Path

import pytest

from tests.convert.media.files import bunny
from vsrrin import ConvertError
from vsrrin.convert.convert_file import convert_file


def test_headers_that_no_decoder_opens(tmp_path: Path) -> None:
    film = bunny(tmp_path, "film.ogv", "-c:v", "libtheora", frames=4)
    data = bytearray(film.read_bytes())
    tables = data.index(b"\x82theora") + 7
    data[tables : tables + 64] = bytes(64)
    film.write_bytes(data)
    with pytest.raises(ConvertError, match=r"film\.ogv: no picture can be decoded from its video"):
        convert_file(film, tmp_path / "out.mkv", model="draft")
    assert not (tmp_path / "out.mkv").exists()
