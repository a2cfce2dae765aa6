"""A part that is missing or misconfigured: one clear sentence that says what to do, and 78 for configuration only.

Two tables. `MISTAKES`: what a person must put right; the program says so and ends with 78. The tests behind it: what
comes back by itself or is put right while the program waits; the program says it once, keeps trying, and recovers.
Read every sentence as a technician alone in a village would.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from collector.health import now_ms, read_health
from collector.ledger_write import SqliteLedger
from provisioning import pki
from sim import nmea, pty
from sim.programs import free_port, module, program_path, run
from tests.collector.kit import Influx, Service, running, until

ORIGIN = "dosong.example"
PROBE = "p-one"
UNITS = """
[[provinces]]
code = "19"
name = "Thái Nguyên"
[[communes]]
code = "05755"
name = "Xã Dân Tiến"
province = "19"
[[hamlets]]
code = "h-one"
name = "Làng Mười"
kind = "xóm"
commune = "05755"
[[sites]]
code = "s-one"
hamlet = "h-one"
name = "Nhà văn hóa"
"""
PROBE_SETTINGS = """
state_dir = "state"
simulated = true
site = "s-one"
[broker]
host = "127.0.0.1"
port = {port}
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
retry_low_s = 0.2
retry_high_s = 1
resend_low_s = 1
resend_high_s = 3
[clock]
trust = "always"
[schedule]
slot_s = 86400
seed = "{seed}"
[coverage]
step_s = 1
steps = 2
poll_s = 1
[gps]
port = {gps}
[engine]
server = "http://127.0.0.1:9/speedtest/upload.php"
[[modem]]
id = "m1"
port = "no-such-modem"
interface = "lo"
"""


@dataclass(slots=True)
class Place:
    """One deployment as dosong-provision makes it, in a folder of its own; nothing runs yet."""

    root: Path
    port: int
    web: int
    influx: int
    gps: int

    @property
    def collector(self) -> Path:
        return self.root / "collector"

    @property
    def probe(self) -> Path:
        return self.root / "probes" / PROBE

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    def settings(self, program: str) -> Path:
        return self.collector / "collector.toml" if program == "collector" else self.probe / "probe.toml"

    def edit(self, program: str, old: str, new: str) -> None:
        """Change one thing in a settings file."""
        path = self.settings(program)
        text = path.read_text()
        assert old in text, old
        path.write_text(text.replace(old, new, 1))

    def argv(self, program: str, *words: str) -> list[str]:
        return module(program, *words, "--config", str(self.settings(program)))

    def service(self, program: str, *words: str) -> Service:
        """A program of ours, not yet started."""
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        return Service(self.argv(program, *words), self.root / f"{program}-{words[0]}.log", env)

    def mosquitto(self) -> Service:
        return Service([program_path("mosquitto"), "-c", str(self.broker / "mosquitto.conf")], self.root / "mq.log")

    def acknowledged(self) -> bool:
        """Whether the probe holds a receipt for a record of its own."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_read_only(self.probe / "state/spool.db")) as db:
            return bool(db.execute("SELECT count(*) FROM record WHERE place = 1").fetchone()[0])
        return False


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A deployment made once; every test gets a copy."""
    folder = tmp_path_factory.mktemp("missing")
    made = Place(folder / "d", free_port(), free_port(), free_port(), free_port())
    where = ["--dir", str(made.root)]
    run(
        *module("provisioning", "init", *where, "--origin", ORIGIN, "--host", "127.0.0.1", "--bind", "127.0.0.1"),
        *("--port", str(made.port), "--web-bind", f"127.0.0.1:{made.web}", "--broker-user", "root"),
        *("--influx-url", f"http://127.0.0.1:{made.influx}", "--socket", str(made.root / "c.sock")),
    )
    (folder / "units.toml").write_text(UNITS)
    run(*module("provisioning", "import", *where, str(folder / "units.toml")))
    run(*module("provisioning", "add-probe", *where, PROBE, "--site", "s-one", "--simulated"))
    text = PROBE_SETTINGS.format(port=made.port, seed="5" * 64, gps=made.gps)
    (made.probe / "probe.toml").write_text((made.probe / "identity.toml").read_text() + text)
    return made


@pytest.fixture
def place(tmp_path: Path, deployment: Place) -> Place:
    root = tmp_path / "d"
    shutil.copytree(deployment.root, root)
    for path in (root / "collector/collector.toml", root / "broker/mosquitto.conf"):
        path.write_text(path.read_text().replace(str(deployment.root), str(root)))
    return replace(deployment, root=root)


@contextlib.contextmanager
def taken(port: int) -> Iterator[None]:
    """Another program listens there."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def _no_file(path: str) -> Callable[[Place], object]:
    return lambda place: (place.root / path).unlink()


