"""`dosong-probe doctor` beside the daemon and without it, and the control socket between them."""

from __future__ import annotations

import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe import control
from probe.control import Request, Snapshot
from probe.core import doctor_words
from probe.core.doctor_facts import Facts, ModemFacts
from probe.devices.link_walk import Way
from probe.examination import Examination
from tests.probe.kit import PROBE, wait_until
from tests.probe.visit_kit import Station, station, until_polled
from wire import codec, visit
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, Refused, Unavailable
from wire.failure import Cause

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with station(tmp_path_factory.mktemp("station")) as found:
        yield found


@pytest.fixture
def running(place: Station) -> Iterator[Station]:
    with place.daemon():
        yield place
    place.site.modem_state("normal")


def by_check(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["check"]: line for line in found["checks"]}


def named(place: Station) -> list[visit.Named]:
    """The records in the spool, newest first."""
    with closing(sqlite3.connect(f"file:{place.state / 'spool.db'}?mode=ro", uri=True, timeout=10)) as db:
        rows = list(db.execute("SELECT epoch, seq, leaf FROM record ORDER BY epoch DESC, seq DESC"))
    return [visit.Named(epoch, seq, codec.leaf_text(leaf)) for epoch, seq, leaf in rows]


def test_without_a_daemon_the_parts_are_opened_and_a_well_station_is_green(place: Station) -> None:
    status, found = place.doctor("--no-test")
    assert {line["verdict"] for line in found["checks"]} <= {"ok", "skipped"}, found
    assert (status, found["ok"]) == (EXIT_OK, True)
    assert by_check(found)["ack"]["verdict"] == "ok", "the receipt was seen"
    (_record, not_green), *others = visit.find_result(PROBE, named(place)[:5], found["code"])
    assert not_green == ("test",), "the code says that nothing was measured"
    assert others == []
    assert not control.is_running(place.state), "nothing is left behind"


def test_beside_the_daemon_one_short_test_is_run_its_receipt_seen_and_its_record_named(running: Station) -> None:
    status, found = running.doctor()
    lines = by_check(found)
    assert tuple(lines) == visit.CHECKS
    assert (lines["test"]["verdict"], lines["test"]["word"]) == ("bad", "path"), "loopback is no modem's link"
    assert status == EXIT_FAILED
    assert lines["ack"]["verdict"] == "ok"
    ((record, not_green),) = visit.find_result(PROBE, named(running)[:3], found["code"])
    assert not_green == ("test",)
    with closing(sqlite3.connect(f"file:{running.state / 'spool.db'}?mode=ro", uri=True)) as db:
        where = (record.epoch, record.seq)
        ((kind, raw),) = db.execute("SELECT kind, raw FROM record WHERE epoch = ? AND seq = ?", where)
    body = codec.body_of(raw)
    assert kind == "test"
    assert b'"trigger":"acceptance"' in body
    assert b'"slot_ms"' not in body


FAULTS = {
    "unplugged": ("modem", "no_modem"),
    "no_sim": ("sim", "no_sim"),
    "sim_pin": ("sim", "sim_locked"),
    "denied": ("registration", "denied"),
}


def test_each_fault_is_red_with_its_remedy_and_green_again_once_mended(running: Station) -> None:
    for state, (check, cause) in FAULTS.items():
        running.site.modem_state(state)
        until_polled(running, cause)
        shown = running.call("doctor", "--lang", "vi", "--wait", "40")
        assert shown.returncode == EXIT_FAILED
        flat = " ".join(shown.stdout.split())
        words = doctor_words.WORDS[cause]
        assert f"✗ {doctor_words.title(check, 'vi')} {words.vi}" in flat
        assert f"→ {words.vi_do}" in flat
    running.site.modem_state("normal")
    status, found = running.doctor("--no-test")
    assert status == EXIT_OK, "what was seen before the visit is none of it"
    assert found["ok"]


