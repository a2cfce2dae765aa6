"""What watches a collector sees: readiness with what to do, and figures that are the pages' own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from collector.health import ForwardState, Health, ReceiveState, SealState
from tests.collector.kit import FakeProbe
from tests.collector.test_web_world import World, get, world
from wire import topics

TOLD = "a sentence with /a/path and dsg_secret"


def well(now_ms: int) -> Health:
    receive = ReceiveState(1, now_ms, now_ms, True, now_ms, None, None, now_ms, 3, 0, 0)
    forward = ForwardState(2, now_ms, now_ms, True, None, 7, 8, 1, 40, 2, now_ms)
    seal = SealState(3, now_ms, now_ms, 6, now_ms, None)
    return Health(receive, forward, True, True, seal, True)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(6)
        made.health = well(made.now_ms)
        yield made


def figures(here: World, accept: str = "text/plain") -> dict[tuple[str, tuple[str, ...]], float]:
    answer = get(here.client("operator"), "/metrics", Accept=accept)
    assert answer.status_code == 200, answer.text
    parse: Any = (
        openmetrics.text_string_to_metric_families if "openmetrics" in accept else text_string_to_metric_families
    )
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def test_the_figures_are_those_of_ledger_and_state_files(here: World) -> None:
    found = figures(here)
    assert found["dosong_records_total", ("accepted",)] == here.reader.deliveries().accepted == 6
    assert found["dosong_ledger_last_number", ()] == 6
    assert found["dosong_forward_lag_records", ()] == 1
    assert found["dosong_sealed_entries", ()] == 6
    assert found["dosong_process_up", ("receive",)] == 1
    assert found["dosong_probe_records", ("p-one",)] == 6
    assert found["dosong_probe_missing_records", ("p-one",)] == 0
    assert found["dosong_last_commit_timestamp_seconds", ()] == here.now_ms / 1000
    assert found["dosong_file_bytes", ("ledger.db",)] > 0
    assert {at for name, at in found if name == "dosong_fault" and found[name, at] == 1} == {("parked",)}
    modern = figures(here, "application/openmetrics-text; version=1.0.0")
    assert modern["dosong_records_total", ("accepted",)] == 6


def test_what_is_not_known_has_no_sample(here: World) -> None:
    here.health = Health(None, None, False, False)
    found = figures(here)
    names = {name for name, _ in found}
    assert not names & {"dosong_forward_lag_records", "dosong_broker_connected", "dosong_sealed_entries"}
    assert found["dosong_process_up", ("receive",)] == 0
    assert ("dosong_process_up", ("seal",)) not in found


def test_no_made_up_name_becomes_a_label(here: World) -> None:
    here.take(FakeProbe("p-stranger").test(), topic=topics.up("p-stranger"))
    here._ledger.set_status("p-stranger", "online", here.now_ms)
    assert "p-stranger" in {state.probe for state in here.reader.probe_states()}
    get(here.client(), "/hamlets/made-up-1")
    get(here.client(), "/made-up-2")
    labels = {value for _, at in figures(here) for value in at}
    assert not [value for value in labels if "made-up" in value or "stranger" in value]
    assert "none" in labels
    assert "pages.hamlet" in labels


def test_figures_are_for_those_who_keep_it_going(here: World) -> None:
    assert get(here.client(), "/metrics").status_code == 401
    assert get(here.client("official"), "/metrics").status_code == 403
    assert get(here.client("technician"), "/metrics").status_code == 200


def test_ready_while_records_are_taken(here: World) -> None:
    answer = get(here.client(), "/readyz")
    assert (answer.status_code, answer.json) == (200, {"ready": True, "not_ready": []})
    assert here.health.forward is not None
    here.health = replace(here.health, forward=replace(here.health.forward, influx_error=TOLD))
    answer = get(here.client(), "/readyz")
    assert (answer.status_code, answer.json["ready"]) == (200, True)  # boards stand still, records do not
    assert [(p["part"], p["needed"]) for p in answer.json["not_ready"]] == [("influx", False)]


def test_not_ready_says_what_and_what_to_do_and_no_path(here: World) -> None:
    receive = here.health.receive
    assert receive is not None
    lost = replace(receive, broker_connected=False, broker_error=TOLD, ledger_error=TOLD)
    here.health = replace(here.health, receive=lost)
    answer = get(here.client(), "/readyz")
    assert answer.status_code == 503
    parts = {part["part"]: part for part in answer.json["not_ready"]}
    assert set(parts) == {"broker", "ledger"}
    assert parts["broker"]["since"]["ms"] == receive.broker_since_ms
    assert "mosquitto" in parts["broker"]["do"]["vi"]
    assert TOLD not in answer.text
    assert "/a/path" not in answer.text


def test_a_ledger_that_is_gone_is_told_and_the_rest_still_is(here: World) -> None:
    here.reader.close()
    ledger = here.settings.ledger
    ledger.rename(ledger.with_suffix(".away"))
    try:
        found = figures(here)
        assert ("dosong_records_total", ("accepted",)) not in found
        assert found["dosong_fault", ("ledger",)] == 1
        answer = get(here.client(), "/readyz")
        assert answer.status_code == 503
        assert [part["part"] for part in answer.json["not_ready"]] == ["ledger"]
        assert str(ledger.parent) not in answer.text
    finally:
        ledger.with_suffix(".away").rename(ledger)
