"""One probe with two modems, each with a link, an operator and slots of its own; one that is pulled stops no other.

The second link is made here beside the site's own one: slower, and also to the run's core.
"""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sim import ns, site, state
from sim.programs import module
from tests.flow.conftest import eventually
from wire import codec
from wire.keyfile import write_signer
from wire.note import Signer
from wire.records import AnyRecord, CoverageRecord, EventRecord, TestRecord

ORIGIN = "two.example"
PROBE = "p-two"
SLOT_MS = 12_000
RATES_BPS = {"m1": 20_000_000, "m2": 5_000_000}
PLMN = {"m1": "45204", "m2": "45202"}
LINK = {"m1": "cell0", "m2": "cell1"}
_SETTINGS = """
probe = "{probe}"
origin = "{origin}"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
simulated = true
site = "site-two"
[schedule]
slot_s = 12
seed = "{seed}"
[coverage]
step_s = 1
steps = 5
poll_s = 1
[engine]
name = "speedtest-cli"
server = "http://{core}:8080/speedtest/upload.php"
echo = "{core}:8080"
downlink_s = 1
uplink_s = 1
time_limit_s = 20
[clock]
trust = "always"
"""


@dataclass(frozen=True, slots=True)
class Two:
    """A running probe with two modems; site `second` is m2's modem alone."""

    folder: Path
    directory: state.RunDir
    probe: subprocess.Popen[bytes]

    def records(self) -> list[AnyRecord]:
        """Everything in the spool, oldest first."""
        path = self.folder / "state" / "spool.db"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
                rows = db.execute("SELECT raw FROM record ORDER BY epoch, seq").fetchall()
        except sqlite3.OperationalError:  # not made yet
            return []
        return [codec.decode_body(codec.body_of(raw)) for (raw,) in rows]

    def tests(self, modem: str, after: int = -1) -> list[TestRecord]:
        """Test records of one modem behind a place in the chain."""
        found = [record for record in self.records() if isinstance(record, TestRecord)]
        return [record for record in found if record.modem == modem and record.seq > after]

    def coverage(self, modem: str, after: int = -1) -> str:
        """State and cause letters of one modem, joined: "C." is a covered step."""
        found = [record for record in self.records() if isinstance(record, CoverageRecord) and record.seq > after]
        return " ".join(
            state + cause for r in found if r.modem == modem for state, cause in zip(r.states, r.causes, strict=True)
        )

    def last_seq(self) -> int:
        """Where the chain stands."""
        return self.records()[-1].seq

    def good(self, modem: str, after: int = -1) -> list[TestRecord]:
        """Tests that succeeded over the modem's own link."""
        return [r for r in self.tests(modem, after) if r.outcome == "ok" and r.path and r.path.verdict == "ok"]


def second_link(first: state.SiteState) -> None:
    """Add cell1 to the site: a shaped link to the core, behind cell0 in the route table."""
    inside = first.netns_pid
    ip = ns.enter(inside, ["ip", "-batch", "-"], "/")
    ns.run(
        *ip,
        stdin=f"link add cell1 type veth peer name cell-two netns {first.core_pid}\n"
        "addr add 198.18.201.2/30 dev cell1\nlink set cell1 up\n",
    )
    ns.run(
        *ns.enter(first.core_pid, ["ip", "-batch", "-"], "/"),
        stdin="addr add 198.18.201.1/30 dev cell-two\nlink set cell-two up\n",
    )
    ns.run(*ip, stdin="route add default via 198.18.201.1 dev cell1 metric 710\n")
    shape = f"root tbf rate {RATES_BPS['m2']}bit burst 5000 latency 150ms".split()
    for pid, device in ((inside, "cell1"), (first.core_pid, "cell-two")):
        ns.run(*ns.enter(pid, ["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"], "/"))
        ns.run(*ns.enter(pid, ["tc", "qdisc", "replace", "dev", device, *shape], "/"))


