"""vsrrin.proxy: what a script gets."""

from typing import Any

import pytest
import vapoursynth as vs

import vsrrin
from tests.any_order import check_any_order
from tests.conftest import same_picture


@pytest.mark.parametrize(
    "arguments", [{}, {"factor": "5/2"}, {"fps": 60, "at_cut": "nearest"}, {"factor": 3, "duplicates": "spread"}]
)
def test_everything_but_the_pictures_is_as_interpolate_has_it(bunny: vs.VideoNode, arguments: dict[str, Any]) -> None:
    clip = (bunny[22:28] + bunny[:4].std.Invert()).resize.Bicubic(160, 96)
    wanted = vsrrin.interpolate(clip, **{"model": "draft", **arguments})
    proxy = vsrrin.proxy(clip, **{"model": "draft", **arguments})
    assert (proxy.num_frames, proxy.fps, proxy.format.id) == (wanted.num_frames, wanted.fps, wanted.format.id)
    for ours, theirs in zip(proxy.frames(), wanted.frames(), strict=True):
        assert dict(ours.props) == dict(theirs.props)
        props = theirs.props
        late = props["_VSRRIN_Kind"] == "new" and 2 * props["_VSRRIN_TNum"] > props["_VSRRIN_TDen"]
        if props["_VSRRIN_Kind"] in ("new", "source"):
            assert same_picture(ours, clip.get_frame(props["_VSRRIN_Right" if late else "_VSRRIN_Left"]))


def test_any_order_gives_the_same_frames(small_bunny: vs.VideoNode) -> None:
    check_any_order(lambda: vsrrin.proxy(small_bunny, 3, duplicates="spread"))


def test_no_network_is_loaded_and_bad_arguments_are_errors(bunny: vs.VideoNode) -> None:
    assert vsrrin.proxy(bunny, model="there_is_none.pth").get_frame(1).props["_VSRRIN_Kind"] == "new"
    with pytest.raises(vs.Error, match=r"^vsrrin.proxy: factor must be at least 1"):
        vsrrin.proxy(bunny, "1/2")
