"""The generated nginx configuration, in a real nginx, with the real enrolment door behind it."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from probe import enrol
from provisioning import authority, pki, proxy
from provisioning.proxy import Proxy
from tests.provisioning.identity_kit import Office, free_port, listens, make_office, until
from wire.errors import Misconfigured

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")
pytestmark = [
    pytest.mark.services,
    pytest.mark.xdist_group("proxy"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]
NAME = "pages.example"


class _Echo(BaseHTTPRequestHandler):
    """Stands for the pages: answers with the headers that reached it."""

    def do_GET(self) -> None:
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (the library's name)

    def address_string(self) -> str:
        return ""

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


class _Pages(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx."""

    office: Office
    http: int
    https: int
    root: bytes

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root.decode())

    def ask(
        self, method: str, path: str, body: bytes = b"", port: int = 0, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """One question to the pages (or to `port`); status, body, headers."""
        raw = socket.create_connection(("127.0.0.1", port or self.https), 20)
        name = "127.0.0.1" if port else NAME
        made = http.client.HTTPSConnection(name, context=self.context())
        made.sock = self.context().wrap_socket(raw, server_hostname=name)
        try:
            made.request(method, path, body or None, headers)
            answer = made.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.getheaders())
        finally:
            made.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    root = tmp_path_factory.mktemp("front")
    office = make_office(root)
    settings = office.where.collector / "collector.toml"
    door = re.sub(r'\[enrol\]\nbind = "[^"]*"', f'[enrol]\nbind = "unix:{root}/enrol.sock"', settings.read_text())
    settings.write_text(re.sub(r"cert_file = .*\ntls_key_file = .*\n", "", door))
    office.start("provisioning", "ca", "serve", "--dir", str(office.where.root))
    office.start("collector", "enrol", "--config", str(settings))
    pages = _Pages(str(root / "web.sock"), _Echo)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    (root / "web.sock").chmod(0o777)
    nginx, made = _start_nginx(office, root)
    try:
        until(lambda: listens(office.enrol_port) and (root / "enrol.sock").exists(), what="nginx and the door")
        until((office.where.ca / "ca.sock").exists, what="the authority")
        yield made
    finally:
        nginx.terminate()
        nginx.wait(15)
        pages.shutdown()
        pages.server_close()
        office.close()


