"""Compared methods, made from their names and options.

A method is a text like ``rrin_lite:backend=openvino:precision=bf16``: a name, then options.

- A name of bundled weights, of a network or the path of a checkpoint: `vsrrin.interpolate` with this model; options are
  its arguments. ``vsrrin`` names no model and takes the filter's default. Networks without bundled weights get random
  ones, the same everywhere: their times are real, quality is not measured.
- ``rrin-eager`` (or another network's name with ``-eager``): the network as it is published: float32 in plain PyTorch,
  the whole of it for every new frame, padded to multiples of 32.
- ``rife-4.0``, ``rife-4.2x``: see :mod:`.networks`; options ``backend`` and ``precision``.
- ``mvtools``: FlowFPS. ``svpflow``: open-svpflow. See :mod:`.filters`.
- ``minterpolate``: that of the program ffmpeg; options are its own. See :mod:`.ffmpeg`.
"""

from pathlib import Path

from .method import EAGER, FILTERS, PEERS, PROGRAM, Method, UnavailableError, parse

# What a method needs is imported when it is made: memory is that of a process that holds nothing else.

DEFAULT = (
    "draft",
    "balanced:backend=torch:precision=fp32",
    "balanced:backend=torch:precision=bf16",
    "balanced:backend=openvino:precision=bf16",
    "balanced:backend=openvino:precision=int8",
    "rrin_lite:backend=torch:precision=fp32",
    "rrin_lite:backend=torch:precision=bf16",
    "rrin_lite:backend=openvino:precision=fp32",
    "rrin_lite:backend=openvino:precision=bf16",
    "rrin_lite:backend=openvino:precision=int8",
    "rrin-eager",
    "rrin:backend=torch:precision=bf16",
    "rrin:backend=openvino:precision=bf16",
    "rife-4.0:backend=torch:precision=fp32",
    "rife-4.0:backend=torch:precision=bf16",
    "rife-4.0:backend=openvino:precision=fp32",
    "rife-4.0:backend=openvino:precision=bf16",
    "rife-4.0:backend=openvino:precision=mixed",
    "mvtools",
    "svpflow",
    "minterpolate",
    "minterpolate:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1",
)


def make(text: str, folder: Path) -> Method:
    """Make a method from its text.

    Args:
        text: See `parse`.
        folder: For files such as random weights.

    Raises:
        UnavailableError: Something it needs is not installed.
    """
    name, options = parse(text)
    if options.get("precision") in ("bf16", "mixed"):
        from vsrrin.engine.backends.processor import multiplies_bf16

        if not multiplies_bf16():
            raise UnavailableError("this processor does not multiply bf16: PyTorch emulates it, OpenVINO takes fp32")
    if name == PROGRAM:
        from . import ffmpeg

        return ffmpeg.make(options)
    if name in PEERS or name.endswith(EAGER):
        from . import networks

        return networks.make(name, options)
    from . import filters

    if name in FILTERS:
        return {"mvtools": filters.mvtools, "svpflow": filters.svpflow}[name]()
    return filters.own(name, options, folder)
