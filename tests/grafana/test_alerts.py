"""Alert rules: provisioned as files that Grafana reads, each query on a real influxd, each with its paragraph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.core.points import line, series
from grafana.alerts import ALERTS, Alert, fires, queries
from grafana.interpolate import expand
from grafana.marks import settings
from tests.grafana import seed, service
from tests.grafana.service import Seeded

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "grafana/provisioning/alerting"
QUEUE = ("silent-probe", "service-lost", "ledger-lag", "ledger-quiet", "log-not-sealed")


def _file(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"dosong-{name}.yaml").read_text(encoding="utf-8"))


def _rules() -> list[dict[str, Any]]:
    return [rule for group in _file("rules")["groups"] for rule in group["rules"]]


def test_rules_have_the_keys_that_provisioning_asks() -> None:
    rules = _rules()
    assert {rule["uid"] for rule in rules} == {f"dosong-{alert.name}" for alert in ALERTS}
    assert len({rule["uid"] for rule in rules}) == len(rules)
    for group in _file("rules")["groups"]:
        assert set(group) == {"orgId", "name", "folder", "interval", "rules"}
    for rule in rules:
        assert len(rule["uid"]) <= 40
        refs = [step["refId"] for step in rule["data"]]
        assert rule["condition"] in refs
        assert len(refs) == len(set(refs))
        assert re.fullmatch(r"\d+[mhd]", rule["for"])
        assert rule["noDataState"] in {"Alerting", "NoData", "OK"}
        for step in rule["data"]:
            named = re.findall(r"\$([A-Z]+)", str(step["model"].get("expression", "")))
            assert set(named) <= set(refs), rule["uid"]


def test_dollars_stand_where_grafana_takes_them_raw() -> None:
    """`annotations` and `model` are raw: one dollar. Everything else is expanded: a dollar there names a variable."""
    for rule in _rules():
        raw = {key: value for key, value in rule.items() if key not in {"data", "annotations"}}
        assert "$" not in str(raw)
        assert "$$" not in str(rule)
        assert "$timeFilter" in rule["data"][0]["model"]["query"]
        assert not re.search(r"\$(province|commune|hamlet|plmn|bucket|n_min)\b", rule["data"][0]["model"]["query"])
    named = set(re.findall(r"\$(\w+)", (FOLDER / "dosong-contacts.yaml").read_text()))
    given = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]["environment"]
    assert named == {"DOSONG_ALERT_EMAIL", "DOSONG_ALERT_WEBHOOK"}
    assert named <= set(given)


def test_policies_name_what_there_is() -> None:
    points = {point["name"] for point in _file("contacts")["contactPoints"]}
    mutes = {mute["name"] for mute in _file("mutes")["muteTimes"]}
    (policy,) = _file("policies")["policies"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} <= points
    for route in policy["routes"]:
        assert set(route.get("mute_time_intervals", ())) <= mutes
        severity = next(m[2] for m in route["object_matchers"] if m[0] == "severity")
        # What is critical is never mute.
        assert ("mute_time_intervals" in route) == (severity == "warning")
    assert {alert.name for alert in ALERTS if alert.severity == "critical"} == set(QUEUE)


def test_every_rule_leads_to_its_paragraph_in_both_languages() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    for alert in ALERTS:
        part = text.partition(f'<a id="{alert.anchor}"></a>')[2].partition("<a id=")[0]
        assert "**Làm gì.**" in part, alert.name
        assert "**What to do.**" in part, alert.name
    for rule in _rules():
        assert rule["annotations"]["runbook_url"].startswith(settings()["runbook"] + "#")


def _last(seeded: Seeded, alert: Alert) -> dict[tuple[str, ...], dict[str, float | None]]:
    found: dict[tuple[str, ...], dict[str, float | None]] = {}
    for ref, text in queries(alert):
        sent = expand(text, seeded.now_ms - alert.range_s * 1000, seeded.now_ms, 60_000)
        for one in seeded.influx.query(sent):
            place = one["columns"].index("value")
            found.setdefault(tuple(one.get("tags", {}).values()), {})[ref] = one["values"][-1][place]
    return found


@pytest.mark.services
@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a.name)
def test_rule_asks_what_is_there(seeded: Seeded, alert: Alert) -> None:
    found = _last(seeded, alert)
    assert found
    assert all(value is not None for values in found.values() for value in values.values())


@pytest.mark.services
def test_rules_fire_where_something_is_wrong_and_nowhere_else(seeded: Seeded) -> None:
    by_name = {alert.name: alert for alert in ALERTS}

    def firing(name: str) -> set[str]:
        return {",".join(tags) for tags, last in _last(seeded, by_name[name]).items() if fires(by_name[name], last)}

    silent = firing("silent-probe")
    assert len(silent) == 1
    assert seed.FEW in next(iter(silent))
    assert firing("clock-untrusted") == silent
    assert len(firing("certificate-expiring")) == 1
    assert len(firing("sim-near-cap")) == 3
    assert firing("influx-lag") == firing("log-not-sealed") == firing("ledger-lag") == set()


@pytest.mark.services
def test_a_probe_that_goes_silent_turns_its_tile_and_fires(seeded: Seeded) -> None:
    """The series goes on when the probe does not: two minutes of `silent` are enough, whatever it sent before."""
    seeded.influx.query("CREATE DATABASE dying")
    tags = (("province", "19"), ("commune", "05755"), ("hamlet", "h"), ("probe", "p-1"))
    ends = {False: seeded.now_ms - 150_000, True: seeded.now_ms}
    lines = [
        line(series("probe_state", tags), {"silent": int(at > ends[False]), "ill": 0, "here": 1}, at * 10**6)
        for at in range(seeded.now_ms - 600_000, seeded.now_ms, 30_000)
    ]
    service.write(seeded.influx.url, "dying", lines)
    alert = next(a for a in ALERTS if a.name == "silent-probe")
    here = Seeded(type(seeded.influx)(seeded.influx.url, "dying"), seeded.now_ms)
    (last,) = _last(here, alert).values()
    assert fires(alert, last)
    before = Seeded(here.influx, ends[False])
    (last,) = _last(before, alert).values()
    assert not fires(alert, last)
