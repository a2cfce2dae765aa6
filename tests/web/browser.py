"""Debian's Chromium, driven over a pipe by the DevTools protocol: what pages look like, weigh and say to axe-core.

No driver, no port, no package: JSON messages, each ended by a NUL, on the two descriptors that
`--remote-debugging-pipe` reads and writes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
DESKTOP, PHONE = (1280, 800), (360, 740)


class Browser:
    """One headless Chromium with a profile of its own. Use as a context manager."""

    def __init__(self) -> None:
        self._profile = Path(tempfile.mkdtemp(prefix="dosong-chromium-"))
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        # The shell only puts the two pipes where Chromium looks for them.
        script = f'exec "$0" "$@" 3<&{to_child} 4>&{from_child}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_child)
        os.close(from_child)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command and its result; events that come meanwhile are kept. Raises RuntimeError for a refusal."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def wait_for(self, method: str, session: str) -> dict[str, Any]:
        """The next event of this kind, those already told included."""
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    self.events.remove(event)
                    return event
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._in, 1 << 16)
            if not more:
                raise RuntimeError("Chromium went away")
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(raw)
        return told

    @contextlib.contextmanager
    def page(
        self, size: tuple[int, int] = DESKTOP, *, script: bool = True, cookies: Mapping[str, str] | None = None
    ) -> Iterator[Page]:
        """A fresh tab of this size in CSS pixels; `script` False: JavaScript is off."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        made = Page(self, session, size, script=script, cookies=dict(cookies or {}))
        try:
            yield made
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)
            self.events.clear()


class Page:
    """One tab."""

    def __init__(
        self, browser: Browser, session: str, size: tuple[int, int], *, script: bool, cookies: dict[str, str]
    ) -> None:
        self._browser, self._session, self._cookies = browser, session, cookies
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        if not script:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command to this tab."""
        return self._browser.call(method, self._session, **params)

    def go(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        for name, value in self._cookies.items():
            self.call("Network.setCookie", name=name, value=value, url=url)
        self._browser.events.clear()
        told = self.call("Page.navigate", url=url)
        if told.get("errorText"):
            raise RuntimeError(f"{url}: {told['errorText']}")
        self._browser.wait_for("Page.loadEventFired", self._session)

    def run(self, source: str) -> Any:
        """Value of an expression in the page; a promise is waited for. Raises RuntimeError if it throws."""
        told = self.call("Runtime.evaluate", expression=source, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(str(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        return told["result"].get("value")

    def slow(self, kbit_s: int, rtt_ms: int) -> None:
        """Shape the tab's network: this rate both ways, this round trip."""
        rate = kbit_s * 1000 / 8
        self.call(
            "Network.emulateNetworkConditions",
            offline=False,
            latency=rtt_ms,
            downloadThroughput=rate,
            uploadThroughput=rate,
        )

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save the page as PNG; `whole`: from top to bottom, not only what the window shows."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        more = {"clip": clip, "captureBeyondViewport": True} if whole else {}
        told = self.call("Page.captureScreenshot", format="png", **more)
        path.write_bytes(base64.b64decode(told["data"]))
