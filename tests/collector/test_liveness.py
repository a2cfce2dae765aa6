"""Whether a probe lives and what kind of fault it has: one judgement, folded from records, and its series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector.core.liveness import OFFLINE_GRACE_MS, Ears, State, illness, state_of
from collector.core.sample import ProbeState
from collector.core.vitals import Vitals, fold
from collector.forward import PROBE_STATE_EVERY_S
from collector.health import Health, ReceiveState, now_ms, read_health
from collector.probe_watch import ProbeWatch, ears_of, state_lines
from probe.settings import Broker
from tests.collector.conftest import Bench
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe, until
from tests.collector.test_web_view import row
from tests.collector.test_web_world import world
from wire import topics
from wire.failure import Cause

CHAIN = ProbeState("p-one", 1, 3, 3, 4, T0_MS + 3 * SLOT_MS, T0_MS, "test", "online", T0_MS)
BAD = {"outcome": "failed", "downlink_bps": None, "uplink_bps": None}


def folded(probe: FakeProbe, *raws: bytes) -> Vitals:
    vitals = Vitals()
    for number, raw in enumerate(raws):
        vitals = fold(vitals, row(probe, raw, number))
    return vitals


def word(vitals: Vitals, now_ms: int = CHAIN.last_received_ms or 0, chain: ProbeState = CHAIN) -> str | None:
    found = illness("active", chain, vitals, now_ms)
    return found.word if found else None


def test_every_cause_of_the_contract_has_a_state() -> None:
    assert {state_of(cause.value) for cause in Cause} >= {State.MODEM, State.SIM, State.NETWORK, State.SERVER}
    assert state_of("sim_puk") is State.SIM
    assert state_of("engine_error") is state_of("a word of tomorrow") is State.HOST
    # Written to InfluxDB: the numbers never change their meaning.
    assert [state.name for state in State][:4] == ["OK", "LATE", "SILENT", "DARK"]
    assert len({int(state) for state in State}) == len(State)


def test_a_last_will_shows_after_the_grace_and_a_newer_record_beats_it() -> None:
    probe = FakeProbe()
    vitals = folded(probe, *(probe.test() for _ in range(4)))
    gone_ms = (CHAIN.last_received_ms or 0) + 1000
    gone = replace(CHAIN, status="offline", status_ms=gone_ms)
    assert word(vitals, gone_ms + OFFLINE_GRACE_MS, gone) is None
    assert word(vitals, gone_ms + OFFLINE_GRACE_MS + 1, gone) == "offline"
    older = replace(gone, status_ms=(CHAIN.last_received_ms or 0) - 1)
    assert word(vitals, gone_ms + OFFLINE_GRACE_MS + 1, older) is None


def test_late_comes_before_silent_and_behind_every_other_fault() -> None:
    probe = FakeProbe()
    vitals = folded(probe, *(probe.test() for _ in range(4)))
    last_ms = CHAIN.last_received_ms or 0
    assert word(vitals, last_ms + SLOT_MS) is None
    assert word(vitals, last_ms + 2 * SLOT_MS) == "late"
    assert word(vitals, last_ms + 3 * SLOT_MS + 1) == "silent"
    ill = fold(vitals, row(probe, probe.test(**BAD, stage="sim", cause="sim_puk"), 4))
    assert word(ill, last_ms + 2 * SLOT_MS + SLOT_MS) == "sim_puk"


def test_a_supply_that_sank_before_the_last_word_was_a_power_cut() -> None:
    probe = FakeProbe()
    vitals = folded(probe, probe.test(), probe.test(), probe.event("undervoltage", was="ok", now="low"))
    assert word(vitals, T0_MS + 2 * SLOT_MS) == "undervoltage"
    gone = replace(CHAIN, last_received_ms=T0_MS + 2 * SLOT_MS, status="offline", status_ms=T0_MS + 2 * SLOT_MS + 5)
    assert word(vitals, T0_MS + 3 * SLOT_MS, gone) == "power"
    well = fold(vitals, row(probe, probe.event("undervoltage", was="low", now="ok", duration_ms=9), 3))
    assert word(well, T0_MS + 3 * SLOT_MS, gone) == "offline"


def test_outages_clock_disk_and_ladder_are_folded_from_events() -> None:
    probe = FakeProbe()
    out = folded(probe, probe.test(), probe.event("modem_lost", modem="m1", stage="modem", cause="no_modem"))
    assert (word(out), out.modem("m1").out_since_ms) == ("no_modem", T0_MS + SLOT_MS)
    back = fold(out, row(probe, probe.event("modem_back", modem="m1", cause="no_modem", duration_ms=5), 2))
    assert word(back) is None
    full = fold(back, row(probe, probe.event("disk_error", cause="low_disk", was="ok", now="low"), 3))
    assert state_of(word(full) or "") is State.DISK
    rung = fold(full, row(probe, probe.event("recovery", modem="m1", rung="modem_restart", now="done"), 4))
    assert (rung.rung, len(rung.rungs_ms)) == ("modem_restart", 1)
    unsure = folded(probe, probe.test(clock="suspect"))
    assert word(unsure) == "clock"


def test_one_of_two_modems_that_fails_makes_the_probe_ill() -> None:
    probe = FakeProbe()
    vitals = folded(probe, probe.test(**BAD, modem="m2", stage="pdn", cause="no_pdp"), probe.test(), probe.test())
    found = illness("active", CHAIN, vitals, CHAIN.last_received_ms or 0)
    assert found is not None
    assert (found.word, found.state, found.since_ms) == ("no_pdp", State.NETWORK, T0_MS)


def test_a_deaf_collector_calls_nobody_silent() -> None:
    probe = FakeProbe()
    vitals = folded(probe, *(probe.test() for _ in range(4)))
    far_ms = T0_MS + 10**9
    found = illness("active", CHAIN, vitals, far_ms, Ears(hears=False, deaf_since_ms=7))
    assert found is not None
    assert (found.word, found.since_ms, found.state) == ("unheard", 7, State.UNHEARD)
    said = ReceiveState(1, far_ms, 0, True, far_ms - 60_000, None, None, None, 0, 0, 0)
    assert ears_of(Health(said, None, True, False), far_ms).hears
    lost = replace(said, broker_connected=False)
    assert ears_of(Health(lost, None, True, False), far_ms) == Ears(hears=False, deaf_since_ms=far_ms - 60_000)
    assert not ears_of(Health(said, None, False, False), far_ms).hears
    assert ears_of(Health(None, None, False, False), far_ms).hears


def test_the_watch_reads_on_and_starts_over_with_a_restored_ledger(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        watch = ProbeWatch(here.reader, here.registry, lambda: here.health)
        assert [one.state for one in watch.now(here.now_ms)] == [State.NEVER]
        here.tests(3)
        (one,) = watch.now(here.now_ms)
        assert (one.state, one.missing, len(one.vitals.received_ms)) == (State.OK, 0, 3)
        watch._position = 99  # as after a restore: the ledger holds less than was read
        assert len(watch.now(here.now_ms)[0].vitals.received_ms) == 3
        (line,) = state_lines(watch.now(here.now_ms + 10**9), here.now_ms + 10**9)
        assert line.startswith("probe_state,province=19,commune=05755,hamlet=h-dong-chuoi,probe=p-one ")
        for part in ("state=2i", 'word="silent"', 'cause="silent"', "ill=1i", "silent=1i", "age_s=1000000i"):
            assert part in line


@pytest.mark.services
def test_a_pulled_plug_shows_as_silent_within_the_grace(full: Bench, one: FakeProbe) -> None:
    """Real broker and collector: the session dies without a word, its last will says so, the series follows."""
    full.receiving()
    session = Client(CallbackAPIVersion.VERSION2, client_id="p-one")
    session.will_set(topics.status("p-one"), b"offline", topics.QOS, retain=True)
    session.connect("127.0.0.1", full.broker.port, keepalive=5)
    session.loop_start()
    session.publish(topics.status("p-one"), b"online", topics.QOS, retain=True).wait_for_publish(10)
    full.field.send("p-one", one.test())
    until(lambda: [s for s in full.reader.probe_states() if s.status == "online" and s.records])
    held = session.socket()
    assert held is not None
    session.loop_stop()
    held.close()
    (gone,) = until(lambda: [s for s in full.reader.probe_states() if s.status == "offline"], 30)
    now_ms = max(gone.status_ms, gone.last_received_ms) + OFFLINE_GRACE_MS + 1
    found = illness("active", gone, Vitals(), now_ms)
    assert found is not None
    assert found.word == "offline"


def test_silence_shows_within_five_minutes_as_delivered() -> None:
    """A broker calls a session dead after one and a half keep-alives; then grace, then the next point."""
    delivered = Broker(host="broker.example", ca_file="a", cert_file="b", tls_key_file="c")
    assert 1.5 * delivered.keepalive_s + OFFLINE_GRACE_MS / 1000 + PROBE_STATE_EVERY_S < 300


@pytest.mark.services
def test_the_judge_says_that_it_lives(full: Bench) -> None:
    full.receiving()
    judge = full.deployment.program("judge")
    judge.start()
    try:
        found = until(lambda: read_health(full.deployment.state, now_ms()).judge, 30)
        assert (found.error, found.waiting) == (None, 0)
        assert read_health(full.deployment.state, found.at_ms).judge_alive
    finally:
        judge.stop()
