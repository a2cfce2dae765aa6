"""Our engine and our point over TLS: the same figures as over plain TCP, and no figure from a stranger."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from probe import terms
from probe.devices.throughput import DosongEngine, EngineRequest, EngineResult
from probe.settings import load
from tests.probe.test_engine_link import EngineSite
from tests.probe.test_throughput import PAYLOAD_SHARE, POINT, POINT_PORT, _end, _until
from wire import note, notes
from wire.errors import Misconfigured
from wire.keyfile import write_signer

ORIGIN, TLS_PORT = "dosong.example", 7443


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for the point's addresses, pinned by its own file."""

    cert: Path
    key: Path


def _certificate(folder: Path, name: str, *, begins_in: timedelta = timedelta(days=-1)) -> Certificate:
    folder.mkdir(exist_ok=True)
    key, begins = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC) + begins_in
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in (POINT, "127.0.0.1")]
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=400))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}-key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key_file.write_bytes(key.private_bytes(pem, pkcs8, plain))
    return Certificate(cert_file, key_file)


def _settings(folder: Path, certificate: Certificate, signer: note.Signer, tls_port: int) -> Path:
    if not (folder / "point.key").exists():
        write_signer(folder / "point.key", signer)
    path = folder / "point.toml"
    path.write_text(
        f'[point]\norigin = "{ORIGIN}"\npoint = "hn-1"\nkey_file = "point.key"\ntls_port = {tls_port}\n'
        f'tls_cert_file = "{certificate.cert.name}"\ntls_key_file = "{certificate.key.name}"\n'
    )
    return path


@pytest.fixture(scope="module")
def signer() -> note.Signer:
    return note.Signer.generate(f"{ORIGIN}/point/hn-1")


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory, signer: note.Signer) -> Iterator[tuple[EngineSite, Certificate]]:
    """The shaped link, and our own point behind it with both ports."""
    folder = tmp_path_factory.mktemp("tls")
    pinned, ready = _certificate(folder, "pinned"), folder / "ready.json"
    site = EngineSite()
    point: subprocess.Popen[str] | None = None
    try:
        site.build()
        site.shape(20)
        options = ("--config", str(_settings(folder, pinned, signer, TLS_PORT)), "--port", str(POINT_PORT))
        point = site.start(site.server, "-m", "point", *options, "--json-ready", str(ready), stderr=subprocess.DEVNULL)
        _until(ready.exists)
        yield site, pinned
    finally:
        if point is not None:
            _end(point)
        site.destroy()


@pytest.mark.netns
@pytest.mark.parametrize("is_tls", [True, False])
def test_a_link_gives_one_figure_over_tls_and_without(
    shaped: tuple[EngineSite, Certificate], signer: note.Signer, is_tls: bool
) -> None:
    site, pinned = shaped
    changes = {"server_port": TLS_PORT, "tls_ca_file": str(pinned.cert)} if is_tls else {}
    result = next(one for _ in range(5) if (one := site.measure(**changes).result).cause != "server_busy")
    assert (result.outcome, result.stage, result.cause) == ("ok", None, None)
    for bps in (result.downlink_bps, result.uplink_bps):
        assert bps == pytest.approx(20e6 * PAYLOAD_SHARE, rel=0.01)
    assert (result.downlink_stop, result.uplink_stop) == ("precise", "precise")
    key = note.parse_vkey(signer.verifier.vkey)
    for receipt, mine in zip(result.receipts, (result.downlink_bytes, result.uplink_bytes), strict=True):
        opened = notes.open_note(base64.b64decode(receipt), notes.Receipt, ORIGIN, key)
        assert 0.97 * (mine or 0) < opened.bytes < 1.5 * (mine or 0), "the tail after the stop is the point's alone"
        assert opened.rtt_us_min is not None, "nothing stands before the point: it sees the probe's TCP"


