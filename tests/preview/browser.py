"""Headless Chromium, driven over a pipe by the DevTools protocol; it takes nothing but Debian's package."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PATIENCE = 60
_KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, " ": 32}


class Browser:
    """An open page, and all that it has complained of or asked for."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = os.fdopen(answers, "rb")
        self._number = 0
        self._session: str | None = None
        self._buffer = b""
        self._loaded = False
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; what is reported meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def close(self) -> None:
        """Close the pipe of a browser that has ended."""
        self._answers.close()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = self._answers.read1(1 << 20)
            assert more, "the browser has ended"
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(parameters))

    def open(self, page: Path, shown: str = "", *, width: int = 1200, height: int = 900) -> None:
        """Open a page that the address says more of, and wait until its script is done."""
        # A scale of 0 is the browser's own: one that is only emulated does not lay pictures out on whole pixels.
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=0, mobile=False)
        for address in ("about:blank", page.resolve().as_uri() + shown):
            self._loaded = False
            self.send("Page.navigate", url=address)
            while not self._loaded:
                self._note(self._next())
        self.wait("document.documentElement.dataset.ready === ''")

    def dark(self, wanted: bool) -> None:
        """Say that the user likes it dark, or light."""
        value = "dark" if wanted else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def wait(self, condition: str) -> None:
        """Wait until an expression is true, and what follows from it is drawn."""
        test = f"new Promise(done => {{const look = () => ({condition}) ? done(true) : setTimeout(look, 20); look()}})"
        assert self.value(test) is True
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def value(self, expression: str) -> Any:
        """The value of an expression of the page, once it is there."""
        got = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            event = {"key": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0].upper())), **text}
            self.send("Input.dispatchKeyEvent", type="keyDown", **event)
            self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Press, move or release the mouse, or turn its wheel."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, target: Path | None = None) -> NDArray[np.uint8]:
        """What the window shows, (H, W, 3) RGB; also as a PNG."""
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        if target:
            target.write_bytes(data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@contextmanager
def browser(profile: Path, ratio: float = 1) -> Iterator[Browser]:
    """A browser with a new profile and so many pixels of the screen for one of CSS, ended with the block."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    assert program, "the tests need Chromium: see CONTRIBUTING.md"
    (read_commands, commands), (answers, write_answers) = os.pipe(), os.pipe()
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")
    options += ("--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={profile}")
    options += (f"--force-device-scale-factor={ratio}",)
    # The pipe is expected as 3 and 4, numbers that Popen cannot give; a shell can.
    shell = f'exec "$0" "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", shell, program, *options],
        pass_fds=(read_commands, write_answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    timer = threading.Timer(_PATIENCE, process.kill)
    timer.daemon = True
    timer.start()
    opened = None
    try:
        opened = Browser(commands, answers)
        yield opened
    finally:
        timer.cancel()
        with suppress(AssertionError, OSError, subprocess.TimeoutExpired):
            if opened:
                opened.send("Browser.close")
                process.wait(_PATIENCE)
        process.kill()
        process.wait()
        os.close(commands)
        if opened:
            opened.close()


if __name__ == "__main__":  # PAGE HASH WIDTHxHEIGHT PNG: the picture of the page in docs/
    with TemporaryDirectory() as folder, browser(Path(folder)) as shown:
        width, height = map(int, sys.argv[3].split("x"))
        shown.open(Path(sys.argv[1]), sys.argv[2], width=width, height=height)
        shown.screenshot(Path(sys.argv[4]))
