"""speedtest-cli 2.1.3 through its Python API, with the parts replaced that make its figures unsafe.

Only the engine's child imports this: the library closes standard output when it is collected, starts threads
that nothing ends, and its uploads take 175 MB. Here it never asks www.speedtest.net (the configuration is
ours), follows no proxy and no redirect, reads its uploads from one small buffer, and each answer is looked at.
Source: facts note 03 §4, internals and traps of speedtest-cli 2.1.3.
"""

from __future__ import annotations

import io
import os
import timeit
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler

import speedtest

from probe.core import cause
from probe.devices.meter import StopFlag

VERSION: str = speedtest.__version__
IMAGE_PIXELS = 4000
IMAGE_BYTES = 31_625_365
UPLOAD_BYTES = 7 << 20
DOWNLINKS_PER_S = 4  # enough requests for 1 Gbit/s
UPLINKS_PER_S = 6  # enough for 350 Mbit/s
LIBRARY_SLACK_S = 6  # the meter ends a transfer; the library's own clock is the second line
_BLOCK = os.urandom(1 << 18)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each direction may take and over how many connections."""

    downlink_s: int
    uplink_s: int
    flows: int


class SlimUpload:
    """Stands in for the library's upload body: random bytes from one shared block, nothing kept."""

    def __init__(self, length: int, start: float, timeout: float, shutdown_event: StopFlag | None = None) -> None:
        self.length = length
        self.start = start
        self.timeout = timeout
        self.total = [0]
        self._stop = shutdown_event or StopFlag()
        self._left = length

    def __len__(self) -> int:
        return self.length

    def read(self, size: int = 10240) -> memoryview:
        """The next bytes; empty at the end. Raises SpeedtestUploadTimeout when the transfer is over."""
        if timeit.default_timer() - self.start > self.timeout or self._stop.isSet():
            raise speedtest.SpeedtestUploadTimeout
        count = min(size, self._left, len(_BLOCK))
        offset = (self.length - self._left) % (len(_BLOCK) - count + 1)
        self._left -= count
        self.total[0] += count
        return memoryview(_BLOCK)[offset : offset + count]


class GuardedOpener:
    """The library's opener, with every answer checked. `problem` is the first cause found, else None.

    The first problem ends the transfer, so that no rate grows out of error pages.
    """

    def __init__(self, inner: Any, flag: StopFlag) -> None:
        self._inner = inner
        self._flag = flag
        self.problem: str | None = None
        self.lost = 0

    def open(self, request: Any) -> Any:
        """Open a request. Raises OSError if the transfer is over, the request failed or the answer is wrong."""
        if self._flag.is_set:
            raise OSError("the transfer is over")
        try:
            response = self._inner.open(request)
        except HTTPError as error:
            self._fail(cause.of_status(error.code))
            raise
        except OSError:
            self.lost += not self._flag.is_set
            raise
        return self._checked_upload(response) if request.data else self._checked_download(response)

    def _checked_download(self, response: Any) -> Any:
        if response.status != 200:
            raise self._fail(cause.of_status(response.status))
        if "html" in response.headers.get("content-type", "") or response.length != IMAGE_BYTES:
            raise self._fail("captive")
        return response

    def _checked_upload(self, response: Any) -> Any:
        body = response.read(64)
        if response.status != 200:
            raise self._fail(cause.of_status(response.status))
        if not is_receipt(body):
            raise self._fail("captive")
        return io.BytesIO(body)

    def _fail(self, word: str) -> OSError:
        self.problem = self.problem or word
        self._flag.is_set = True
        return OSError(f"the server's answer is wrong: {word}")


class BoundTest(speedtest.Speedtest):  # type: ignore[misc]
    """The library's test of one server, configured by us. Raises OSError or SpeedtestException."""

    def __init__(self, plan: Plan, host: str, port: int, flag: StopFlag) -> None:
        self._plan = plan
        super().__init__(shutdown_event=flag, timeout=10)
        self.guard = GuardedOpener(_without_detours(self._opener), flag)
        self._opener: Any = self.guard
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = {"id": 0, "d": 0, "url": f"http://{netloc}/speedtest/upload.php", "latency": 0}
        self._best.update(self._server)

    def get_config(self) -> dict[str, Any]:
        """What www.speedtest.net would have sent: few long transfers instead of many short ones."""
        plan = self._plan
        downlinks = plan.flows * 2 + DOWNLINKS_PER_S * plan.downlink_s
        uplinks = plan.flows * 2 + UPLINKS_PER_S * plan.uplink_s
        self.config.update(
            client={"ip": "", "lat": "0", "lon": "0", "isp": "", "country": ""},
            ignore_servers=[],
            sizes={"upload": [UPLOAD_BYTES], "download": [IMAGE_PIXELS]},
            counts={"upload": uplinks, "download": downlinks},
            threads={"upload": plan.flows, "download": plan.flows},
            length={
                "upload": plan.uplink_s + LIBRARY_SLACK_S,
                "download": plan.downlink_s + LIBRARY_SLACK_S,
            },
            upload_max=uplinks,
        )
        config: dict[str, Any] = self.config
        return config


def prepare() -> None:
    """Replace the library's upload body for this process."""
    speedtest.HTTPUploaderData = SlimUpload


def is_receipt(body: bytes) -> bool:
    """Whether an upload's answer is the server's `size=N`."""
    return body.startswith(b"size=") and body[5:6].isdigit()


def _without_detours(opener: Any) -> Any:
    """Take the proxy and redirect handlers out of the library's opener: both lead to another server."""
    for handlers in (*opener.handle_open.values(), *opener.process_response.values()):
        handlers[:] = [one for one in handlers if not isinstance(one, ProxyHandler)]
    for table in opener.handle_error.values():
        for handlers in table.values():
            handlers[:] = [one for one in handlers if not isinstance(one, HTTPRedirectHandler)]
    return opener