@pytest.fixture
def local(tmp_path: Path, signer: note.Signer, request: pytest.FixtureRequest) -> Iterator[tuple[int, Certificate]]:
    """Our point on loopback, with a certificate that begins when the test wants it to."""
    shown = _certificate(tmp_path, "shown", begins_in=getattr(request, "param", timedelta(days=-1)))
    ready = tmp_path / "ready.json"
    argv = [sys.executable, "-m", "point", "--config", str(_settings(tmp_path, shown, signer, 0)), "--port", "0"]
    point = subprocess.Popen([*argv, "--bind", "127.0.0.1", "--json-ready", str(ready)], stderr=subprocess.DEVNULL)
    try:
        _until(ready.exists)
        yield int(json.loads(ready.read_text())["tls_port"]), shown
    finally:
        point.kill()
        point.wait()


def _run(port: int, ca_file: Path) -> EngineResult:
    request = EngineRequest(
        "lo", "127.0.0.1", port, "p1", probe="p-abc", busy_wait_s=0, quiet_wait_s=0, tls_ca_file=str(ca_file),
        max_downlink_bytes=1_000_000, max_uplink_bytes=1_000_000,
    )  # fmt: skip
    return DosongEngine().run(request)


def _failed(result: EngineResult) -> tuple[str, str | None, str | None, int | None, int | None]:
    return result.outcome, result.stage, result.cause, result.downlink_bps, result.uplink_bps


def test_a_stranger_with_a_certificate_of_his_own_is_taken_for_a_portal(
    local: tuple[int, Certificate], tmp_path: Path
) -> None:
    other = _certificate(tmp_path / "other", "shown")
    assert _failed(_run(local[0], other.cert)) == ("failed", "connect", "captive", None, None)
    assert _run(local[0], local[1].cert).ticket is not None, "the right one is let in"


@pytest.mark.parametrize("local", [timedelta(days=2)], indirect=True)
def test_a_certificate_from_the_future_is_our_clocks_fault(local: tuple[int, Certificate]) -> None:
    assert _failed(_run(local[0], local[1].cert)) == ("failed", "connect", "clock", None, None)


def test_an_answer_that_is_no_tls_is_a_portal(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n<html>top up</html>")

        thread = threading.Thread(target=answer)
        thread.start()
        result = _run(listener.getsockname()[1], _certificate(tmp_path, "any").cert)
        thread.join(10)
    assert _failed(result) == ("failed", "connect", "captive", None, None)


def _probe_toml(folder: Path, engine: str) -> Path:
    path = folder / "probe.toml"
    path.write_text(
        f'origin = "{ORIGIN}"\nprobe = "p-abc"\nsite = "s-1"\nkey_file = "k"\nstate_dir = "s"\nack_vkey = "'
        f'{note.Signer.generate(f"{ORIGIN}/ack").verifier.vkey}"\n[schedule]\nslot_s = 3600\nseed = "{"0" * 64}"\n'
        f'[[modem]]\nid = "m1"\nport = "/dev/ttyUSB2"\ninterface = "wwan0"\n[engine]\n{engine}\n'
    )
    return path


def test_settings_name_the_one_file_that_is_believed_and_refuse_what_cannot_be_checked(tmp_path: Path) -> None:
    pinned = _certificate(tmp_path, "pinned")
    good = load(_probe_toml(tmp_path, 'name = "dosong"\nserver = "https://198.18.0.1:7443"\nca_file = "pinned.pem"'))
    assert good.engine.is_tls
    assert good.path(good.engine.ca_file or "") == pinned.cert
    assert terms.request(good.engine, "wwan0").server_port == 7443
    for engine, words in (
        ('name = "dosong"\nserver = "https://198.18.0.1"', "ca_file is missing"),
        ('name = "speedtest-cli"\nserver = "https://198.18.0.1"\nca_file = "pinned.pem"', "speedtest-cli cannot"),
        ('name = "dosong"\nserver = "http://198.18.0.1"\nca_file = "pinned.pem"', "server is http"),
        ('name = "dosong"\nserver = "https://198.18.0.1"\nca_file = "none.pem"', "No such file"),
        ('name = "dosong"\nserver = "https://198.18.0.1"\nca_file = "pinned-key.pem"', "PEM certificate"),
    ):
        with pytest.raises(Misconfigured, match=words):
            load(_probe_toml(tmp_path, engine))