def _holds(path: str, text: str) -> Callable[[Place], object]:
    return lambda place: (place.root / path).write_text(text)


def _open(path: str) -> Callable[[Place], object]:
    return lambda place: (place.root / path).chmod(0o644)


def _copy(source: str, target: str) -> Callable[[Place], object]:
    return lambda place: shutil.copy(place.root / source, place.root / target)


def _edit(program: str, old: str, new: str) -> Callable[[Place], object]:
    return lambda place: place.edit(program, old, new)


def _state_is_a_file(place: Place) -> None:
    shutil.rmtree(place.collector / "state")
    (place.collector / "state").write_text("")


TLS = (
    'host = "127.0.0.1"\nca_file = "../broker/ca.crt"\ncert_file = "../broker/server.crt"\ntls_key_file = "tls.key"\n#'
)
OWN = "probes/p-one"
Mistake = tuple[str, str, Callable[[Place], object], str]
MISTAKES: list[Mistake] = [
    # program, command, what is wrong, what the sentence says (and says to do)
    ("collector", "run", _no_file("collector/collector.toml"), "No such file or directory; make them with dosong-prov"),
    ("collector", "run", _edit("collector", "[broker]", "[broker"), r"is not TOML: .*line \d+.*; correct that line"),
    ("collector", "run", _edit("collector", "[web]", "[wbe]"), "unknown key `wbe` at the top level; remove it or"),
    (
        "collector",
        "run",
        _edit("collector", "bind =", "bnid ="),
        r"unknown key `bnid` in \[web\]; remove it or correct",
    ),
    (
        "collector",
        "run",
        _edit("collector", "database =", "#"),
        'api v1 needs database; write for example database = "',
    ),
    (
        "collector",
        "run",
        _edit("collector", "= false", '= "no"'),
        "demo: Expected `bool`, got `str`; write such a value",
    ),
    (
        "collector",
        "run",
        _edit("collector", "//127.0.0.1:", "//127.0.0.1;"),
        "influx.url: expected http://HOST:PORT, .*; write such",
    ),
    (
        "collector",
        "run",
        _edit("collector", 'bind = "127.0.0.1:', 'bind = "127.0.0.1;'),
        "web.bind: expected HOST:PORT .*; write such",
    ),
    (
        "collector",
        "run",
        _edit("collector", 'bind = "127.0.0.1', 'bind = "198.18.7.7'),
        "give an address of this machine",
    ),
    ("collector", "run", _no_file("collector/ack.key"), "cannot read key file .*ack.key: No such file.*; make it with"),
    ("collector", "run", _open("collector/ack.key"), "can be read by others; run: chmod 600 .*ack.key"),
    (
        "collector",
        "run",
        _edit("collector", "ack.key", "config.key"),
        "holds the key .*/config; .*/ack is needed: name the",
    ),
    ("collector", "run", _holds("collector/ack.key", "hello"), "is no dosong key file; make one with dosong-provision"),
    ("collector", "run", _state_is_a_file, "its folder state_dir must exist and belong to this account"),
    (
        "collector",
        "run",
        _holds("collector/state/ledger.db", "x" * 5000),
        "put back its backup; it is the evidence, so never",
    ),
    (
        "collector",
        "receive",
        _holds("collector/state/registry.db", "x" * 5000),
        "cannot be read .*; put back its backup",
    ),
    (
        "collector",
        "forward",
        _holds("collector/state/forward.db", "x" * 5000),
        "move it away: forward then writes every",
    ),
    (
        "collector",
        "receive",
        _edit("collector", "socket =", TLS),
        "broker.tls_key_file: cannot read .*; correct the path",
    ),
    ("collector", "web", _no_file("collector/web.secret"), "web.secret_file: cannot read .*; create it or correct the"),
    (
        "collector",
        "forward",
        _edit("collector", "[web]", 'token_file = "no"\n[web]'),
        "influx.token_file: cannot read .*; c",
    ),
    ("probe", "run", _no_file(f"{OWN}/probe.toml"), "No such file or directory; make it with dosong-provision"),
    ("probe", "run", _edit("probe", "[gps]", "[gsp]"), "unknown field `gsp`; remove it or correct its spelling"),
    ("probe", "run", _edit("probe", "= 86400", '= "1 day"'), "slot_s = '1 day' is not allowed .*; correct it"),
    ("probe", "run", _no_file(f"{OWN}/record.key"), "cannot read key file .*; make it with dosong-provision"),
    ("probe", "run", _open(f"{OWN}/record.key"), "chmod 600"),
    (
        "probe",
        "run",
        _copy("collector/ack.key", f"{OWN}/record.key"),
        "is the key of .*/ack; put that of .*/probe/p-one",
    ),
    (
        "probe",
        "run",
        _no_file(f"{OWN}/ca.crt"),
        "broker.ca_file .*: No such file or directory; put the deployment's ca.crt there",
    ),
    ("probe", "run", _holds(f"{OWN}/ca.crt", "x"), "broker.ca_file .*; put the deployment's ca.crt there"),
    (
        "probe",
        "run",
        _copy("broker/server.key", f"{OWN}/tls.key"),
        "key values mismatch.*; make both with dosong-provision",
    ),
    ("probe", "run", _holds(f"{OWN}/state", "a file"), "state_dir .* cannot be written .*; create it and give it to"),
]


