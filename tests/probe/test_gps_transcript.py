"""gpsd's recorded dialogue through gpsd-py3 and our guard, cut at every offset, byte by byte, with its end withheld."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gpsd
import pytest

from probe.core.tpv import Fix, parse_poll
from probe.devices import gps

DATA = Path(__file__).parents[2] / "sim" / "data" / "at-transcripts.json"
LAB = next(t for t in json.loads(DATA.read_text()) if t["id"] == "gpsd-3.22-lab")
GREETING, WATCHED = (exchange["rx"].encode() for exchange in LAB["exchanges"][:2])
POLLS = [exchange["rx"].encode() for exchange in LAB["exchanges"][2:]]


class Daemon:
    """The recorded gpsd behind a loopback port; `say` sends what it answers to the next ?POLL."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.say: Callable[[socket.socket], None] = lambda _peer: None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer, suppress(ConnectionError):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(GREETING)
            heard = b""
            while part := peer.recv(4096):
                heard += part
                while b"\n" in heard:
                    line, _, heard = heard.partition(b"\n")
                    self.say(peer) if line.startswith(b"?POLL") else peer.sendall(WATCHED)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    gps._guard_library()
    gpsd.connect("127.0.0.1", daemon.port)
    yield daemon
    gps._disconnect()
    daemon.close()


def poll() -> Fix | None:
    gpsd.gpsd_socket.begin_turn()
    return parse_poll(gpsd.get_current())


def send(*pieces: bytes) -> Callable[[socket.socket], None]:
    def say(peer: socket.socket) -> None:
        for piece in pieces:
            peer.sendall(piece)

    return say


def whole(octets: bytes) -> Fix | None:
    report: dict[str, Any] = json.loads(octets)
    return parse_poll(report)


def outcome(daemon: Daemon, *pieces: bytes) -> Fix | None:
    """Poll once, answered in pieces."""
    daemon.say = send(*pieces)
    return poll()


@pytest.mark.parametrize("octets", POLLS, ids=[exchange["cmd"] for exchange in LAB["exchanges"][2:]])
def test_a_cut_anywhere_changes_nothing(daemon: Daemon, octets: bytes) -> None:
    due = whole(octets)
    assert outcome(daemon, octets) == due
    assert outcome(daemon, *(octets[i : i + 1] for i in range(len(octets)))) == due
    for cut in range(1, len(octets)):
        assert outcome(daemon, octets[:cut], octets[cut:]) == due


def test_a_line_between_ends_the_connection_and_is_never_taken_for_a_fix(daemon: Daemon) -> None:
    """gpsd-py3 awaits one line: a DEVICE report in its place must not shift every answer behind it by one."""
    daemon.say = send(b'{"class":"DEVICE","path":"/dev/pts/0","activated":0}\n', POLLS[2])
    with pytest.raises(Exception, match=r"Unexpected message|DEVICE"):
        poll()


def test_a_withheld_line_end_is_no_fix(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gps, "TURN_LIMIT_S", 0.3)
    daemon.say = send(POLLS[2].rstrip(b"\n"))
    with pytest.raises(TimeoutError):
        poll()
