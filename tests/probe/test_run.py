"""The program itself, with a modem from a recording, a real gpsd and a real measurement point on loopback.

A test over `lo` measures, and says `invalid_path`: loopback is no modem's link.
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from probe.settings import load
from probe.spool import Spool
from tests.probe.kit import ACK_KEY, KEY, SimSite, make_certificates, point, read, sim_site, wait_until
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, EXIT_USAGE
from wire.keyfile import write_signer
from wire.records import AnyRecord, BootRecord, CoverageRecord, EventRecord, TestRecord

pytestmark = pytest.mark.services
R = TypeVar("R", bound=AnyRecord)


@dataclass(slots=True)
class World:
    """One probe's folder, and what stands around it."""

    folder: Path
    site: SimSite
    settings: Path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "probe", *words, "--config", str(self.settings)]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60, check=False)

    def once(self) -> tuple[int, dict[str, Any]]:
        done = self.call("once", "--json")
        assert done.stdout, done.stderr
        record: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, record

    def records(self) -> list[AnyRecord]:
        """All that was kept, oldest first; none while the program has not made its tables yet."""
        path = self.folder / "state" / "spool.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'record'").fetchone():
                return []
            return [read(raw) for (raw,) in db.execute("SELECT raw FROM record ORDER BY epoch, seq")]

    def of(self, kind: type[R]) -> list[R]:
        """The records of one kind."""
        return [record for record in self.records() if isinstance(record, kind)]

    def edit(self, old: str, new: str) -> None:
        text = self.settings.read_text()
        assert old in text
        self.settings.write_text(text.replace(old, new))


_SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
simulated = true
site = "site-1"
referral = "TN05755A"
[position]
lat_e7 = 217000000
lon_e7 = 1060000000
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
name = "speedtest-cli"
server = "http://127.0.0.1:{point}/speedtest/upload.php"
echo = "127.0.0.1:{point}"
downlink_s = 1
uplink_s = 1
time_limit_s = 20
[clock]
trust = "always"
[[modem]]
id = "m1"
port = "{modem}"
interface = "lo"
plmn = "45204"
"""


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimSite, int]]:
    folder = tmp_path_factory.mktemp("around")
    with sim_site(folder / "run") as site, point(folder) as port:
        yield site, port


@pytest.fixture
def world(tmp_path: Path, surroundings: tuple[SimSite, int]) -> Iterator[World]:
    site, port = surroundings
    write_signer(tmp_path / "record.key", KEY)
    text = _SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64, gps=site.gps_port, point=port, modem=site.modem)
    (tmp_path / "probe.toml").write_text(text)
    yield World(tmp_path, site, tmp_path / "probe.toml")
    site.modem_state("normal")


@pytest.fixture
def daemon(world: World) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(world.command("run"), stderr=subprocess.PIPE, text=True)
    yield child
    child.kill()
    child.communicate()


@pytest.mark.xdist_group("rates")
def test_once_measures_signs_keeps_and_says_that_loopback_is_no_path(world: World) -> None:
    status, printed = world.once()
    assert status == EXIT_FAILED, "an unproved path is no success"
    assert printed["outcome"] == "ok"
    assert printed["trigger"] == "manual"
    assert printed["path"]["verdict"] == "invalid_path"
    assert printed["downlink_bps"] > 10_000_000
    assert printed["uplink_bps"] > 1_000_000
    assert printed["rtt_received"] > 0
    assert printed["radio"]["before"]["rat"] == "LTE"
    assert printed["radio"]["during"]["polls"] >= 1
    assert printed["position"]["source"] == "surveyed"
    assert printed["position"]["surveyed_offset_m"] < 50
    assert "slot_ms" not in printed
    boot, test = world.records()
    assert isinstance(boot, BootRecord)
    assert (boot.reason, boot.spool, boot.seq) == ("install", "new", 0)
    assert isinstance(test, TestRecord)


@pytest.mark.parametrize(
    ("state", "stage", "cause"),
    [
        ("unplugged", "modem", "no_modem"),
        ("no_sim", "sim", "no_sim"),
        ("sim_pin", "sim", "sim_locked"),
        ("searching", "registration", "searching"),
        ("denied", "registration", "denied"),
    ],
)
def test_modem_that_cannot_carry_a_test_is_a_failed_record_with_stage_and_cause(
    world: World, state: str, stage: str, cause: str
) -> None:
    world.site.modem_state(state)
    status, printed = world.once()
    assert status == EXIT_FAILED
    assert (printed["outcome"], printed["stage"], printed["cause"]) == ("failed", stage, cause)
    assert "engine" not in printed, "the engine was not started: no data wasted"
    assert "path" not in printed


def test_missing_interface_fails_at_pdn_before_the_engine(world: World) -> None:
    world.edit('interface = "lo"', 'interface = "cell7"')
    _, printed = world.once()
    assert (printed["outcome"], printed["stage"], printed["cause"]) == ("failed", "pdn", "no_interface")


def test_unreachable_server_is_a_failed_record_not_an_error(world: World) -> None:
    text = world.settings.read_text()
    port = text.partition("127.0.0.1:")[2].partition("/")[0]
    world.settings.write_text(text.replace(port, "9"))
    _, printed = world.once()
    assert (printed["outcome"], printed["stage"], printed["cause"]) == ("failed", "connect", "server_unreachable")
    assert printed["radio"]["before"]["registration"] == "home"


def test_spent_budget_is_a_skipped_record(world: World) -> None:
    world.edit("[clock]", "[budget]\nlimit_bytes = 1000000\n[clock]")
    _, printed = world.once()
    assert (printed["outcome"], printed["stage"], printed["cause"]) == ("skipped", "schedule", "budget_spent")
    assert printed["budget"]["limit_bytes"] == 1_000_000


@pytest.mark.xdist_group("rates")
def test_gpsd_that_is_missing_costs_only_the_confirmation(world: World, surroundings: tuple[SimSite, int]) -> None:
    world.edit(f"port = {surroundings[0].gps_port}\n", "port = 9\n")
    _, printed = world.once()
    assert printed["outcome"] == "ok"
    assert printed["position"]["source"] == "surveyed"
    assert "surveyed_offset_m" not in printed["position"]


def test_run_keeps_boot_coverage_events_and_ends_cleanly(world: World, daemon: subprocess.Popen[str]) -> None:
    wait_until(lambda: any(is_whole(record) for record in world.of(CoverageRecord)), 60, "a window that is covered")
    daemon.send_signal(signal.SIGTERM)
    _, log = daemon.communicate(timeout=30)
    assert daemon.returncode == EXIT_OK, log
    records = world.records()
    assert isinstance(records[0], BootRecord)
    assert isinstance(records[-1], EventRecord)
    assert (records[-1].event, records[-1].cause) == ("stopping", "stopped")
    whole = next(record for record in world.of(CoverageRecord) if is_whole(record))
    assert whole.t_ms is not None
    assert whole.t_ms % 2000 == 0
    assert whole.polls_registered is not None
    assert sum(whole.polls_registered) >= 1
    assert whole.echo_received == whole.echo_sent
    assert not any(secret.search(text) for text in (log, repr(records)) for secret in SECRETS)


SECRETS = (re.compile(r"(?<![0-9a-f])\d{15,20}(?![0-9a-f])"), re.compile(r"\+?84\d{9}"))
"""IMEI, IMSI, ICCID; a phone number of Vietnam."""


def is_whole(record: CoverageRecord) -> bool:
    return record.states == "CC"


def test_unplugged_modem_is_unknown_coverage_and_is_back_by_itself(world: World, daemon: subprocess.Popen[str]) -> None:
    wait_until(lambda: world.of(CoverageRecord), 60, "a first window")
    world.site.modem_state("unplugged")
    wait_until(lambda: "modem_lost" in events(world), 60, "the loss is told")
    wait_until(lambda: any("Um" in letters(record) for record in world.records()), 60, "an unknown step")
    world.site.modem_state("normal")
    wait_until(lambda: "modem_back" in events(world), 60, "the return is told")
    seen = len(world.records())
    wait_until(lambda: any("C." in letters(record) for record in world.records()[seen:]), 60, "covered again")
    assert daemon.poll() is None


def events(world: World) -> list[str]:
    return [record.event for record in world.of(EventRecord)]


def letters(record: AnyRecord) -> list[str]:
    if not isinstance(record, CoverageRecord):
        return []
    return [state + cause for state, cause in zip(record.states, record.causes, strict=True)]


def test_restart_goes_on_with_the_chain_and_says_why_it_started(world: World) -> None:
    for kill, reason in ((signal.SIGKILL, "install"), (signal.SIGTERM, "crash"), (signal.SIGTERM, "start")):
        child = subprocess.Popen(world.command("run"), stderr=subprocess.DEVNULL)
        wait_until(lambda reason=reason: reason in [b.reason for b in boots(world)], 60, reason)  # type: ignore[misc]
        child.send_signal(kill)
        child.wait(30)
    records = world.records()
    assert [record.seq for record in records] == list(range(len(records)))


def boots(world: World) -> list[BootRecord]:
    return world.of(BootRecord)


def test_scheduled_tests_name_their_slots_take_turns_and_one_lost_modem_stops_no_other(world: World) -> None:
    world.edit("slot_s = 86400", "slot_s = 10")
    second = '[[modem]]\nid = "m2"\nport = "/dev/no-modem-here"\ninterface = "cell9"\n'
    world.settings.write_text(world.settings.read_text() + second)
    child = subprocess.Popen(world.command("run"), stderr=subprocess.PIPE, text=True)
    wait_until(
        lambda: {test.modem for test in kept_tests(world)} == {"m1", "m2"}, 60, "a scheduled test of both modems"
    )
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    for test in kept_tests(world):
        assert test.trigger == "scheduled"
        assert test.slot_ms is not None
        assert test.due_ms is not None
        assert test.t_ms is not None
        assert test.slot_ms % 10_000 == 0
        assert test.slot_length_ms == 10_000
        assert test.due_ms <= test.t_ms
    assert {test.outcome for test in kept_tests(world) if test.modem == "m1"} <= {"ok", "partial", "failed"}
    assert {test.cause for test in kept_tests(world) if test.modem == "m2"} <= {"no_modem", "stopped"}
    assert len({(test.modem, test.slot_ms) for test in kept_tests(world)}) == len(kept_tests(world))
    ends = [(test.t_ms or 0, (test.t_ms or 0) + (test.duration_ms or 0)) for test in kept_tests(world)]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends)), "tests never overlap"


def kept_tests(world: World) -> list[TestRecord]:
    return world.of(TestRecord)


def test_status_reads_beside_a_running_daemon_and_once_does_not(world: World, daemon: subprocess.Popen[str]) -> None:
    wait_until(lambda: boots(world), 60)
    status = world.call("status", "--json")
    assert status.returncode == EXIT_OK
    assert json.loads(status.stdout)["spool"]["waiting"] >= 1
    assert "last ack  none yet" in world.call("status").stdout
    once = world.call("once")
    assert once.returncode == EXIT_FAILED
    assert "already runs" in once.stderr
    assert daemon.poll() is None


def test_unknown_modem_is_wrong_usage(world: World) -> None:
    done = world.call("once", "--modem", "m4")
    assert done.returncode == EXIT_USAGE
    assert "there are m1" in done.stderr


def marks(world: World) -> dict[str, str]:
    """What the program remembers of this host's ceilings."""
    with closing(sqlite3.connect(f"file:{world.folder}/state/spool.db?mode=ro", uri=True, timeout=10)) as db:
        return dict(db.execute("SELECT name, value FROM mark WHERE name LIKE 'ceiling%'").fetchall())


