"""Logs of a run: log.csv, scalars and pictures for TensorBoard, progress on stderr."""

import csv
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from training.errors import TrainingError
from vsrrin.preview.motion_maps import Maps
from vsrrin.preview.sheet import flow_colours, grey

_QUIET_SECONDS = 30.0
"""Between lines of progress where stderr is no terminal."""
_ERROR_WHITE = 0.25
"""Absolute error that is white in pictures."""


class CsvLog:
    """Table of numbers with a line every some steps; columns without a value stay empty.

    Args:
        path: The file.
        columns: Their names, ``step`` first.
        after: Lines of later steps, which a run that was killed has written, are taken out.

    Raises:
        TrainingError: The file cannot be read, or is of another run.
    """

    def __init__(self, path: Path, columns: Sequence[str], after: int) -> None:
        self._columns = list(columns)
        kept = [line for line in read_log(path) if int(line["step"]) <= after] if after and path.exists() else []
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        try:
            path.write_text(text.getvalue(), "utf-8")
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise TrainingError(f"{path} cannot be written: {error}") from None
        self._writer = csv.DictWriter(self._file, self._columns, lineterminator="\n")

    def write(self, values: Mapping[str, float]) -> None:
        """Write a line."""
        self._writer.writerow({name: _shown(value) for name, value in values.items()})
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """Read the lines of a log, by column.

    Raises:
        TrainingError: There is no such file, or it is no log.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if "step" not in (reader.fieldnames or ()):
                raise TrainingError(f"{path} is no log of a training run: it has no column step")
            # The last line of a run that was killed may be cut off.
            return [line for line in reader if (line["step"] or "").isdigit() and None not in line.values()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from None


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


class TensorBoard:
    """Scalars and pictures for TensorBoard.

    Args:
        folder: Folder of the files.
        after: Step after which earlier entries are hidden; 0 removes all of them.
    """

    def __init__(self, folder: Path, after: int) -> None:
        # Here and not above: it takes a second, and processes that do not write need none.
        from torch.utils.tensorboard import SummaryWriter

        if not after:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        self._writer: Any = SummaryWriter(str(folder), purge_step=after + 1 if after else None)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name; those named ``group/name`` are shown together."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """Write an RGB picture, (H, W, 3)."""
        self._writer.add_image(name, picture, step, dataformats="HWC")

    def text(self, name: str, text: str) -> None:
        """Write a text in Markdown."""
        self._writer.add_text(name, text)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class Progress:
    """Progress on stderr: a bar on a terminal, elsewhere a line now and then.

    Args:
        steps: Steps of the whole run.
        done: Steps done before.
        samples: Samples of one step.
        stream: Stream to write to.
        clock: Function that returns seconds.
    """

    def __init__(
        self,
        steps: int,
        done: int,
        samples: int,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._first, self._done, self._samples = steps, done, done, samples
        self._stream, self._clock = stream or sys.stderr, clock
        self._began = self._said = clock()
        self._bar: Any = None
        if self._stream.isatty():
            from tqdm import tqdm  # type: ignore[import-untyped]

            self._bar = tqdm(total=steps, initial=done, unit="step", file=self._stream, dynamic_ncols=True)

    def step(self, loss: float | None) -> None:
        """Count a step and show its loss, if known."""
        self._done += 1
        if self._bar is not None:
            shown = {"samples/s": f"{self.rate():.1f}"}
            self._bar.set_postfix(shown if loss is None else {**shown, "loss": f"{loss:.4f}"}, refresh=False)
            self._bar.update()
        elif self._done == self._steps or self._clock() - self._said >= _QUIET_SECONDS:
            self._said = self._clock()
            self.say(self.line(loss))

    def rate(self) -> float:
        """Return the samples per second since the start of this process."""
        return (self._done - self._first) * self._samples / max(self._clock() - self._began, 1e-9)

    def line(self, loss: float | None) -> str:
        """Return the progress as one line."""
        left = (self._steps - self._done) * self._samples / max(self.rate(), 1e-9)
        about = "" if loss is None else f", loss {loss:.4f}"
        return f"step {self._done} of {self._steps}{about}, {self.rate():.1f} samples/s, {duration(left)} left"

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds: ``1:02:03``, ``2:03``."""
    minutes, rest = divmod(round(min(seconds, 1e9)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def contact_sheet(img0: Tensor, img1: Tensor, target: Tensor, made: Tensor, maps: Sequence[Maps]) -> NDArray[np.uint8]:
    """Return a picture with a row for each pair: left, right, made, true, error, flow, mask.

    Args:
        img0: Frame 0, (N, 3, H, W) in [0, 1].
        img1: Frame 1, likewise.
        target: The true frame, likewise.
        made: The network's.
        maps: For each pair the flow 0->1, in full colour where it is longest, and the share of frame 1 in the blend,
            as far as the network has them.

    Returns:
        (N * H, columns * W, 3).
    """
    rows = []
    for n, found in enumerate(maps):
        cells = [_colours(picture[n]) for picture in (img0, img1, made, target)]
        cells.append(grey(_array((made[n] - target[n]).abs().mean(0)), _ERROR_WHITE))
        if found.forward is not None:
            longest = float(np.hypot(found.forward[..., 0], found.forward[..., 1]).max())
            cells.append(flow_colours(found.forward, longest))
        if found.share is not None:
            cells.append(grey(found.share, 1.0))
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows, axis=0)


def _colours(picture: Tensor) -> NDArray[np.uint8]:
    return np.rint(_array(picture.clamp(0, 1).permute(1, 2, 0)) * 255).astype(np.uint8)


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().float().cpu().contiguous().numpy()
