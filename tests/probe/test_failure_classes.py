"""Every class of failure, asked of every engine: the right stage, the right cause, and never a rate.

The servers are real: our own point (busy, or behind a link that is cut), or sockets that do what broken ones do.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from probe import engines
from probe.core.engine_terms import EngineRequest, EngineResult
from tests.probe.kit import wait_until
from tests.probe.link_cut import CutLink
from wire.keyfile import write_signer
from wire.note import Signer

LOGIN = b"<html>Please top up</html>"
CUT_AFTER_BYTES = 4_000_000
CLASSES = ("dead", "404", "captive", "mute", "busy", "cut downlink", "cut uplink")
EXPECTED: dict[tuple[str, str], tuple[str, str]] = {
    **{(engine, "dead"): ("connect", "server_unreachable") for engine in engines.ENGINES},
    **{(engine, "404"): ("portal", "server_error") for engine in engines.ENGINES},
    **{(engine, "captive"): ("portal", "captive") for engine in engines.ENGINES},
    **{(engine, "mute"): ("connect", "timeout") for engine in engines.ENGINES},
    **{(engine, "cut downlink"): ("downlink", "cut_off") for engine in engines.ENGINES},
    **{(engine, "cut uplink"): ("uplink", "cut_off") for engine in engines.ENGINES},
    ("dosong", "busy"): ("portal", "server_busy"),  # no ticket, so nothing is spent
    ("speedtest-cli", "busy"): ("downlink", "server_busy"),  # the mini server answers its small questions all the same
}
RATES = (
    "downlink_bps",
    "uplink_bps",
    "engine_downlink_bps",
    "engine_uplink_bps",
    "downlink_series_bytes",
    "uplink_series_bytes",
)


@contextmanager
def the_point(folder: Path, **settings: int) -> Iterator[int]:
    """Our measurement point, with a key; its port."""
    write_signer(folder / "point.key", Signer.generate("dosong.example/point/hn-1"))
    lines = ["[point]", 'origin = "dosong.example"', 'point = "hn-1"', 'key_file = "point.key"']
    lines += [f"{key} = {value}" for key, value in settings.items()]
    (folder / "point.toml").write_text("\n".join([*lines, ""]))
    ready = folder / "ready.json"
    where = ["--config", str(folder / "point.toml"), "--bind", "127.0.0.1", "--port", "0"]
    command = [sys.executable, "-m", "point", *where, "--json-ready", str(ready)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(ready.exists, what="the point listens")
        yield json.loads(ready.read_text())["port"]
    finally:
        child.terminate()
        child.wait(10)


@contextmanager
def answering(status: int, body: bytes, kind: str) -> Iterator[int]:
    """A server that gives everyone the same answer; its port."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the library's name)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def busy(folder: Path) -> Iterator[int]:
    """The point with its only place taken by another probe's test."""
    with the_point(folder, max_tests=1, rest_s=120) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/v1/ticket?probe=p-another&epoch=1")
        assert connection.getresponse().status == 200
        connection.close()
        yield port


@contextmanager
def cut(folder: Path) -> Iterator[int]:
    """The point behind a link that dies in the middle of a transfer."""
    with the_point(folder) as port:
        link = CutLink(port, CUT_AFTER_BYTES)
        try:
            yield link.port
            assert link.is_cut, "the test must have been under way when the link was cut"
        finally:
            link.close()


@contextmanager
def dead() -> Iterator[int]:
    """A port on which nobody listens: it is taken, so that nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def mute() -> Iterator[int]:
    """Accepts, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def server_of(name: str, folder: Path) -> Any:
    """The server of one class of failure."""
    return {
        "dead": dead,
        "404": lambda: answering(404, b"no", "text/plain"),
        "captive": lambda: answering(200, LOGIN, "text/html"),
        "mute": mute,
        "busy": lambda: busy(folder),
        "cut downlink": lambda: cut(folder),
        "cut uplink": lambda: cut(folder),
    }[name]()


def request(name: str, port: int) -> EngineRequest:
    """A test that can only fail as its class says: a cut is met in one direction, which has the time for it."""
    return EngineRequest(
        "lo",
        "127.0.0.1",
        port,
        "p1",
        downlink_s=0 if name == "cut uplink" else 8,
        uplink_s=0 if name == "cut downlink" else 8,
        probe="p-dong-chuoi",
        busy_wait_s=0,
        quiet_wait_s=0,
    )


def has_no_rate(result: EngineResult) -> bool:
    return all(getattr(result, field) is None for field in RATES)


@pytest.mark.services
@pytest.mark.parametrize("engine", sorted(engines.ENGINES))
# A cut must come while the bytes move: on a starved machine the transfer may be over before it.
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.rates] if one.startswith("cut") else []) for one in CLASSES]
)
def test_a_failure_has_its_stage_and_cause_and_no_rate(tmp_path: Path, name: str, engine: str) -> None:
    with server_of(name, tmp_path) as port:
        result = engines.ENGINES[engine].run(request(name, port))
    assert (result.outcome, result.stage, result.cause) == ("failed", *EXPECTED[engine, name])
    assert has_no_rate(result)
    assert result.engine == engine
    assert result.receipts == ()


def test_every_class_is_asked_of_every_engine() -> None:
    assert EXPECTED.keys() == {(engine, name) for engine in engines.ENGINES for name in CLASSES}
    assert len(EXPECTED) == 14
