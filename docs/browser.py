"""A headless Chromium, spoken to in its DevTools protocol: open a page, wait, take a picture.

with Browser(find_chromium(), width=1600, height=900) as browser:
    browser.open(url, storage={"theme": "light"})
    browser.wait_until("document.body.innerText.includes('flights')")
    browser.save(path)
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

__all__ = ["Browser", "BrowserError", "find_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # it shows pages of this machine alone, and often runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_STARTUP_SECONDS = 60.0
_LONGEST_ANSWER = 300.0  # a page that lays out a thousand nodes does not answer meanwhile
_PACKAGE = "chromium"
_LEFT = ("navigated or closed", "context was destroyed", "Cannot find context")


class BrowserError(Exception):
    """There is no Chromium, it did not start, or a page did not become what was waited for."""


def find_chromium() -> str:
    """Return a Chromium's path; install it with apt where there is none and apt may do it.

    Raises:
        BrowserError: there is none; says what to install.
    """
    found = _installed()
    if found is None and shutil.which("apt-get") is not None:
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", _PACKAGE]):
            subprocess.run(
                [*as_root, "apt-get", *arguments],
                env=quiet,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        found = _installed()
    if found is None:
        raise BrowserError(
            "no Chromium was found, and it could not be installed\n"
            f"  Fix: install one (Debian: apt-get install {_PACKAGE}) and put it on the PATH."
        )
    return found


def _installed() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One browser with one page, ended when the block is left.

    Args:
        executable: the Chromium.
        width, height: of the page, in CSS pixels.
        scale: pixels of the picture for one CSS pixel.
    """

    def __init__(self, executable: str, *, width: int, height: int, scale: float = 1.0) -> None:
        self._executable = executable
        self._size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._profile = Path(tempfile.mkdtemp(prefix="kindling-browser-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()
        self._socket: ClientConnection | None = None
        self._session = ""
        self._calls = 0

    def __enter__(self) -> Browser:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def open(self, url: str, storage: Mapping[str, str] | None = None) -> None:
        """Open a page that finds these texts in its local storage."""
        lines = [
            f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)});"
            for key, value in (storage or {}).items()
        ]
        self._call("Page.addScriptToEvaluateOnNewDocument", source="\n".join(lines))
        self._call("Page.navigate", url=url)

    def set_cookie(self, name: str, value: str, url: str) -> None:
        """Have pages of an address find a cookie, as after a sign-in."""
        self._call("Network.setCookie", name=name, value=value, url=url)

    def clear_cookies(self) -> None:
        """Forget every cookie."""
        self._call("Network.clearBrowserCookies")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found.get("result", {}).get("value")

    def wait_until(self, expression: str, seconds: float = 60.0) -> None:
        """Return when a JavaScript expression is true.

        Raises:
            BrowserError: it does not become true; has the beginning of the page's text.
        """
        deadline = time.monotonic() + seconds
        while not self._seen(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                text = str(self.evaluate("document.body && document.body.innerText"))[:2000]
                raise BrowserError(f"not true after {seconds:.0f} s: {expression}\n{text}")
            time.sleep(0.25)

    def wait_until_still(self, expression: str, looks: int = 8) -> None:
        """Return when a JavaScript expression has had one value for some looks in a row."""
        seen: list[Any] = []
        while len(seen) < looks or len(set(map(str, seen[-looks:]))) > 1:
            seen.append(self._seen(expression))
            time.sleep(0.25)

    def _seen(self, expression: str) -> Any:
        """Return the value of an expression; None if the page is left while it is asked."""
        try:
            return self.evaluate(expression)
        except BrowserError as error:
            if not any(text in str(error) for text in _LEFT):
                raise
            return None

    def click(self, label: str) -> None:
        """Click the button of this label, title or text, as soon as it is there."""
        button = (
            "[...document.querySelectorAll('button')].find(b => "
            f"[b.ariaLabel, b.title, b.innerText].includes({json.dumps(label)}))"
        )
        self.wait_until(button)
        self.evaluate(f"{button}.click()")

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse at one place and let go at another."""
        (x, y), (to_x, to_y) = start, end
        self._mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        for step in range(1, 11):
            part = step / 10
            self._mouse("mouseMoved", x + (to_x - x) * part, y + (to_y - y) * part, buttons=1)
        self._mouse("mouseReleased", to_x, to_y, button="left", clickCount=1)

    def save(self, path: Path) -> None:
        """Write what the page shows as a PNG file."""
        taken = self._call("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._executable, *_SWITCHES, f"--user-data-dir={self._profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + _STARTUP_SECONDS
        while not (port_file.is_file() and len(port_file.read_text().split()) == 2):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BrowserError(f"{self._executable} did not start")
            time.sleep(0.1)
        port, path = port_file.read_text().split()
        address = f"ws://127.0.0.1:{port}{path}"
        connection = connect(address, max_size=None, ping_interval=None)
        self._socket = self._open.enter_context(connection)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        self._call("Emulation.setDeviceMetricsOverride", **self._size)

    def _stop(self) -> None:
        self._open.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        if self._socket is None:
            raise BrowserError("the browser is not running")
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=_LONGEST_ANSWER))
            if answer.get("id") == self._calls:  # everything else is an event
                break
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result
