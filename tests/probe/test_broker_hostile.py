"""A broker with a good certificate that speaks badly: it may cost its own session, never the program."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from tests.probe.kit import event, wait_until
from tests.probe.test_beacon import Grudging, Place, Site
from tests.probe.test_publish import certificates

__all__ = ["certificates"]
ODD_TOPIC = b"\x31\x05\x00\x02\xff\xfex"
SIZE = 64 << 20
HUGE_HEAD = b"\x31\x80\x80\x80\x20\x00\x15dosong/v1/checkpoint!"
CHUNK = bytes(1 << 18)


class Hostile(Grudging):
    """Takes a session, and sends `first` behind the answer to its first subscription, then `more` zeros."""

    def __init__(self, folder: Path, first: bytes, more: int = 0) -> None:
        self._first, self._more, self.streamed = first, more, 0
        super().__init__(folder)

    def _talk(self, sock: ssl.SSLSocket) -> None:
        if not self._more:
            super()._talk(_Behind(sock, self._first))  # type: ignore[arg-type]
            return
        sock.recv(4096)
        sock.sendall(b"\x20\x02\x00\x00")
        head = sock.recv(4096)
        sock.sendall(b"\x90\x04" + head[2:4] + b"\x00\x00" + self._first)
        with contextlib.suppress(OSError):
            while self.streamed < self._more:
                sock.sendall(CHUNK)
                self.streamed += len(CHUNK)


class _Behind:
    """A socket behind whose first SUBACK something more is sent."""

    def __init__(self, sock: ssl.SSLSocket, first: bytes) -> None:
        self._sock, self._first = sock, first
        self.makefile = sock.makefile

    def sendall(self, raw: bytes) -> None:
        self._sock.sendall(raw)
        if raw[0] == 0x90 and self._first:
            self._sock.sendall(self._first)
            self._first = b""


def test_a_topic_that_is_no_text_costs_nothing(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Hostile(certificates, ODD_TOPIC)
    site = Site(tmp_path, Place(certificates, broker.port))
    try:
        site.publisher.start()
        site.recorder.keep(event(site.recorder))
        wait_until(lambda: "not UTF-8" in caplog.text or not site.publisher.is_alive, what="it came")
        sent = broker.seen.count(3)
        wait_until(lambda: broker.seen.count(3) > sent or not site.publisher.is_alive, what="records go on being sent")
        assert site.publisher.is_alive
        assert (broker.sessions, site.publisher.lost_ms()) == (1, 0)
    finally:
        site.stop()
        broker.close()


def test_a_message_of_megabytes_ends_the_session_before_it_is_held(tmp_path: Path, certificates: Path) -> None:
    broker = Hostile(certificates, HUGE_HEAD, SIZE)
    site = Site(tmp_path, Place(certificates, broker.port))
    try:
        site.publisher.start()
        wait_until(lambda: broker.sessions > 1 or not site.publisher.is_alive, what="it is left, and tried again")
        assert site.publisher.is_alive
        assert 0 < broker.streamed < SIZE, "a broker that is left cannot send the rest"
    finally:
        site.stop()
        broker.close()
