"""Two requests under way at once: where the first fails and the second is taken, nothing is passed over."""

from __future__ import annotations

import http.server
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from collector.forward import PAGE_RECORDS, Forwarder, lines_of
from collector.forward_send import MAX_LINES
from collector.forward_store import ForwardStore
from collector.influx import Influx as InfluxWriter
from collector.settings import read_settings
from tests.collector.door import Door
from tests.collector.kit import T0_MS, Deployment, FakeProbe, Influx, until
from tests.collector.test_forward import count

pytestmark = pytest.mark.services
BATCHES = 4


class Between(http.server.ThreadingHTTPServer):
    """Gives requests to the real server, but says 503 to the first with coverage, once another one was taken."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.port, self.lock = port, threading.Lock()
        self.refused, self.overtaken = 0, threading.Event()

    def is_first(self, body: bytes) -> bool:
        """Whether this request is the one to refuse."""
        with self.lock:
            if not body.startswith(b"coverage") or self.refused:
                return False
            self.refused += 1
            return True


class Passing(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Between

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.is_first(body):
            self.server.overtaken.wait(60)
            status, answer = 503, b'{"error":"busy"}'
        else:
            status, answer = self._passed(body)
            if body.startswith(b"coverage"):
                self.server.overtaken.set()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _passed(self, body: bytes) -> tuple[int, bytes]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.server.port}{self.path}", body)
        try:
            with urllib.request.urlopen(asked, timeout=30) as given:  # noqa: S310 (loopback)
                return given.status, given.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_request_that_fails_while_a_later_one_is_taken_is_written_again(tmp_path: Path, influx: Influx) -> None:
    one = FakeProbe("p-one")
    between = Between(influx.port)
    serving = threading.Thread(target=between.serve_forever)
    serving.start()
    target = f'url = "http://127.0.0.1:{between.server_port}"\napi = "v1"\ndatabase = "dosong"'
    deployment = Deployment(tmp_path, 'socket = "none"', one, influx=target)
    door = Door(deployment.state, one)
    raws = [one.coverage("C" * 60, "." * 60, t_ms=T0_MS + at * 3_600_000) for at in range(BATCHES * PAGE_RECORDS)]
    for at in range(0, len(raws), 30):
        door.take("p-one", *raws[at : at + 30])
    settings = read_settings(deployment.config)
    writer, store, stop = InfluxWriter(settings), ForwardStore(settings.forward), threading.Event()
    forwarder = threading.Thread(
        target=Forwarder(settings, door.reader, door.registry, store, writer, stop).run, daemon=True
    )
    try:
        lines = [line for line in lines_of(door.reader.samples(limit=10**6)) if line.startswith("coverage")]
        assert len(lines) > BATCHES * MAX_LINES, "several requests, or nothing overtakes"
        forwarder.start()
        until(lambda: store.position() == len(raws), 60, "the cursor is at the end")
        assert (between.refused, between.overtaken.is_set()) == (1, True)
        assert count(influx, "coverage", "state") == len(lines)
    finally:
        stop.set()
        forwarder.join(30)
        store.close()
        writer.close()
        door.close()
        between.shutdown()
        serving.join()
        between.server_close()
