"""The real daemon and a real broker: signed configurations, remote actions, and what a bad one changes: nothing."""

from __future__ import annotations

import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.probe.kit import ACK_KEY, KEY, ORIGIN, PROBE, make_certificates, read, wait_until
from tests.probe.test_publish import Broker
from wire import notes, topics
from wire.keyfile import write_signer
from wire.note import Signer
from wire.records import AnyRecord, BootRecord, EventRecord, TestRecord
from wire.slots import month_bounds, month_of, next_month, slot_at

pytestmark = pytest.mark.services
R = TypeVar("R", bound=AnyRecord)
CONFIG_KEY = Signer.from_seed(f"{ORIGIN}/config", bytes(range(64, 96)))
SECONDS_SLOTS = 200_000
"""Slots of 13 s in a month: tests that find no modem end at once."""
_SETTINGS = """
probe = "{probe}"
origin = "{origin}"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
config_vkey = "{config}"
simulated = true
site = "site-1"
referral = "TN05755A"
[schedule]
slot_s = 86400
seed = "{seed}"
[coverage]
step_s = 1
steps = 2
poll_s = 1
[broker]
host = "127.0.0.1"
port = {port}
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
retry_low_s = 0.1
retry_high_s = 0.5
[engine]
server = "http://127.0.0.1:9"
[clock]
trust = "always"
[[modem]]
id = "m1"
port = "/dev/no-modem-here"
interface = "cell9"
"""


