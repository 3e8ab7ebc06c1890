"""vsrrin.engine.options: each option is checked wherever the object is made."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import pytest

from vsrrin.engine.options import Options
from vsrrin.errors import ArgumentError

WRONG: list[tuple[str, object, str]] = [
    *(
        ("scale", value, "scale must be a number from 0.25 to 1")
        for value in (0.2, 1.1, 0, -1, "half", True, float("nan"))
    ),
    *(
        ("tile", value, "tile must be a side")
        for value in (-1, 63, (64,) * 3, (64, 32), "512", 100.0, True, (0, 128), [], False)
    ),
    *(("overlap", value, "overlap must be a number of pixels") for value in (-1, 1.5, "64", True)),
    *(("batch", value, "batch must be a whole number from 1") for value in (0, -1, 1.5, "2", True, None)),
    *(("scene", value, "scene must be one of 'auto', 'props', 'detect', 'off'") for value in ("never", None, 1, [])),
    *(("at_cut", value, "at_cut must be one of 'hold', 'nearest', 'blend'") for value in ("morph", None, ())),
    *(("precision", value, "precision must be one of 'auto', 'fp32', 'fp16', 'bf16'") for value in ("fp8", [], None)),
    *(
        ("backend", value, "backend must be one of 'auto', 'torch', 'openvino', 'compile', 'graphs'")
        for value in ("trt", 1)
    ),
    *(
        ("scene_threshold", value, "scene_threshold must be a number above 0 and up to 1")
        for value in (0, -1, 1.01, "high", True, float("nan"))
    ),
    *(
        ("device", value, "device must be the name of a device, a list of such names, or None")
        for value in ([], ["cpu", None])
    ),
    ("arithmetic", ["exact"], "arithmetic must be a text"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=str)
def test_wrong_values_are_refused_with_what_is_allowed(name: str, value: object, words: str) -> None:
    for make in (lambda: Options(**{name: value}), lambda: replace(Options(), **{name: value})):  # type: ignore[arg-type]
        with pytest.raises(ArgumentError) as caught:
            make()
        assert words in str(caught.value) and repr(value) in str(caught.value)


def test_good_values_are_kept_in_one_form() -> None:
    assert [Options(tile=value).tile for value in (None, 0, 512, (640, 480), [640, 480])] == [  # type: ignore[arg-type]
        None,
        0,
        512,
        (640, 480),
        (640, 480),
    ]
    assert [Options(overlap=value).overlap for value in (None, 0, 64)] == [None, 0, 64]
    scales = [Options(scale=value).scale for value in (None, 1, 0.25, Fraction(1, 2))]  # type: ignore[arg-type]
    assert scales == [None, 1.0, 0.25, 0.5]
    assert [Options(device=value).devices for value in (None, "cpu", ["cpu"], ["cuda:0", "cuda:1"])] == [
        (None,),
        ("cpu",),
        ("cpu",),
        ("cuda:0", "cuda:1"),
    ]


def test_options_do_not_change_and_go_by_name() -> None:
    with pytest.raises(FrozenInstanceError):
        Options().tile = 512  # type: ignore[misc]
    with pytest.raises(TypeError):
        Options("draft")  # type: ignore[misc]
    assert Options(device=["cpu"]) == Options(device="cpu")
