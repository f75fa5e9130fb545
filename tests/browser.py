"""A real Chromium for tests, spoken to over two pipes: what it shows, says on its console, and asks the network.

Only what the tests need of the DevTools protocol (chromedevtools.github.io/devtools-protocol), so that neither a client
library nor chromedriver has to be installed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "about:blank",
)  # fmt: skip
# Chromium reads commands from descriptor 3 and writes to 4, which may be taken here.
_AS_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)

_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27}


class Browser:
    """One page. Its profile is new, so nothing is cached."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._unread = commands, answers, b""
        self._sent, self._page = 0, ""
        self._events: list[dict[str, Any]] = []
        targets = self._ask("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._page = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, page: Path) -> None:
        """A file, shown when all of it is there."""
        self._events = []
        self._ask("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())

    def run(self, script: str) -> Any:
        """What a script returns."""
        done = self._ask(
            "Runtime.evaluate", expression=f"(() => {{ {script} }})()", returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def emulate(self, width: int, height: int, scheme: str = "light", media: str = "") -> None:
        """A screen of that size, whose reader prefers light or dark. media: `print` for the style of paper."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", media=media, features=features)

    def press(self, key: str) -> None:
        """A key, as from a keyboard."""
        for kind in ("keyDown", "keyUp"):
            code, text = _KEYS[key], "\r" * (key == "Enter" and kind == "keyDown")
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

    def point(self, selector: str) -> None:
        """The pointer in the middle of the first such element, which is scrolled to."""
        where = self.run(
            f"const one = document.querySelector({json.dumps(selector)}); one.scrollIntoView({{block: 'center'}});"
            "const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]"
        )
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=where[0], y=where[1])

    def console(self) -> list[str]:
        """What was said on the console since the page was opened."""
        self.run("")  # whatever it said before is read with the answer
        said = [e["params"]["args"] for e in self._events if e["method"] == "Runtime.consoleAPICalled"]
        logged = [e["params"]["entry"]["text"] for e in self._events if e["method"] == "Log.entryAdded"]
        thrown = [e["params"]["exceptionDetails"] for e in self._events if e["method"] == "Runtime.exceptionThrown"]
        return [*map(str, said), *logged, *map(str, thrown)]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened, but those that the page or the browser holds."""
        self.run("")
        asked = [e["params"]["request"]["url"] for e in self._events if e["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("data:", "blob:", "chrome:"))]

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of what is on the screen, or of the whole page."""
        return base64.b64decode(self._ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def printed(self) -> bytes:
        """The PDF that printing makes, of the page's own size of paper."""
        return base64.b64decode(self._ask("Page.printToPDF", preferCSSPageSize=True)["data"])

    def close(self) -> None:
        self._page = ""
        self._ask("Browser.close")

    def _ask(self, method: str, **params: Any) -> Any:
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": params}
        message |= {"sessionId": self._page} if self._page else {}
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._commands, left) :]
        while (answer := self._read()).get("id") != self._sent:
            self._events.append(answer)
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        """The next message: each ends in a zero byte."""
        while b"\0" not in self._unread:
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser is gone"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with its profile in that folder; it is gone afterwards."""
    assert CHROMIUM is not None
    ours = [os.pipe(), os.pipe()]
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ours[0][0], ours[1][1])]
    started = [sys.executable, "-c", _AS_3_AND_4, *map(str, theirs), CHROMIUM, *_QUIET, f"--user-data-dir={profile}"]
    process = subprocess.Popen(started, pass_fds=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for end in (*theirs, ours[0][0], ours[1][1]):
        os.close(end)
    try:
        yield (shown := Browser(ours[0][1], ours[1][0]))
        shown.close()
    finally:
        os.close(ours[0][1])  # without it Chromium ends
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
            process.wait()
            os.close(ours[1][0])
