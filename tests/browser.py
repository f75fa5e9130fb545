"""A real Chromium for tests, driven by chromedriver over HTTP: what it shows, says on its console, and asks the network.

Only what the tests need of the WebDriver protocol (w3.org/TR/webdriver2), so that no client library has to be installed.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

THERE = shutil.which("chromedriver") is not None and shutil.which("chromium") is not None

_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
    """One window. Its profile is new, so nothing is cached."""

    def __init__(self, address: str, session: str) -> None:
        self._at = f"{address}/session/{session}"

    def open(self, page: Path) -> None:
        _ask(f"{self._at}/url", {"url": page.as_uri()})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return _ask(f"{self._at}/execute/sync", {"script": script, "args": []})

    def emulate(self, width: int, height: int, scheme: str = "light") -> None:
        """A screen of that size, whose reader prefers light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", {"features": features})

    def console(self) -> list[str]:
        """What was said on the console since the last look."""
        return [entry["message"] for entry in _ask(f"{self._at}/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last look, but those that the page or the browser holds."""
        entries = [json.loads(e["message"])["message"] for e in _ask(f"{self._at}/se/log", {"type": "performance"})]
        asked = [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("data:", "blob:", "chrome:"))]

    def screenshot(self) -> bytes:
        return base64.b64decode(_ask(f"{self._at}/screenshot"))

    def _command(self, name: str, params: dict[str, Any]) -> None:
        _ask(f"{self._at}/goog/cdp/execute", {"cmd": name, "params": params})


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with its profile in that folder; it is gone afterwards."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert driver.stdout is not None
    try:
        told = next(
            found for text in driver.stdout if (found := re.search(r"started successfully on port (\d+)", text))
        )
        address = f"http://127.0.0.1:{told.group(1)}"
        options = {"args": [*_QUIET, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }  # fmt: skip
        session = _ask(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(address, session)
        finally:
            urllib.request.urlopen(urllib.request.Request(f"{address}/session/{session}", method="DELETE")).close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)
        driver.stdout.close()


def _ask(address: str, sent: dict[str, Any] | None = None) -> Any:
    data = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)["value"]