def write_settings(folder: Path, core: str, modems: dict[str, str]) -> Path:
    """Keys and settings of the probe; `modems`: id to port."""
    key = Signer.from_seed(codec.probe_key_name(ORIGIN, PROBE), os.urandom(32))
    write_signer(folder / "record.key", key)
    ack = Signer.from_seed(f"{ORIGIN}/ack", os.urandom(32)).verifier.vkey
    text = _SETTINGS.format(probe=PROBE, origin=ORIGIN, ack=ack, seed=secrets.token_hex(32), core=core)
    for modem, port in modems.items():
        text += f'[[modem]]\nid = "{modem}"\nport = "{port}"\ninterface = "{LINK[modem]}"\nplmn = "{PLMN[modem]}"\n'
    settings = folder / "probe.toml"
    settings.write_text(text)
    return settings


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    folder = tmp_path_factory.mktemp("two")
    directory = state.run_dir(f"two-{os.getpid()}-{secrets.token_hex(2)}")
    started: list[subprocess.Popen[bytes]] = []
    try:
        core = site.core_up(directory, attached=True)
        first = site.up(directory, state.Spec("first", plmn=PLMN["m1"], attached=True))
        beside = state.Spec("second", link="loopback", modem="huawei-e3372", plmn=PLMN["m2"], attached=True)
        modems = {"m1": first.modem, "m2": site.up(directory, beside).modem}
        second_link(first)
        point = module("point", "--bind", core.address, "--port", "8080", "--json-ready", str(folder / "ready"))
        settings = write_settings(folder, core.address, modems)
        with (folder / "log").open("wb") as log:
            started.append(subprocess.Popen(ns.enter(core.pid, point), stderr=log))
            eventually("the point listens", (folder / "ready").exists, 30)
            run = module("probe", "run", "--config", str(settings))
            started.append(subprocess.Popen(ns.enter(first.netns_pid, run), stderr=log))
        yield Two(folder, directory, started[-1])
    finally:
        for child in reversed(started):
            child.kill()
            child.wait(20)
        site.all_down(directory)


def test_each_modem_is_measured_by_its_own_link_and_named(two: Two) -> None:
    eventually("two good tests of each", lambda: all(len(two.good(modem)) >= 2 for modem in LINK), 120)
    for modem, link in LINK.items():
        for test in two.good(modem):
            assert test.plmn == PLMN[modem]
            assert test.radio is not None
            assert test.radio.before is not None
            assert test.radio.before.plmn == PLMN[modem], "the radio is that of this modem"
            assert test.path is not None
            assert test.path.iface == link
            assert test.path.other_rx_bytes < (test.downlink_bytes or 0) / 50
    fastest_of_second = max(test.downlink_bps or 0 for test in two.good("m2"))
    assert fastest_of_second < RATES_BPS["m2"]
    assert max(test.downlink_bps or 0 for test in two.good("m1")) > 2 * fastest_of_second


def test_slots_are_per_modem_and_tests_never_overlap(two: Two) -> None:
    eventually("tests of each", lambda: all(len(two.tests(modem)) >= 3 for modem in LINK), 120)
    tests = two.tests("m1") + two.tests("m2")
    slots = [(test.modem, test.slot_ms) for test in tests]
    assert len(slots) == len(set(slots))
    assert all(test.slot_ms is not None and test.slot_ms % SLOT_MS == 0 for test in tests)
    dues = {test.modem: {(test.due_ms or 0) - (test.slot_ms or 0) for test in two.tests(test.modem)} for test in tests}
    assert dues["m1"] != dues["m2"], "each modem has instants of its own"
    spans = sorted((test.mono_ms, test.mono_ms + (test.duration_ms or 0)) for test in tests)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


def test_coverage_is_per_modem(two: Two) -> None:
    for modem in LINK:
        eventually(f"{modem} is covered", lambda modem=modem: two.coverage(modem).count("C.") >= 5, 60)  # type: ignore[misc]


def test_one_pulled_modem_leaves_the_other_working_and_comes_back(two: Two) -> None:
    pulled = two.last_seq()
    site.control(two.directory, "second", "unplug")
    try:
        eventually("m2 fails", lambda: any(t.cause == "no_modem" for t in two.tests("m2", pulled)), 90)
        eventually("m2 is unknown, not without service", lambda: "Um" in two.coverage("m2", pulled), 60)
        seen = two.last_seq()
        eventually("m1 goes on", lambda: bool(two.good("m1", seen)), 90)
        assert "Um" not in two.coverage("m1", pulled)
        assert all(test.outcome == "failed" for test in two.tests("m2", seen))
    finally:
        site.control(two.directory, "second", "plug")
    seen = two.last_seq()
    eventually("m2 measures again", lambda: bool(two.good("m2", seen)), 90)
    events = [(r.modem, r.event) for r in two.records() if isinstance(r, EventRecord) and r.seq > pulled]
    assert ("m2", "modem_lost") in events
    assert ("m2", "modem_back") in events
    assert not [event for event in events if event[0] == "m1"]


def test_it_ends_cleanly_with_both_modems(two: Two) -> None:
    two.probe.send_signal(signal.SIGTERM)
    assert two.probe.wait(30) == 0
    last = two.records()[-1]
    assert isinstance(last, EventRecord)
    assert last.event == "stopping"