class World:
    """One probe, its broker, and an operator who signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_certificates(folder, PROBE)
        write_signer(folder / "record.key", KEY)
        self.broker = Broker(folder)
        self.broker.start()
        keys = {"ack": ACK_KEY.verifier.vkey, "config": CONFIG_KEY.verifier.vkey}
        text = _SETTINGS.format(probe=PROBE, origin=ORIGIN, port=self.broker.port, seed="5" * 64, **keys)
        (folder / "probe.toml").write_text(text)
        self.child: subprocess.Popen[bytes] | None = None
        self.log = (folder / "probe.log").open("ab")

    def start(self) -> None:
        command = [sys.executable, "-m", "probe", "run", "--config", str(self.folder / "probe.toml")]
        count = len(self.of(BootRecord))
        self.child = subprocess.Popen(command, stderr=self.log)
        wait_until(lambda: len(self.of(BootRecord)) > count, 60, "the probe starts")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.child is not None:
            self.child.send_signal(number)
            self.child.wait(40)
            self.child = None

    def close(self) -> None:
        self.stop(signal.SIGKILL)
        self.broker.kill()
        self.log.close()

    def send(self, key: Signer = CONFIG_KEY, **more: object) -> None:
        """Sign a configuration and leave it at the broker."""
        self.publish(sealed(key, **more))

    def publish(self, payload: bytes) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="unix")
        client.connect(str(self.broker.local), 1)
        client.loop_start()
        client.publish(topics.config(PROBE), payload, 1, retain=True).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    def records(self) -> list[AnyRecord]:
        path = self.folder / "state" / "spool.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'record'").fetchone():
                return []
            return [read(raw) for (raw,) in db.execute("SELECT raw FROM record ORDER BY epoch, seq")]

    def of(self, kind: type[R]) -> list[R]:
        return [record for record in self.records() if isinstance(record, kind)]

    def events(self, name: str) -> list[EventRecord]:
        return [record for record in self.of(EventRecord) if record.event == name]

    def wait_for(self, name: str, count: int = 1) -> EventRecord:
        wait_until(lambda: len(self.events(name)) >= count, 100, f"{count} x {name}")
        return self.events(name)[count - 1]


def sealed(key: Signer = CONFIG_KEY, **more: object) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    month = month_of(now_ms)
    fields: dict[str, object] = {
        "v": 1,
        "signed_ms": now_ms,
        "probe": PROBE,
        "rev": 1,
        "expires_ms": now_ms + 86_400_000,
        "site": "site-2",
        "referral": "TN05755B",
        "modems": {"m1": notes.ModemConfig(slots=SECONDS_SLOTS, plmn="45204")},
        "seeds": {month: "1" * 64, next_month(month): "2" * 64},
    }
    return notes.seal(notes.Config(**fields | more), ORIGIN, key)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.start()
    yield made
    made.close()


def test_a_signed_config_is_applied_reported_and_survives_a_restart(world: World) -> None:
    world.send()
    applied = world.wait_for("config_applied")
    assert (applied.was, applied.now, applied.config_rev, applied.site) == (None, "rev 1", 1, "site-2")
    wait_until(lambda: len(world.of(TestRecord)) >= 2, 90, "tests of the new grid")
    for test in world.of(TestRecord):
        assert test.slot_ms is not None
        slot = slot_at(month_bounds(month_of(test.slot_ms)), SECONDS_SLOTS, test.slot_ms)
        assert (test.slot_ms, test.slot_length_ms) == (slot.start_ms, slot.length_ms)
        assert (test.config_rev, test.referral, test.plmn, test.site) == (1, "TN05755B", "45204", "site-2")
    world.stop(signal.SIGKILL)
    world.start()
    assert world.of(BootRecord)[-1].config_rev == 1, "in force from the first record on"
    world.send(rev=2)
    assert world.wait_for("config_applied", 2).was == "rev 1"
    assert len(world.events("config_applied")) == 2, "the retained one was known"
    slots = [test.slot_ms for test in world.of(TestRecord)]
    assert len(slots) == len(set(slots))


def test_a_bad_config_changes_nothing_and_is_told_once(world: World) -> None:
    world.send(rev=3)
    world.wait_for("config_applied")
    stranger = Signer.from_seed(f"{ORIGIN}/config", secrets.token_bytes(32))
    world.send(stranger, rev=9)
    refused = world.wait_for("config_refused")
    assert "unknown_key" in (refused.note or "")
    for bad in (
        sealed(rev=2),
        sealed(rev=9, probe="p-other"),
        sealed(rev=9, modems={"m2": notes.ModemConfig(slots=1)}),
    ):
        world.publish(bad)
    world.stop()
    world.start()
    world.send(rev=10, site="site-3")
    assert world.wait_for("config_applied", 2).was == "rev 3"
    assert len(world.events("config_refused")) <= 2, "one in ten minutes, and one more after the restart"
    boot = world.of(BootRecord)[-1]
    assert (boot.config_rev, boot.site) == (3, "site-2")


def test_what_expires_ends_by_itself(world: World) -> None:
    world.send(expires_ms=time.time_ns() // 1_000_000 + 12_000)
    world.wait_for("config_applied")
    ended = world.wait_for("config_applied", 2)
    assert (ended.was, ended.now, ended.config_rev, ended.site) == ("rev 1", "settings file", None, "site-1")
    world.stop()
    world.start()
    assert world.of(BootRecord)[-1].config_rev is None
    world.send(rev=1, expires_ms=time.time_ns() // 1_000_000 + 90_000)
    assert "not above 1" in (world.wait_for("config_refused").note or "")


def test_a_remote_test_runs_once_whatever_comes_again(world: World) -> None:
    quiet = {"m1": notes.ModemConfig(slots=1)}
    world.send(action="test", action_id="visit-0001", modems=quiet)
    begun = world.wait_for("remote_action")
    assert (begun.rung, begun.now, begun.note, begun.cause) == ("test", "begun", "visit-0001", None)
    wait_until(lambda: remote(world), 60, "the test")
    world.stop(signal.SIGKILL)
    world.start()
    world.send(rev=2, action="test", action_id="visit-0001", modems=quiet)
    world.wait_for("config_applied", 2)
    world.send(rev=3, action="test", action_id="visit-0002", modems=quiet)
    world.wait_for("remote_action", 2)
    wait_until(lambda: len(remote(world)) >= 2, 60, "the second test")
    assert [event.note for event in world.events("remote_action")] == ["visit-0001", "visit-0002"]
    assert {(test.trigger, test.slot_ms, test.outcome) for test in remote(world)} == {("remote", None, "failed")}
    assert len(remote(world)) == 2


def remote(world: World) -> list[TestRecord]:
    return [test for test in world.of(TestRecord) if test.trigger == "remote"]


def test_an_action_that_is_too_late_or_fails_is_told(world: World) -> None:
    yesterday_ms = time.time_ns() // 1_000_000 - 86_400_001
    quiet = {"m1": notes.ModemConfig(slots=1)}
    world.send(action="modem_restart", action_id="restart-1", modems=quiet, signed_ms=yesterday_ms)
    late = world.wait_for("remote_action")
    assert (late.now, late.cause) == ("too late", "slot_passed")
    world.send(rev=2, action="modem_restart", action_id="restart-2", modems=quiet)
    failed = world.wait_for("remote_action", 3)
    assert (failed.now, failed.was, failed.cause) == ("failed", "restart-2", "unknown")
    assert "m1 was not restarted" in (failed.note or "")


def test_a_check_from_afar_is_told_in_an_event(world: World) -> None:
    world.send(action="doctor", action_id="doctor-01", modems={"m1": notes.ModemConfig(slots=1)})
    told = world.wait_for("remote_action", 2)
    assert (told.rung, told.now, told.was, told.cause) == ("doctor", "done", "doctor-01", None)
    assert "red: modem" in (told.note or "")