@pytest.mark.parametrize(("program", "command", "breaks", "says"), MISTAKES, ids=[f"{m[0]}: {m[3]}" for m in MISTAKES])
def test_a_mistake_is_one_sentence_with_its_remedy_and_78(
    place: Place, program: str, command: str, breaks: Callable[[Place], object], says: str
) -> None:
    breaks(place)
    done = subprocess.run(place.argv(program, command), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78, done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith(f"dosong-{program}: ")]
    assert len(sentences) == 1, done.stderr
    assert re.search(says, sentences[0]), sentences[0]
    assert "Traceback" not in done.stderr
    assert "regex" not in done.stderr


@pytest.mark.parametrize("program", ["collector", "point"])
def test_a_taken_port_is_one_sentence_and_78(place: Place, program: str) -> None:
    with taken(place.web):
        point = module("point", "--bind", "127.0.0.1", "--port", str(place.web))
        argv = point if program == "point" else place.argv("collector", "run")
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert re.search(r"stop (it|the program that uses it), or choose another", done.stderr)
    assert len(done.stderr.splitlines()) == 1


PROVISIONING: list[tuple[int, list[str], str]] = [
    (78, ["init", "--dir", "{new}", "--origin", "X Y", "--host", "h"], "--origin 'X Y': small letters"),
    (78, ["init", "--dir", "{new}", "--origin", "x.y", "--host", "h ü"], "--host 'h ü': give a plain name"),
    (
        78,
        ["init", "--dir", "{new}", "--origin", "x.y", "--host", "h", "--influx-url", "n"],
        "--influx-url 'n': give http",
    ),
    (
        78,
        ["init", "--dir", "{new}", "--origin", "x.y", "--host", "h", "--socket", "/" + "x" * 120],
        "choose a shorter path",
    ),
    (2, ["init", "--dir", "{new}", "--origin", "x.y", "--host", "h", "--port", "99999"], "is not in the range"),
    (78, ["init", "--dir", "{dir}", "--origin", "x.y", "--host", "h"], "already holds a deployment; choose another"),
    (1, ["init", "--dir", "/proc/no", "--origin", "x.y", "--host", "h"], "choose a --dir that this account may write"),
    (78, ["add-probe", "--dir", "{dir}", "p-đồng", "--site", "s-one"], "is no probe id: 3 to 32 of a-z 0-9 -"),
    (1, ["add-probe", "--dir", "{dir}", "p-two", "--site", "s-two"], "import it first: dosong-provision import"),
    (78, ["add-probe", "--dir", "/nowhere", "p-two", "--site", "s-one"], "run: dosong-provision init --dir /nowhere"),
    (1, ["revoke", "--dir", "{dir}", "p-none"], "not in the registry; dosong-provision list shows those that are"),
]


@pytest.mark.parametrize(("status", "words", "says"), PROVISIONING, ids=[row[2] for row in PROVISIONING])
def test_provisioning_says_what_to_do(place: Place, tmp_path: Path, status: int, words: list[str], says: str) -> None:
    argv = module("provisioning", *(word.format(dir=place.root, new=tmp_path / "new") for word in words))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert says in done.stderr
    assert not (tmp_path / "new" / "ca").exists(), "keys were made for what cannot work"


