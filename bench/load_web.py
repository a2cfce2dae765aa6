"""Slow clients on the pages as they are deployed: nginx with our generated configuration, gunicorn on a unix socket.

Each slow client sends the beginning of a request and then a header's byte a second, from an address of its own in
127.0.0.0/8 (30 to an address, as phones behind an operator's NAT), and begins anew when it is hung up on. Beside them
one visitor asks for a page over TLS, again and again: how long does it wait, and does it ever get nothing?
Source: facts note 08 §2 (what gunicorn alone does), §7.2 row 20.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from bench.pipeline_bed import free_port, program, until
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.settings import read_settings
from provisioning import deployment, pki, proxy

NAME = "pages.example"
FOR_S, PACE_S, A_ADDRESS = 30.0, 0.1, 30
HALF = b"GET / HTTP/1.1\r\nHost: pages.example\r\nX-Slow: "


class Slow(threading.Thread):
    """All slow clients in one thread."""

    def __init__(self, port: int, count: int, tls: ssl.SSLContext) -> None:
        super().__init__(daemon=True)
        self._port, self._tls = port, tls
        self._lines: list[ssl.SSLSocket | None] = [None] * count
        self.ended = threading.Event()
        self.opened = 0

    def run(self) -> None:
        """Open what is closed, send a byte on each, once a second."""
        while not self.ended.is_set():
            began_s = time.monotonic()
            for number, line in enumerate(self._lines):
                if self.ended.is_set():
                    break
                self._lines[number] = self._dribble(line) if line is not None else self._open(number)
            self.ended.wait(max(0.0, 1.0 - (time.monotonic() - began_s)))
        for line in self._lines:
            if line is not None:
                line.close()

    def _open(self, number: int) -> ssl.SSLSocket | None:
        raw = socket.socket()
        raw.settimeout(5)
        try:
            place = number // A_ADDRESS
            raw.bind((f"127.1.{place // 250}.{place % 250 + 1}", 0))
            raw.connect(("127.0.0.1", self._port))
            line = self._tls.wrap_socket(raw, server_hostname=NAME)
            line.sendall(HALF)
        except OSError:
            raw.close()
            return None
        self.opened += 1
        return line

    @staticmethod
    def _dribble(line: ssl.SSLSocket) -> ssl.SSLSocket | None:
        try:
            line.sendall(b"x")
        except OSError:
            line.close()
            return None
        return line


def measure(folder: Path, slow: int) -> dict[str, float]:
    """Ask for a page for 30 seconds beside so many slow clients."""
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    config = _deployment(folder)
    port, roots = _nginx_files(folder)
    tls = ssl.create_default_context(cadata=roots.decode())
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    with program([sys.executable, "-m", "collector", "web", "--config", str(config)], folder / "web.log"):
        until((folder / "web.sock").exists, 60)
        with program([nginx, "-c", str(folder / "nginx.conf")], folder / "nginx.out"):
            until(lambda: _asked(port, tls) is not None, 60)
            enemies = Slow(port, slow, tls)
            enemies.start()
            until(lambda: enemies.opened >= slow, 120)
            found = _ask_on(port, tls)
            enemies.ended.set()
            enemies.join(30)
    good = sorted(one for one in found if one is not None)
    p = {f"p{n}_s": good[min(len(good) - 1, len(good) * n // 100)] if good else float("inf") for n in (50, 99)}
    return {"slow": slow, "asked": len(found), "failed": len(found) - len(good), "opened": enemies.opened, **p}


def _ask_on(port: int, tls: ssl.SSLContext) -> list[float | None]:
    found: list[float | None] = []
    end_s = time.monotonic() + FOR_S
    while time.monotonic() < end_s:
        found.append(_asked(port, tls))
        time.sleep(PACE_S)
    return found


def _asked(port: int, tls: ssl.SSLContext) -> float | None:
    """Seconds from connecting to the page's last byte; None if it did not come."""
    began_s = time.monotonic()
    with suppress(OSError, http.client.HTTPException), closing(http.client.HTTPSConnection(NAME, context=tls)) as line:
        raw = socket.create_connection(("127.0.0.1", port), 10)
        line.sock = tls.wrap_socket(raw, server_hostname=NAME)
        line.request("GET", "/hamlets")
        answer = line.getresponse()
        answer.read()
        return time.monotonic() - began_s if answer.status == 200 else None
    return None


def _deployment(folder: Path) -> Path:
    plan = deployment.Plan(
        "dosong.example", "127.0.0.1", free_port(), "127.0.0.1", f"unix:{folder}/web.sock", "http://127.0.0.1:1",
        "dosong", "root", False, folder / "c.sock",
    )  # fmt: skip
    made = deployment.init(folder / "d", plan, datetime.now(UTC))
    config = made.collector / "collector.toml"
    settings = read_settings(config)
    settings.state.mkdir(parents=True, exist_ok=True)
    SqliteLedger(settings.ledger).close()
    Registry(settings.registry).close()
    return config


def _nginx_files(folder: Path) -> tuple[int, bytes]:
    """nginx.conf as Debian ships it (workers, connections) around our own file."""
    now, https = datetime.now(UTC), free_port()
    public = pki.make_root("public", now)
    pki.save(pki.make_server(public, (NAME,), now), folder / "web.key", folder / "web.pem")
    text = proxy.text(
        proxy.Proxy(
            name=NAME, certificate=folder / "web.pem", key=folder / "web.key", enrol_name="127.0.0.1",
            enrol_certificate=folder / "web.pem", enrol_key=folder / "web.key", web_socket=folder / "web.sock",
            enrol_socket=folder / "enrol.sock", acme=folder / "acme", http=f"127.0.0.1:{free_port()}",
            https=f"127.0.0.1:{https}", enrol=f"127.0.0.1:{free_port()}",
        )
    )  # fmt: skip
    (folder / "dosong.conf").write_text(text)
    temporary = "".join(
        f"{n}_temp_path {folder}/t-{n};\n" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"user root;\ndaemon off;\nworker_processes auto;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/nginx.log warn;\n"
        f"events {{ worker_connections 768; }}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/dosong.conf;\n}}\n"
    )
    return https, pki.pem_of(public.certificate)