def test_calibrate_measures_the_host_then_one_test_over_the_link_of_a_modem(world: World) -> None:
    done = world.call("calibrate", "--link", "--modem", "m1")
    assert done.returncode == EXIT_OK, done.stderr
    assert re.search(r"^this host moves \d+ Mbit/s down and \d+ Mbit/s up at most \(loopback\)$", done.stdout, re.M)
    for way in ("down", "up"):
        assert re.search(rf"^m1: [\d.]+ Mbit/s {way} kept the busiest core \d+ % busy: .* over lo$", done.stdout, re.M)
    kept = marks(world)
    assert set(kept) == {"ceiling", "ceiling m1"}
    host, link = (list(map(int, words.split())) for words in (kept["ceiling"], kept["ceiling m1"]))
    assert all(0 < own <= most for own, most in zip(link, host, strict=True)), "never more than the host can"
    assert not kept_tests(world), "a calibration is no test of the network"


def test_calibrate_over_a_link_that_gives_nothing_says_so_and_keeps_no_ceiling_of_it(world: World) -> None:
    world.edit('server = "http://127.0.0.1:', 'server = "http://127.0.0.9:')
    done = world.call("calibrate", "--link")
    assert done.returncode == EXIT_FAILED
    assert "m1: the test moved nothing" in done.stdout
    assert set(marks(world)) == {"ceiling"}