def _start_nginx(office: Office, root: Path) -> tuple[subprocess.Popen[bytes], Front]:
    now, http_port, https_port = datetime.now(UTC), free_port(), free_port()
    public = pki.make_root("public", now)  # stands for an authority that browsers trust
    pki.save(pki.make_server(public, (NAME,), now), root / "web.key", root / "web.pem")
    (root / "acme/.well-known/acme-challenge").mkdir(parents=True)
    (root / "acme/.well-known/acme-challenge/token").write_text("answer")
    text = proxy.text(
        Proxy(
            name=NAME, certificate=root / "web.pem", key=root / "web.key", enrol_name="127.0.0.1",
            enrol_certificate=office.where.root / "enrol/server.crt", enrol_key=office.where.root / "enrol/server.key",
            web_socket=root / "web.sock", enrol_socket=root / "enrol.sock", acme=root / "acme",
            http=f"127.0.0.1:{http_port}", https=f"127.0.0.1:{https_port}", enrol=f"127.0.0.1:{office.enrol_port}",
        )
    )  # fmt: skip
    (root / "dosong.conf").write_text(text)
    user = "user root;\n" if os.geteuid() == 0 else ""
    folders = "".join(
        f"{name}_temp_path {root}/t-{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (root / "nginx.conf").write_text(
        f"{user}daemon off;\npid {root}/nginx.pid;\nerror_log {root}/nginx.log warn;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}include {root}/dosong.conf;\n}}\n"
    )
    argv = [str(NGINX), "-c", str(root / "nginx.conf")]
    tried = subprocess.run([*argv, "-t"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert "warn" not in tried.stderr
    running = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    until(lambda: listens(https_port), what="nginx")
    roots = pki.pem_of(public.certificate) + authority.load(office.where.ca).root
    return running, Front(office, http_port, https_port, roots)


def test_a_probe_enrols_through_nginx(front: Front, tmp_path: Path) -> None:
    done = enrol.enrol(front.office.claim("p-front"), tmp_path / "p")
    assert done.probe == "p-front"
    assert front.office.alarms() == {}


def test_door_takes_four_posts_and_nothing_else(front: Front) -> None:
    port = front.office.enrol_port
    assert front.ask("POST", "/enrol/v1/nonce", port=port)[0] == 200
    for method, path in (("GET", "/enrol/v1/nonce"), ("POST", "/enrol/v1/sign"), ("GET", "/"), ("POST", "/login")):
        assert front.ask(method, path, port=port)[0] in {403, 404}, (method, path)
    assert front.ask("POST", "/enrol/v1/claim", b"x" * 40_000, port=port)[0] == 413
    assert front.ask("POST", "/enrol/v1/claim", b"{}", port=port)[0] == 400
    assert front.ask("POST", "/enrol/v1/nonce")[0] == 404, "not at the pages' port"


def test_visitor_cannot_say_his_own_address(front: Front, tmp_path: Path) -> None:
    status, text, headers = front.ask("GET", "/x", **{"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher"})
    assert status == 200
    assert "6.6.6.6" not in text
    assert "gopher" not in text
    assert "X-Forwarded-For: 127.0.0.1" in text
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Content-Security-Policy"] == "default-src 'self'", "the application's own headers pass"
    assert "nginx/" not in headers.get("Server", "")


def test_large_and_strange_requests_end_at_nginx(front: Front) -> None:
    assert front.ask("POST", "/x", b"x" * 70_000)[0] == 413
    assert front.ask("GET", "/x", **{"X-Big": "y" * 40_000})[0] == 400
    with pytest.raises((http.client.HTTPException, OSError)):
        front.ask("GET", "/", Host="other.example")


def test_plain_http_is_redirected_and_answers_acme(front: Front) -> None:
    made = http.client.HTTPConnection("127.0.0.1", front.http, timeout=20)
    made.request("GET", "/hamlets?x=1", headers={"Host": NAME})
    answer = made.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{NAME}/hamlets?x=1")
    answer.read()
    made.request("GET", "/.well-known/acme-challenge/token", headers={"Host": NAME})
    assert made.getresponse().read() == b"answer"
    made.close()


def _cipher(front: Front, change: ssl.SSLContext) -> str:
    raw = socket.create_connection(("127.0.0.1", front.https), 20)
    with change.wrap_socket(raw, server_hostname=NAME) as made:
        return f"{made.version()} {(made.cipher() or ('',))[0]}"


def test_android_7_comes_in_and_old_tls_does_not(front: Front) -> None:
    """Android 7.0: TLS 1.2, P-256 alone, these suites (its platform's documentation)."""
    phone = front.context()
    phone.maximum_version = ssl.TLSVersion.TLSv1_2
    phone.set_ecdh_curve("prime256v1")
    phone.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    assert _cipher(front, phone).startswith("TLSv1.2 ECDHE-ECDSA")
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{front.https}", "-servername", NAME, "-tls1_1"]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    assert "Cipher is (NONE)" in done.stdout


def test_slow_clients_keep_nobody_out(front: Front) -> None:
    """40 half requests from one address (its whole share) are hung up on; the next one is served."""
    slow = []
    for _ in range(39):
        raw = socket.create_connection(("127.0.0.1", front.https), 20)
        made = front.context().wrap_socket(raw, server_hostname=NAME)
        made.sendall(b"GET / HTTP/1.1\r\nHost: pages.example\r\nX-Slow: ")
        slow.append(made)
    try:
        assert front.ask("GET", "/")[0] in {200, 429}
        for made in slow:
            made.settimeout(60)
            with suppress(OSError):
                while made.recv(4096):
                    pass
        assert front.ask("GET", "/")[0] == 200
    finally:
        for made in slow:
            made.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a; include /etc/passwd"),
        ("certificate", Path("/x;}")),
        ("http", "80 default_server"),
        ("key", Path("x")),
    ],
)
def test_nothing_can_be_smuggled_into_the_configuration(field: str, value: object) -> None:
    good: dict[str, object] = {
        **dict.fromkeys(("name", "enrol_name"), "a.example"),
        **dict.fromkeys(
            ("certificate", "key", "enrol_certificate", "enrol_key", "web_socket", "enrol_socket", "acme"), Path("/x")
        ),
    }
    proxy.text(Proxy(**good))  # type: ignore[arg-type]
    with pytest.raises(Misconfigured):
        proxy.text(Proxy(**{**good, field: value}))  # type: ignore[arg-type]
