"""Drives vsview as a user would, without a screen: run by test_previewer.py in a process of its own.

    python previewer_driver.py SCRIPT FOLDER 7,2,31 9,7 31,1

Opens SCRIPT, shows the first frames, reloads the script, shows the second, plays for a while, shows the third.
What the window displays is saved in FOLDER, one picture per shown frame, and a screenshot of the whole window.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from vsview.app.main import Application, MainWindow
from vsview.app.plugins.manager import PluginManager
from vsview.app.workspace import PythonScriptWorkspace

PLAY_FROM, PLAY_TO = 10, 16
PATIENCE = 120.0
"""Seconds after which a step counts as hung."""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Let the window work until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"vsview did not finish: {what}")
        QApplication.processEvents()
        time.sleep(0.005)
    # What was signalled from other threads up to now reaches the screen.
    for _ in range(5):
        QApplication.processEvents()


def is_ready(workspace: PythonScriptWorkspace) -> bool:
    """Whether a script is loaded and its frame stands on the screen."""
    return workspace.playback.can_reload and workspace.stack.currentWidget() is workspace.loaded_page


def show(workspace: PythonScriptWorkspace, number: int, target: Path) -> None:
    """Jump to a frame and save what is displayed then, pixel for pixel, before any zoom."""
    results: list[int] = []
    workspace.playback.request_frame(number, cb_render=lambda future: results.append(future.result()))
    wait_for(lambda: bool(results) and is_ready(workspace), f"frame {number}")
    if results != [0] or workspace.playback.state.current_frame != number:
        raise SystemExit(f"vsview could not show frame {number}")
    picture = workspace.tab_manager.current_view.pixmap_item.pixmap().toImage()
    if not picture.convertToFormat(QImage.Format.Format_RGB888).save(str(target)):
        raise SystemExit(f"could not write {target}")


def play(workspace: PythonScriptWorkspace) -> None:
    """Press play, which asks for frames ahead from several threads, until PLAY_TO is on the screen; press it again."""
    workspace.playback.request_frame(PLAY_FROM)
    wait_for(lambda: is_ready(workspace) and workspace.playback.state.current_frame == PLAY_FROM, "jump before playing")
    workspace.playback.toggle_playback()
    wait_for(lambda: workspace.playback.state.current_frame >= PLAY_TO, "playing")
    workspace.playback.toggle_playback()
    wait_for(lambda: not workspace.playback.state.is_playing and is_ready(workspace), "stopping")


def main(script: Path, folder: Path, jumps: list[int], after_reload: list[int], after_playing: list[int]) -> None:
    """The whole visit, from opening the window to closing it."""
    application = Application(["vsview"], no_settings=True)
    PluginManager.load()
    window = MainWindow()
    window.resize(1180, 720)
    window.show()
    button, _ = window.load_new_script(script)
    workspace = button.workspace
    wait_for(lambda: is_ready(workspace), "loading the script")
    for position, number in enumerate(jumps):
        show(workspace, number, folder / f"jump_{position}_{number}.png")
    workspace.reload_content()
    wait_for(lambda: workspace.reload_count == 1 and is_ready(workspace), "reloading the script")
    for number in after_reload:
        show(workspace, number, folder / f"reload_{number}.png")
    play(workspace)
    for number in after_playing:
        show(workspace, number, folder / f"played_{number}.png")
    window.grab().save(str(folder / "window.png"))
    window.close()
    application.processEvents()
    print("closed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *([int(n) for n in plan.split(",")] for plan in sys.argv[3:6]))
