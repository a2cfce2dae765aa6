"""What the collector's tests stand on: a probe that signs, a registry document, real services on free ports."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector.registry import Registry
from wire import bundle, codec, notes, topics
from wire.keyfile import write_signer
from wire.note import Signer, Verifier, sign
from wire.records import AnyRecord, CoverageRecord, EventRecord, GapRecord, TestRecord

ORIGIN = "dosong.example"
T0_MS = 1_790_000_400_000  # a whole hour
BOOT = "0123456789abcdef0123456789abcdef"
SLOT_MS = 600_000
WEB = 'secret_file = "web.secret"'


class FakeProbe:
    """Signs records of one chain, as a probe does."""

    __test__ = False

    def __init__(
        self, probe: str = "p-one", epoch: int = 1, signer: Signer | None = None, origin: str = ORIGIN
    ) -> None:
        self.probe = probe
        self.origin = origin
        self.epoch = epoch
        self.seq = 0
        self.head = ""
        self.signer = signer or Signer.generate(codec.probe_key_name(origin, probe))

    def common(self, **changes: Any) -> dict[str, Any]:
        base = {
            "v": 1,
            "probe": self.probe,
            "epoch": self.epoch,
            "seq": self.seq,
            "prev": self.head,
            "boot": BOOT,
            "mono_ms": 1000 * self.seq,
            "clock": "trusted",
            "t_src": "ntp",
            "fw": "0.1.0",
            "simulated": False,
            "t_ms": T0_MS + self.seq * SLOT_MS,
        }
        return {**base, **changes}

    def seal(self, record: AnyRecord) -> bytes:
        """Sign, and let the chain go on behind it."""
        raw = codec.seal(record, self.origin, self.signer)
        self.head = codec.leaf_text(codec.leaf_hash(raw))
        self.seq += 1
        return raw

    def test(self, **changes: Any) -> bytes:
        """The next test record: a counted sample unless changed."""
        fields = {
            **self.common(),
            "modem": "m1",
            "trigger": "scheduled",
            "outcome": "ok",
            "referral": "TN1",
            "plmn": "45204",
            "slot_ms": T0_MS + self.seq * SLOT_MS,
            "slot_length_ms": SLOT_MS,
            "engine": "speedtest-cli",
            "downlink_bps": 20_000_000,
            "uplink_bps": 8_000_000,
            "rtt_us_median": 31_000,
            "path": {
                "verdict": "ok",
                "iface": "cell0",
                "rx_bytes": 1,
                "tx_bytes": 1,
                "other_rx_bytes": 0,
                "other_tx_bytes": 0,
                "ifindex_changed": False,
            },
            "position": {"source": "surveyed", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000},
            "radio": {"before": {"rat": "LTE", "rsrp_dbm_x10": -1010}},
        }
        return self.seal(_shape(TestRecord, {**fields, **changes}))

    def coverage(self, states: str = "CCDNU", causes: str = "..nsz", **changes: Any) -> bytes:
        """The next coverage record."""
        fields = {**self.common(), "modem": "m1", "step_ms": 60_000, "states": states, "causes": causes}
        return self.seal(_shape(CoverageRecord, {**fields, "plmn": "45204", **changes}))

    def event(self, event: str = "stopping", **changes: Any) -> bytes:
        """The next event record."""
        return self.seal(_shape(EventRecord, {**self.common(), "event": event, **changes}))

    def gap(self, from_seq: int, to_seq: int, last_leaf: str, **changes: Any) -> bytes:
        """The next record, a gap over this epoch's records."""
        fields = {
            **self.common(),
            "gap_epoch": self.epoch,
            "from_seq": from_seq,
            "to_seq": to_seq,
            "last_leaf": last_leaf,
            "reason": "spool_full",
        }
        return self.seal(_shape(GapRecord, {**fields, **changes}))

    def odd(self, body: bytes) -> bytes:
        """Sign any bytes in the next place: authentic, and not what the contract says."""
        raw = sign(f"{codec.domain(self.origin, 'sample')}\n".encode() + body + b"\n", self.signer)
        self.head = codec.leaf_text(codec.leaf_hash(raw))
        self.seq += 1
        return raw

    def schema_broken(self) -> bytes:
        """The next record, with a key that version 1 does not know."""
        body = f'{{"epoch":{self.epoch},"novelty":1,"prev":"{self.head}","probe":"{self.probe}","seq":{self.seq}}}'
        return self.odd(body.encode())


def _shape(shape: type[Any], fields: dict[str, Any]) -> Any:
    return msgspec.convert(fields if "kind" in fields else {**fields, "kind": shape.__struct_config__.tag}, shape)