@pytest.mark.parametrize("words", [("--link", "--modem", "m4"), ("--modem", "m1")])
def test_calibrate_of_a_modem_needs_link_and_a_modem_of_the_settings(world: World, words: tuple[str, ...]) -> None:
    done = world.call("calibrate", *words)
    assert done.returncode == EXIT_USAGE
    assert "needs --link and a modem of the settings: m1" in done.stderr


def test_status_before_the_first_run_says_so(world: World) -> None:
    done = world.call("status")
    assert done.returncode == EXIT_FAILED
    assert "has dosong-probe run here yet" in done.stderr


def test_wrong_key_and_missing_certificates_are_misconfigured(world: World) -> None:
    make_certificates(world.folder, "p-test")
    table = '[broker]\nhost = "127.0.0.1"\nca_file = "ca.crt"\ncert_file = "tls.crt"\ntls_key_file = "no.key"\n[clock]'
    world.edit("[clock]", table)
    done = world.call("run")
    assert done.returncode == EXIT_MISCONFIGURED
    assert "no.key" in done.stderr
    world.edit('probe = "p-test"', 'probe = "p-other"')
    done = world.call("run")
    assert done.returncode == EXIT_MISCONFIGURED
    assert "put that of dosong.example/probe/p-other" in done.stderr


def test_unreachable_broker_is_one_sentence_and_the_probe_goes_on(world: World) -> None:
    make_certificates(world.folder, "p-test")
    table = (
        '[broker]\nhost = "127.0.0.1"\nport = 9\nca_file = "ca.crt"\ncert_file = "tls.crt"\ntls_key_file = "tls.key"\n'
    )
    world.edit("[clock]", table + "retry_low_s = 0.1\nretry_high_s = 0.2\n[clock]")
    child = subprocess.Popen(world.command("run"), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(isinstance(record, CoverageRecord) for record in world.records()), 60)
    child.send_signal(signal.SIGTERM)
    _, log = child.communicate(timeout=30)
    assert child.returncode == EXIT_OK
    assert log.count("broker=lost") == 1
    assert "127.0.0.1:9 cannot be reached" in log


def test_damaged_spool_goes_on_in_a_new_epoch_that_says_so(world: World) -> None:
    world.once()
    (world.folder / "state" / "spool.db").write_bytes(b"x" * 5000)
    spool = Spool(world.folder / "state", load(world.settings).spool.limit_bytes)
    assert spool.place().epoch == 2
    spool.close()
