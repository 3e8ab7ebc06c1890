"""VapourSynth filters as methods of the benchmark: vsrrin, mvtools, open-svpflow.

All get the same clip, 8-bit 4:2:0, give such a clip back, and are asked for all frames up to the last source frame,
several at a time as vspipe asks.

- mvtools: FlowFPS with the settings of :mod:`training.measure.methods`.
- open-svpflow (Apache-2.0), a free implementation of SVPflow's interface, with its default settings. It takes 4:2:0
  only, so for its quality colours are halved first, which the others are spared.
"""

import inspect
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vapoursynth as vs

from scripts.benchmarks.clips import Source, load_clip

from .method import Options, Sample, UnavailableError

if TYPE_CHECKING:
    from training.measure.triplets import Picture

type Graph = Callable[[vs.VideoNode, int], vs.VideoNode]
"""A clip and a factor to the clip with that many times the frames."""


class FilterMethod:
    """Filter of VapourSynth, asked for frames and timed.

    Args:
        graph: The filter to time.
        scored_graph: The filter whose quality is measured, if that is another one; it need not look for cuts.
        scored_format: The format to which pictures are converted for it.
        counted_graph: The same network in PyTorch, whose operations can be counted.
        network_seconds: Measures the bare network.
        scored: Whether its quality means anything.
    """

    least_frames = 2

    def __init__(
        self,
        graph: Graph,
        *,
        scored_graph: Graph | None = None,
        scored_format: vs.PresetVideoFormat = vs.RGB24,
        counted_graph: Graph | None = None,
        network_seconds: Callable[[Source, int], float] | None = None,
        scored: bool = True,
    ) -> None:
        self._graph, self._scored_graph, self._scored_format = graph, scored_graph or graph, scored_format
        self._counted_graph, self._network_seconds, self.scored = counted_graph, network_seconds, scored
        self._clips: dict[str, vs.VideoNode] = {}

    def timed(self, source: Source, frames: int, factor: int) -> Sample:
        """See `.method.Method`."""
        return self._run(self._graph, source, frames, factor)

    def alone(self, source: Source, frames: int) -> float | None:
        """See `.method.Method`."""
        return self._network_seconds(source, frames) if self._network_seconds else None

    def flop(self, source: Source, factor: int) -> float | None:
        """See `.method.Method`."""
        if self._counted_graph is None:
            return None
        from .limits import convolution_flop

        new = [0]

        def run() -> None:
            assert self._counted_graph is not None
            new[0] = self._run(self._counted_graph, source, 2, factor).new

        return convolution_flop(run) / max(new[0], 1)

    def picture(self, left: "Picture", right: "Picture", t: Fraction) -> "Picture":
        """See `.method.Method`."""
        from training.measure.vs_clips import to_clip, to_picture

        clip = to_clip((left, right))
        if self._scored_format != vs.RGB24:
            clip = clip.resize.Bicubic(format=self._scored_format, matrix=vs.MATRIX_BT709)
        clip = self._scored_graph(clip, t.denominator)
        with clip.resize.Bicubic(format=vs.RGB24).get_frame(t.numerator) as frame:
            return to_picture(frame)

    def _run(self, graph: Graph, source: Source, frames: int, factor: int) -> Sample:
        if source.path not in self._clips:
            self._clips = {source.path: load_clip(source)}
        # A new graph each time, or VapourSynth would answer from its frame cache; built before the clock starts. After
        # the last source frame there is nothing to interpolate towards.
        output = graph(self._clips[source.path][:frames], factor)[: (frames - 1) * factor + 1]
        new = 0
        begin = end = time.perf_counter(), time.process_time()
        for number, frame in enumerate(output.frames(close=True)):
            new += number % factor != 0 and frame.props.get("_VSRRIN_Kind", "new") == "new"
            # Not after the loop: VapourSynth ends it with a garbage collection, which PyTorch makes long.
            end = time.perf_counter(), time.process_time()
        return Sample(end[0] - begin[0], end[1] - begin[1], new)


# --- vsrrin --------------------------------------------------------------------------------------------------------


def own(name: str, options: Options, folder: Path) -> FilterMethod:
    """Make the method that is `vsrrin.interpolate`, whose arguments are the options.

    Raises:
        UnavailableError: It has no such argument.
    """
    import vsrrin
    from scripts.models.random_weights import random_model, save_model
    from vsrrin.checkpoint import loader
    from vsrrin.nets import NETS
    from vsrrin.nets.registry import by_name

    known = inspect.signature(vsrrin.interpolate).parameters
    arguments: dict[str, Any] = {key: value_of(value) for key, value in options.items()}
    for key in arguments:
        if key not in known:
            raise UnavailableError(f"vsrrin.interpolate has no argument {key}")
    random = name in {spec.name for spec in NETS} - set(loader.bundled())
    if name != "vsrrin":
        arguments["model"] = str(save_model(random_model(by_name(name)), folder)) if random else name

    def graph(**more: Any) -> Graph:
        return lambda clip, factor: vsrrin.interpolate(clip, factor, **more)

    return FilterMethod(
        graph(**arguments),
        scored_graph=graph(**{"scene": "off"} | arguments),
        counted_graph=graph(**arguments | {"backend": "torch"}),
        scored=not random,
    )


def value_of(text: str) -> int | float | str:
    """Return the number that a text is, or else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# --- others --------------------------------------------------------------------------------------------------------


def mvtools() -> FilterMethod:
    """Make the method that is FlowFPS of mvtools.

    Raises:
        UnavailableError: The plugin is not installed.
    """
    if not hasattr(vs.core, "mv"):
        raise UnavailableError("mvtools is not installed; install it with: pip install vapoursynth-mvtools")

    def graph(clip: vs.VideoNode, factor: int) -> vs.VideoNode:
        mv = vs.core.mv
        pyramid = mv.Super(clip, pel=2)
        vectors = [mv.Analyse(pyramid, isb=backward, blksize=16, overlap=8) for backward in (True, False)]
        vectors = [mv.Recalculate(pyramid, found, blksize=8, overlap=4) for found in vectors]
        rate = clip.fps * factor
        return mv.FlowFPS(clip, pyramid, *vectors, num=rate.numerator, den=rate.denominator, thscd2=255)

    return FilterMethod(graph, scored_format=vs.YUV444P16)


def svpflow() -> FilterMethod:
    """Make the method that is SmoothFps of open-svpflow on the CPU.

    Raises:
        UnavailableError: Its plugins are not installed.
    """
    if not (hasattr(vs.core, "svp1") and hasattr(vs.core, "svp2")):
        raise UnavailableError("open-svpflow is not installed; install it with: pip install open-svpflow")

    def graph(clip: vs.VideoNode, factor: int) -> vs.VideoNode:
        pyramid = vs.core.svp1.Super(clip, "{gpu:0}")
        vectors = vs.core.svp1.Analyse(pyramid["clip"], pyramid["data"], clip, "{}")
        rate = f"{{rate:{{num:{factor},den:1}}}}"
        return vs.core.svp2.SmoothFps(clip, pyramid["clip"], pyramid["data"], vectors["clip"], vectors["data"], rate)

    return FilterMethod(graph, scored_format=vs.YUV420P8)
