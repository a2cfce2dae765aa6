"""GpsReader against a real gpsd fed by a pty, and against servers that gpsd-py3 alone would wait on for ever."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import reduce
from pathlib import Path

import pytest

from probe.core.tpv import Fix
from probe.devices.gps import POSITION_BOUND_S, GpsReader
from wire.errors import Misconfigured

pytestmark = pytest.mark.services

GPSD = shutil.which("gpsd") or "/usr/sbin/gpsd"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def sentence(body: str) -> bytes:
    checksum = reduce(lambda total, char: total ^ ord(char), body, 0)
    return f"${body}*{checksum:02X}\r\n".encode()


def epoch(second: int) -> bytes:
    clock = f"12{second // 60 % 60:02d}{second % 60:02d}.00"
    place = "2101.7107,N,10548.2890,E"
    return b"".join(
        (
            sentence(f"GPRMC,{clock},A,{place},0.0,0.0,010226,,,A"),
            sentence(f"GPGGA,{clock},{place},1,07,1.2,12.5,M,-28.0,M,,"),
            sentence("GPGSA,A,3,02,05,12,15,24,25,29,,,,,,2.1,1.2,1.7"),
        )
    )


class Receiver:
    """A position receiver on a pty; its clock runs on while it is fed."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        Path(self.path).chmod(0o666)  # gpsd gives root up before it opens the port
        os.set_blocking(self.master, False)
        self.is_fed = threading.Event()
        self.is_fed.set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def _feed(self) -> None:
        second = 0
        while not self._stop.wait(0.25):
            second += 1
            if self.is_fed.is_set():
                with suppress(BlockingIOError):
                    os.read(self.master, 4096)  # gpsd's own probes of the receiver
                with suppress(BlockingIOError):
                    os.write(self.master, epoch(second))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        os.close(self.master)
        os.close(self._slave)


@contextmanager
def gpsd_on(port: int, receiver: Receiver) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [GPSD, "-N", "-n", "-b", "-S", str(port), receiver.path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def until(reader: GpsReader, is_wanted: Callable[[Fix | None], bool], within_s: float) -> Fix | None:
    """Ask again until the answer is wanted; each answer within the bound."""
    end_s = time.monotonic() + within_s
    while True:
        began_s = time.monotonic()
        fix = reader.position()
        assert time.monotonic() - began_s < POSITION_BOUND_S + 0.5
        if is_wanted(fix):
            return fix
        assert time.monotonic() < end_s, f"still {fix}"
        threading.Event().wait(0.2)


def is_fix(fix: Fix | None) -> bool:
    return fix is not None


def is_none(fix: Fix | None) -> bool:
    return fix is None


def test_a_fix_comes_ends_with_the_feed_and_survives_gpsd(receiver: Receiver) -> None:
    port = free_port()
    # Its clock runs three times as fast, so that a fix is stale after 3.3 s and not after 10.
    with closing(GpsReader("127.0.0.1", port, retry_s=0.3, monotonic=lambda: 3 * time.monotonic())) as reader:
        with gpsd_on(port, receiver):
            fix = until(reader, is_fix, 20)
            assert fix is not None
            assert (fix.lat_e7, fix.lon_e7) == (pytest.approx(210285117, abs=20), pytest.approx(1058048167, abs=20))
            assert fix.age_ms <= 10_000
            assert fix.t_ms is not None
            receiver.is_fed.clear()
            stopped_s = time.monotonic()
            until(reader, is_none, 14)
            assert time.monotonic() - stopped_s > 1.7, "one missed second is no loss"
            receiver.is_fed.set()
            until(reader, is_fix, 15)
        until(reader, is_none, 5)
        with gpsd_on(port, receiver):
            until(reader, is_fix, 20)


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[float]]]:
    """A TCP server that runs `serve` on each connection again and again; gives its port and when each came."""
    accepted_s: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()

    def converse(connection: socket.socket) -> None:
        connection.settimeout(0.2)
        with connection, suppress(OSError):
            while not stop.is_set():
                serve(connection)

    def run() -> None:
        talks: list[threading.Thread] = []
        while not stop.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                accepted_s.append(time.monotonic())
                talks.append(threading.Thread(target=converse, args=(connection,), daemon=True))
                talks[-1].start()
        for talk in talks:
            talk.join(10)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        port: int = listener.getsockname()[1]
        yield port, accepted_s
    finally:
        stop.set()
        thread.join(20)
        listener.close()


def stay_silent(_: socket.socket) -> None:
    threading.Event().wait(0.1)


def drip(connection: socket.socket) -> None:
    connection.sendall(b" ")
    threading.Event().wait(0.05)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"x" * 65_536)


ODD_ANSWERS = (
    b'{"class":"POLL","active":1,"tpv":[],"sky":[]}',
    b'{"class":"POLL","active":1}',
    b'{"class":"DEVICE","path":"/dev/ttyUSB9","activated":0}',
    b"[]",
    b"no JSON",
)


def answer_oddly(connection: socket.socket) -> None:
    connection.settimeout(5)
    connection.sendall(b'{"class":"VERSION"}\n')
    connection.recv(1000)
    connection.sendall(b'{"class":"DEVICES","devices":[]}\n{"class":"WATCH"}\n')
    for answer in ODD_ANSWERS:
        connection.recv(1000)
        connection.sendall(answer + b"\n")
    raise ConnectionError


@pytest.mark.rates
@pytest.mark.parametrize("serve", [stay_silent, drip, flood, answer_oddly])
def test_a_server_that_misbehaves_is_no_fix_within_the_bound(serve: Callable[[socket.socket], None]) -> None:
    with server(serve) as (port, accepted_s), closing(GpsReader("127.0.0.1", port, retry_s=0.2)) as reader:
        began_s = time.monotonic()
        assert reader.position() is None
        assert time.monotonic() - began_s < POSITION_BOUND_S + 0.5
        while len(accepted_s) < 2:
            assert time.monotonic() < began_s + 10, "the worker never leaves a connection that gives nothing"
            threading.Event().wait(0.1)
        worker = reader._thread
        began_s = time.monotonic()
        reader.close()
        assert time.monotonic() - began_s < 4
        assert not worker.is_alive(), "the worker never hangs"


@pytest.mark.rates
def test_no_gpsd_at_all_is_no_fix_at_once() -> None:
    reader = GpsReader("127.0.0.1", free_port(), retry_s=0.2)
    began_s = time.monotonic()
    assert reader.position() is None
    assert time.monotonic() - began_s < 1
    reader.close()
    reader.close()


def test_a_second_reader_in_one_process_is_refused_until_the_first_is_closed() -> None:
    with closing(GpsReader("127.0.0.1", free_port())), pytest.raises(Misconfigured, match="already"):
        GpsReader("127.0.0.1", free_port())
    GpsReader("127.0.0.1", free_port()).close()