def document(*probes: FakeProbe, **changes: Any) -> dict[str, Any]:
    """A registry document with one hamlet and these probes in it."""
    base: dict[str, Any] = {
        "provinces": [{"code": "19", "name": "Thái Nguyên"}],
        "communes": [{"code": "05755", "name": "Xã Phú Xuyên", "province": "19"}],
        "hamlets": [{"code": "h-dong-chuoi", "name": "Đồng Chuối", "kind": "xóm", "commune": "05755"}],
        "sites": [
            {
                "code": "s-one",
                "hamlet": "h-dong-chuoi",
                "name": "Nhà văn hóa",
                "lat_e7": 215_000_000,
                "lon_e7": 1_058_000_000,
            }
        ],
        "probes": [{"id": p.probe, "vkey": p.signer.verifier.vkey, "site": "s-one"} for p in probes],
        "referrals": [{"code": "TN1", "unit": "05755"}],
        "operators": [{"plmn": "45204", "name": "Viettel"}],
        "quotas": [{"commune": "05755", "minimum": 300, "rule": "từ 300 mẫu"}],
    }
    return {**base, **changes}


def until(true: Callable[[], Any], within_s: float = 15.0, what: str = "") -> Any:
    """Poll until `true()` is; fail after `within_s`. Returns what it gave."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = true()
        if found:
            return found
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s} s: {what or true}")
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A program in its own process, started and stopped by pid."""

    def __init__(self, arguments: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self._arguments = arguments
        self._env = env
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._arguments, stdout=log, stderr=log, env=self._env)

    def kill(self) -> None:
        """SIGKILL, as a power cut or the OOM killer would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class Mosquitto(Service):
    """A real broker: a unix socket for the collector, and a plain port for the test's probes."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.socket = folder / "c.sock"
        self.port = free_port()
        conf = folder / "mosquitto.conf"
        conf.write_text(
            f"user root\nper_listener_settings true\nlistener 0 {self.socket}\nallow_anonymous true\n"
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 65536\nlog_type all\n{extra}"
        )
        folder.chmod(0o755)
        super().__init__(["mosquitto", "-c", str(conf)], folder / "mosquitto.log")

    def start(self) -> None:
        super().start()
        until(lambda: _open(self.port), what="mosquitto")


class Influx(Service):
    """A real influxd 1.x on a free port."""

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        self.port = free_port()
        conf = folder / "influxdb.conf"
        conf.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
            f'query-log-enabled = false\n[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
            f"auth-enabled = {str(auth).lower()}\n"
        )
        super().__init__(["influxd", "-config", str(conf)], folder / "influxd.log")

    def start(self) -> None:
        super().start()
        until(lambda: _open(self.port), what="influxd")


def _open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Field:
    """The probes' side of the broker: publishes messages and reads acknowledgements."""

    def __init__(self, port: int, verifier: Verifier, *probes: FakeProbe) -> None:
        self.acks: dict[str, list[tuple[notes.Ack, bool]]] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"field-{os.getpid()}-{port}")
        self._client.on_message = self._on_message
        self._topics = [(topics.ack(p.probe), 1) for p in probes]
        self._client.on_connect = self._on_connect
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self.verifier = verifier
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, client: Client, *_: Any) -> None:
        if self._topics:
            client.subscribe(self._topics)

    def _on_message(self, _client: Client, _userdata: object, message: Any) -> None:
        probe = message.topic.rsplit("/", 1)[1]
        ack = notes.open_note(message.payload, notes.Ack, ORIGIN, self.verifier)
        self.acks.setdefault(probe, []).append((ack, message.retain))

    def send(self, probe: str, *raws: bytes, topic: str | None = None) -> None:
        self._client.publish(topic or topics.up(probe), bundle.encode(raws), qos=1)

    def send_bytes(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def upto(self, probe: str) -> int | None:
        """What the last acknowledgement of a probe says; None if there is none, or nothing is held."""
        acks = self.acks.get(probe)
        return acks[-1][0].upto if acks else None

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Deployment:
    """Settings, keys and registry of a collector in a folder, and its programs."""

    def __init__(self, folder: Path, broker: str, *probes: FakeProbe, influx: str = "", web: str = "") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        self.ack_signer = Signer.generate(f"{ORIGIN}/ack")
        write_signer(folder / "ack.key", self.ack_signer)
        (folder / "web.secret").write_text("0" * 64)
        influx = influx or f'url = "http://127.0.0.1:{free_port()}"\napi = "v1"\ndatabase = "dosong"'
        self.config = folder / "collector.toml"
        self.config.write_text(
            f'origin = "{ORIGIN}"\nstate_dir = "state"\nack_key_file = "ack.key"\n'
            f"[broker]\n{broker}\n[influx]\n{influx}\n[web]\n{web or WEB}\n"
        )
        self.load(*probes)

    def load(self, *probes: FakeProbe, **changes: Any) -> None:
        registry = Registry(self.state / "registry.db")
        registry.load(document(*probes, **changes))
        registry.close()

    def program(self, *words: str, name: str = "") -> Service:
        """`dosong-collector <words> --config ...`, not yet started."""
        arguments = [sys.executable, "-m", "collector", *words, "--config", str(self.config)]
        return Service(arguments, self.folder / f"{name or words[0]}.log", {**os.environ, "PYTHONUNBUFFERED": "1"})

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        arguments = [sys.executable, "-m", "collector", *words, "--config", str(self.config)]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def running(*services: Service) -> Iterator[None]:
    """Start services in order, stop them in reverse, whatever happens."""
    try:
        for service in services:
            service.start()
        yield
    finally:
        for service in reversed(services):
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.stop()