def test_a_registry_in_use_is_one_sentence(place: Place) -> None:
    with contextlib.closing(sqlite3.connect(place.collector / "state/registry.db", isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        argv = module("provisioning", "list", "--dir", str(place.root))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "is in use by another program (locked); wait, or end" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_probe_without_broker_and_gpsd_goes_on_and_recovers(place: Place) -> None:
    probe, receive, broker = place.service("probe", "run"), place.service("collector", "receive"), place.mosquitto()
    with running(probe), _receiver() as tty:
        gpsd = Service([program_path("gpsd"), "-N", "-n", "-b", "-S", str(place.gps), tty], place.root / "gpsd.log")
        until(lambda: "cannot be reached" in probe.text() and "gpsd=lost" in probe.text(), what="both losses are said")
        assert probe.process is not None
        assert probe.process.poll() is None
        with running(broker, receive, gpsd):
            until(place.acknowledged, what="the record made without a broker is acknowledged")
            until(lambda: "gpsd=back" in probe.text(), 20, what="gpsd is found")
        assert probe.text().count("cannot be reached") == 1, "a loss is said once"
    assert probe.process.returncode == 0


@contextlib.contextmanager
def _receiver() -> Iterator[str]:
    """A GPS receiver on a pseudo-terminal; gives its path."""
    port, ended = pty.open_port(), threading.Event()

    def speak() -> None:
        count = 0
        while not ended.wait(0.5):
            port.write(nmea.burst(21.68, 106.15, datetime.now(UTC), 1, count))
            count += 1

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield port.path
    finally:
        ended.set()
        thread.join()
        port.close()


def _foreign_ca(place: Place) -> None:
    foreign = pki.make_root("foreign", datetime.now(UTC))
    (place.probe / "ca.crt").unlink()
    pki.save(foreign, place.probe / "foreign.key", place.probe / "ca.crt")


def _client(place: Place, ca: pki.Issued, when: datetime) -> None:
    for name in ("tls.key", "tls.crt"):
        (place.probe / name).unlink()
    pki.save(pki.make_client(ca, PROBE, when), place.probe / "tls.key", place.probe / "tls.crt")


def _foreign_client(place: Place) -> None:
    _client(place, pki.make_root("foreign", datetime.now(UTC)), datetime.now(UTC))


def _expired_client(place: Place) -> None:
    ca = pki.load(place.root / "ca/issuing.key", place.root / "ca/issuing.crt")
    old = pki.make_root("unused", datetime.now(UTC) - timedelta(days=4 * 365)).certificate
    backdated = x509.CertificateBuilder().subject_name(ca.certificate.subject).issuer_name(ca.certificate.subject)
    backdated = backdated.public_key(ca.key.public_key()).serial_number(1)
    backdated = backdated.not_valid_before(old.not_valid_before_utc).not_valid_after(ca.certificate.not_valid_after_utc)
    issuer = pki.Issued(ca.key, backdated.sign(ca.key, hashes.SHA256()))
    _client(place, issuer, datetime.now(UTC) - timedelta(days=3 * 365))


CERTIFICATES = [
    (_foreign_ca, "certificate verify failed"),
    (_foreign_client, "check this probe's certificate and the clock"),
    (_expired_client, "check this probe's certificate and the clock"),
]


@pytest.mark.parametrize(("breaks", "says"), CERTIFICATES, ids=["foreign CA", "foreign certificate", "expired"])
def test_a_probe_whose_certificates_are_refused_waits_and_recovers(
    place: Place, breaks: Callable[[Place], None], says: str
) -> None:
    probe, receive, broker = place.service("probe", "run"), place.service("collector", "receive"), place.mosquitto()
    good = {name: (place.probe / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key")}
    breaks(place)
    with running(broker, receive, probe):
        until(lambda: says in probe.text())
        assert not place.acknowledged()
        assert probe.process is not None
        assert probe.process.poll() is None
        for name, content in good.items():
            (place.probe / name).write_bytes(content)
        until(place.acknowledged, 20, what="files put right while it waits are taken up")


def test_receive_says_what_is_no_broker_and_recovers(place: Place) -> None:
    receive, broker = place.service("collector", "receive"), place.mosquitto()
    path = place.root / "c.sock"
    with running(receive):
        until(lambda: "start mosquitto, or correct broker.socket" in receive.text())
        with _hangs_up(path):
            until(lambda: "hangs up before it lets us in" in receive.text(), what="something else on the socket")
        path.unlink()
        with running(broker):
            until(lambda: "connected" in receive.text())
    assert receive.process is not None
    assert receive.process.returncode == 0


@contextlib.contextmanager
def _hangs_up(path: Path) -> Iterator[None]:
    """A program on a unix socket that is no broker."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _touch_registry(place: Place) -> None:
    """Change something, so that forward has something to write at once."""
    where = ["--dir", str(place.root), "--role", "auditor", "--password", "any-password"]
    run(*module("provisioning", "add-user", f"u{os.urandom(4).hex()}", *where))


def _rests(place: Place) -> Callable[[], bool]:
    """Whether forward has written nothing for three seconds, as far as this was asked again and again."""
    seen = [-1, time.monotonic_ns()]

    def look() -> bool:
        forward = read_health(place.collector / "state", now_ms()).forward
        lines = -1 if forward is None else forward.lines
        if lines != seen[0]:
            seen[:] = [lines, time.monotonic_ns()]
        return lines > 0 and time.monotonic_ns() - seen[1] > 3 * 10**9

    return look


def _influxd(place: Place, *, auth: bool = False) -> Service:
    """InfluxDB on the deployment's port; its data stay from one start to the next."""
    folder = place.root / "influx"
    folder.mkdir(exist_ok=True)
    made = Influx(folder, auth=auth)
    conf = folder / "influxdb.conf"
    conf.write_text(conf.read_text().replace(f"127.0.0.1:{made.port}", f"127.0.0.1:{place.influx}"))
    made.port = place.influx
    return made


def query_post(port: int, influxql: str) -> None:
    text = urllib.parse.urlencode({"q": influxql}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/query", text, timeout=10).close()


def test_forward_says_what_is_wrong_with_influxdb_and_recovers(place: Place) -> None:
    SqliteLedger(place.collector / "state/ledger.db").close()
    forward = place.service("collector", "forward")
    with running(forward):
        until(lambda: "does not answer (Connection refused); start it or correct influx.url" in forward.text())
        with running(_influxd(place)):
            until(lambda: forward.text().count("takes points") == 1)
            until(
                _rests(place), 60, what="nothing is on its way: a database that is dropped under a request answers 500"
            )
            query_post(place.influx, "DROP DATABASE dosong")
            _touch_registry(place)
            until(lambda: "create dosong, or correct url" in forward.text(), 60, what="the database is missing")
            until(lambda: forward.text().count("takes points") == 2, what="it is made again")
            query_post(place.influx, "CREATE USER boss WITH PASSWORD 'b' WITH ALL PRIVILEGES")
        with running(_influxd(place, auth=True)):
            _touch_registry(place)
            until(lambda: "correct username and password_file" in forward.text(), 20, what="a login is wanted")
        with running(_influxd(place)):
            until(lambda: forward.text().count("takes points") == 3, 20, what="it takes points again")
    assert forward.process is not None
    assert forward.process.returncode == 0


class Portal(BaseHTTPRequestHandler):
    """A program that says 200 to everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Xin chao</html>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_another_program_on_influxdbs_port_is_one_sentence_and_78(place: Place) -> None:
    SqliteLedger(place.collector / "state/ledger.db").close()
    with HTTPServer(("127.0.0.1", place.influx), Portal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            argv = place.argv("collector", "forward")
            done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 78
    assert "is it InfluxDB? correct influx.url" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(place: Place) -> Iterator[Path]:
    """The collector's state on a disk of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a small disk")
    state = place.collector / "state"
    held = (state / "registry.db").read_bytes()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "small", str(state))
    try:
        (state / "registry.db").write_bytes(held)
        yield state
    finally:
        run("umount", "-l", str(state))


def test_a_full_disk_is_said_and_nothing_is_acknowledged_until_there_is_room(place: Place, small_disk: Path) -> None:
    probe, receive, broker = place.service("probe", "run"), place.service("collector", "receive"), place.mosquitto()
    with running(broker, receive):
        until(lambda: "connected" in receive.text())
        _fill(small_disk / "other-files")
        with running(probe):
            until(lambda: "free or repair the disk; nothing is acknowledged until then" in receive.text(), 20)
            assert not place.acknowledged()
            (small_disk / "other-files").unlink()
            until(place.acknowledged, 20, what="there is room again")
            assert "ledger is back" in receive.text()


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for _ in range(4096):
            file.write(b"x" * 4096)