def test_what_stays_open_is_left_open_after_the_wait(running: Station) -> None:
    running.site.modem_state("searching")
    until_polled(running, "searching")
    status, found = running.doctor("--wait", "2")
    assert (status, found["code"]) == (EXIT_FAILED, None)
    assert by_check(found)["registration"]["verdict"] == "wait"


def test_spool_that_does_not_open_is_a_red_card_and_no_traceback(tmp_path: Path, place: Station) -> None:
    (tmp_path / "state" / "spool.db").mkdir(parents=True)
    for name in ("record.key", "ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_bytes((place.folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    (tmp_path / "probe.toml").write_text(place.settings.read_text())
    status, found = Station(tmp_path, place.site, place.ledger).doctor()
    assert status == EXIT_FAILED
    assert by_check(found)["card"]["word"] == "disk_error"
    assert "Thay" in by_check(found)["card"]["do"] or "thay" in by_check(found)["card"]["do"]


def test_settings_that_are_wrong_are_told_as_everywhere(tmp_path: Path, place: Station) -> None:
    (tmp_path / "probe.toml").write_text("x = 1\n")
    assert Station(tmp_path, place.site, place.ledger).call("doctor").returncode == EXIT_MISCONFIGURED


def test_socket_is_the_users_own_and_gone_with_the_daemon(place: Station) -> None:
    with place.daemon():
        mode = (place.state / control.NAME).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not (place.state / control.NAME).exists()
    with pytest.raises(Unavailable):
        control.ask(place.state, Request("look"))


def test_killed_daemon_leaves_a_socket_that_the_next_one_replaces(place: Station) -> None:
    with place.daemon() as child:
        child.kill()
        child.wait(10)
    assert (place.state / control.NAME).exists()
    assert not control.is_running(place.state)
    with place.daemon():
        assert control.ask(place.state, Request("look")) is not None


JUNK = (b"", b"\n", b"[]\n", b'{"do":"reboot"}\n', b"x" * 5000, b'{"do":"look","modem":{}}\n', b"\xff\x00\n")


def test_what_is_no_request_is_refused_and_the_next_one_is_served(running: Station) -> None:
    for line in JUNK:
        with control._connected(running.state) as sock:
            sock.sendall(line)
            sock.shutdown(socket.SHUT_WR)
            assert b"refused" in sock.recv(1000), line
        assert control.ask(running.state, Request("look")) is not None
    with control._connected(running.state):  # a caller that says nothing holds nobody up for long
        assert control.ask(running.state, Request("look")) is not None


def test_one_test_at_a_time_and_not_at_once_again(running: Station) -> None:
    with pytest.raises(Refused, match="no modem m4"):
        control.ask(running.state, Request("test", "m4"))
    assert control.ask(running.state, Request("test", "m1")) is None
    with pytest.raises(Refused, match="under way"):
        control.ask(running.state, Request("test", "m1"))

    def word() -> str:
        snapshot = control.ask(running.state, Request("look"))
        return snapshot.facts.modems[0].test.word if snapshot else ""

    wait_until(lambda: word() == "done", 60, "the test has ended")
    with pytest.raises(Refused, match="just ended"):
        control.ask(running.state, Request("test", "m1"))


def test_what_the_daemon_saw_before_the_visit_is_not_shown_as_seen_now() -> None:
    old = ModemFacts(id="m1", is_polled=True, polled_ms=900, cause=Cause.NO_SIM)
    snapshots = [
        Snapshot(probe=PROBE, site="s", mono_ms=mono_ms, facts=Facts(modems=(old,))) for mono_ms in (1000, 2000)
    ]
    snapshots.append(replace(snapshots[0], mono_ms=3000, facts=Facts(modems=(replace(old, polled_ms=1500),))))
    examination = Examination(lambda _request: snapshots.pop(0), Way("none0", "127.0.0.1", 9), wants_test=False)
    try:
        modems = [next(f for f in examination.look().findings if f.check in ("modem", "sim")) for _ in range(2)]
        assert {finding.word for finding in modems} == {"reading"}
        sim = next(finding for finding in examination.look().findings if finding.check == "sim")
        assert sim.word == "no_sim"
    finally:
        examination.close()
