"""log.csv, TensorBoard, progress, pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.errors import TrainingError
from training.run.logs import CsvLog, Progress, TensorBoard, contact_sheet, duration, read_log
from vsrrin.preview.motion_maps import Maps


def test_a_log_has_its_columns_and_numbers_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = CsvLog(path, ("step", "loss", "psnr"), after=0)
    log.write({"step": 5, "loss": 0.123456789})
    log.write({"step": 5, "psnr": 31.0})
    log.close()
    assert path.read_text() == "step,loss,psnr\n5,0.123457,\n5,,31\n"
    assert read_log(path) == [{"step": "5", "loss": "0.123457", "psnr": ""}, {"step": "5", "loss": "", "psnr": "31"}]


def test_a_run_that_goes_on_drops_later_lines_and_one_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n2,0.5\n4,0.4\n6,0.3\n8")
    CsvLog(path, ("step", "loss"), after=4).close()
    assert path.read_text() == "step,loss\n2,0.5\n4,0.4\n"
    CsvLog(path, ("step", "loss"), after=0).close()
    assert path.read_text() == "step,loss\n"


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TrainingError, match=r"is no log of a training run: it has no column step"):
        read_log(tmp_path / "log.csv")
    with pytest.raises(TrainingError, match=r"nothing.csv cannot be read"):
        read_log(tmp_path / "nothing.csv")
    with pytest.raises(TrainingError, match=r"cannot be written"):
        CsvLog(tmp_path / "no" / "log.csv", ("step",), after=0)


def test_tensorboard_gets_scalars_and_pictures_and_forgets_what_a_killed_run_wrote(tmp_path: Path) -> None:
    first = TensorBoard(tmp_path, after=0)
    for step in (1, 2, 3):
        first.scalars({"loss/l1": step / 10}, step)
    first.picture("pair", np.full((4, 6, 3), 200, np.uint8), 1)
    first.text("recipe", "seed = 1")
    first.close()
    second = TensorBoard(tmp_path, after=2)
    second.scalars({"loss/l1": 0.9}, 3)
    second.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("loss/l1")] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.9),
    ]
    (image,) = events.Images("pair")
    assert (image.height, image.width) == (4, 6)
    TensorBoard(tmp_path, after=0).close()
    assert not EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]


def test_progress_without_a_terminal_is_a_line_now_and_then() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress(100, 10, 8, stream=stream, clock=lambda: now[0])
    for _ in range(7):
        now[0] += 10.0
        progress.step(0.25)
    progress.step(None)
    assert stream.getvalue().splitlines() == [
        "step 13 of 100, loss 0.2500, 0.8 samples/s, 14:30 left",
        "step 16 of 100, loss 0.2500, 0.8 samples/s, 14:00 left",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_a_bar_with_samples_a_second_and_the_time_left() -> None:
    stream = Terminal()
    progress = Progress(4, 1, 8, stream=stream)
    progress.step(0.25)
    progress.say("step 2: psnr 30")
    progress.step(0.2)
    progress.step(0.1)
    progress.close()
    assert "step 2: psnr 30\n" in stream.getvalue()
    last = stream.getvalue().strip().rpartition("\r")[2]
    assert "4/4" in last and "samples/s=" in last and "loss=0.1000" in last and "<" in last


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00"), (75, "1:15"), (3661, "1:01:01"), (1e12, "277777:46:40")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_contact_sheet_shows_what_a_network_has() -> None:
    torch.manual_seed(0)
    img0, img1, target, made = torch.rand(4, 2, 3, 8, 8)
    made[0] = target[0]
    flow = np.zeros((8, 8, 2), np.float32)
    flow[..., 0] = 3.0
    sure = np.ones((8, 8), np.float32)
    full = Maps(flow, flow, None, sure / 2, sure, 1)
    sheet = contact_sheet(img0, img1, target, made, [full, full])
    assert sheet.shape == (16, 7 * 8, 3)
    cells = sheet.reshape(2, 8, 7, 8, 3)
    np.testing.assert_array_equal(cells[0, :, 2], cells[0, :, 3])
    assert cells[0, :, 4].max() == 0 and cells[1, :, 4].max() > 0  # no error where the picture is right
    assert (cells[0, 0, 5, 0] == (255, 0, 0)).all()  # to the right is red
    assert (cells[0, :, 6] == 128).all()
    none = Maps(None, None, None, None, sure, 1)
    assert contact_sheet(img0, img1, target, made, [none, none]).shape == (16, 5 * 8, 3)
