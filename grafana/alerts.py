"""Alerts as provisioning files: rules, how they are grouped, when they are mute, who hears them. Pure.

One table of rules; what comes of it is committed YAML in `provisioning/alerting/`, and tests run every query on a real
influxd. Grafana's back end runs these queries: macros work there, variables do not. A GROUP BY says nothing of what
is absent, so silence is asked of `probe_state`, which the collector writes for every registered probe, heard or not.
Of the values, `labels` are expanded by Grafana ($$ is a dollar), `annotations` and `model` are not.
Source: facts note 06 §2.1; docs/runbook.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
SOURCE = "dosong-influxql"
FOLDER = "dosong"
ZONE = "Asia/Ho_Chi_Minh"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `over`: the last value of the query lies above the limit, or below it.

    `range_s`: how far the query looks back; `tolerance`: how long it must hold; `anchor`: its paragraph in the runbook.
    `more`: further queries by letter with `math`, an expression over A and them, in the place of A's value.
    """

    name: str
    anchor: str
    vi: str
    en: str
    query: str
    over: bool
    limit: float
    range_s: int
    tolerance: str
    severity: Literal["critical", "warning"]
    group: Literal["probes", "hamlets", "collector", "campaign"]
    more: Mapping[str, str] = field(default_factory=dict)
    math: str | None = None
    absent: Literal["Alerting", "NoData", "OK"] = "OK"


def _of_probe(part: str) -> str:
    tags = '"province", "commune", "hamlet", "probe"'
    inner = f'SELECT {part} AS "value", last("here") AS "here" FROM "probe_state" WHERE $timeFilter GROUP BY {tags}'  # noqa: S608
    return f'SELECT "value" FROM ({inner}) WHERE $timeFilter AND "here" = 1 GROUP BY {tags}'  # noqa: S608


def _of_system(part: str) -> str:
    return f'SELECT {part} AS "value" FROM "system" WHERE $timeFilter'  # noqa: S608


_UNIT = '"province", "commune", "hamlet", "plmn"'
_MEDIAN = (
    'SELECT "median" AS "value" FROM (SELECT percentile("downlink_bps", 50) / 1000000.0 AS "median", '  # noqa: S608
    f'count("downlink_bps") AS "n" FROM "test" WHERE $timeFilter AND "counted" = 1 GROUP BY {_UNIT}) '
    f'WHERE $timeFilter AND "n" >= 20 GROUP BY {_UNIT}'
)
_LOST = f'SELECT mean("no_service") AS "value" FROM "coverage" WHERE $timeFilter AND "state" > 0 GROUP BY {_UNIT}'  # noqa: S608
_PACE = (
    'SELECT 100.0 * last("ahead") / last("minimum") AS "value" FROM "quota" WHERE $timeFilter '
    'GROUP BY "province", "commune", "campaign", "line"'
)
_HOUR, _DAY = 3600, 86_400
ALERTS: tuple[Alert, ...] = (
    Alert(
        "silent-probe", "silent-probe", "Trạm im lặng", "Silent probe",
        _of_probe('last("silent")'), True, 0.5, 600, "2m", "critical", "probes", absent="Alerting",
    ),
    Alert(
        "clock-untrusted", "clock-untrusted", "Đồng hồ trạm chưa tin cậy", "Probe's clock not trusted",
        _of_probe('last("clock_trusted")'), False, 0.5, _HOUR, "30m", "warning", "probes",
    ),
    Alert(
        "certificate-expiring", "certificate-expiring", "Chứng thư trạm sắp hết hạn", "Probe's certificate runs out",
        _of_probe('last("cert_days")'), False, 21, _HOUR, "1h", "warning", "probes",
    ),
    Alert(
        "sim-near-cap", "sim-near-cap", "SIM gần hết hạn mức dữ liệu", "SIM near its data cap",
        _of_probe('last("data_used_ppm") / 10000.0'), True, 90, _HOUR, "30m", "warning", "probes",
    ),
    Alert(
        "budget-at-risk", "budget-at-risk", "Dữ liệu SIM sẽ hết trước cuối kỳ", "SIM's data will not last",
        _of_probe('last("data_used_ppm")'), True, 0.5, 3 * _DAY, "6h", "warning", "probes",
        more={"D": _of_probe('first("data_used_ppm")')}, math="$A - $D > 0 && $A + 5 * ($A - $D) > 1000000",
    ),
    Alert(
        "hamlet-below-target", "hamlet-below-target", "Thôn, xóm dưới mốc 10 Mbit/s", "Hamlet below 10 Mbit/s",
        _MEDIAN, False, 10, 7 * _DAY, "6h", "warning", "hamlets",
    ),
    Alert(
        "service-lost", "service-lost", "Mất dịch vụ di động", "Mobile service lost",
        _LOST, True, 0.9, 2 * _HOUR, "10m", "critical", "hamlets",
    ),
    Alert(
        "quota-behind", "quota-behind", "Chỉ tiêu mẫu chậm tiến độ", "Quota behind its pace",
        _PACE, False, -10, 6 * _HOUR, "1d", "warning", "campaign",
    ),
    Alert(
        "influx-lag", "influx-lag", "InfluxDB chậm hơn sổ cái", "InfluxDB lags behind the ledger",
        _of_system('last("lag")'), True, 500, 600, "10m", "warning", "collector", absent="Alerting",
    ),
    Alert(
        "ledger-lag", "ledger-lag", "Bộ thu không nhận bản ghi", "The collector takes no records",
        _of_system('last("receiving")'), False, 0.5, 600, "5m", "critical", "collector",
    ),
    Alert(
        "ledger-quiet", "ledger-lag", "3 giờ không có bản ghi nào vào sổ", "No record in the ledger for 3 hours",
        _of_system('last("commit_age_s")'), True, 3 * _HOUR, 600, "5m", "critical", "collector",
    ),
    Alert(
        "log-not-sealed", "log-not-sealed", "Nhật ký chưa được niêm phong", "The log is not sealed",
        _of_system('last("seal_age_s")'), True, 900, 600, "5m", "critical", "collector",
    ),
)  # fmt: skip
"""All rules. Their names and groups are fixed for ever: silences and histories name them."""
_EVERY = {"probes": "1m", "hamlets": "10m", "collector": "1m", "campaign": "1h"}
_SUBJECT = {
    "probes": "{{ $labels.probe }} ({{ $labels.hamlet }})",
    "hamlets": "{{ $labels.hamlet }}, {{ $labels.plmn }}",
    "campaign": "{{ $labels.commune }}",
    "collector": "dosong-collector",
}
_BOARD = {"probes": "fleet", "hamlets": "hamlet", "campaign": "campaign", "collector": "fleet"}


def _ask(ref: str, query: str, range_s: int) -> Json:
    model = {"refId": ref, "rawQuery": True, "resultFormat": "time_series", "query": query, "intervalMs": 60_000}
    return {
        "refId": ref,
        "relativeTimeRange": {"from": range_s, "to": 0},
        "datasourceUid": SOURCE,
        "model": model | {"maxDataPoints": 100, "alias": "$col"},
    }


def _expression(ref: str, kind: str, expression: str, **more: Any) -> Json:
    model = {
        "refId": ref,
        "type": kind,
        "expression": expression,
        "datasource": {"type": "__expr__", "uid": "__expr__"},
    }
    return {"refId": ref, "datasourceUid": "__expr__", "model": model | more}


def _steps(alert: Alert) -> list[Json]:
    """Queries, their last values, and the comparison that is the rule's condition C."""
    last = {"reducer": "last", "settings": {"mode": "dropNN"}}
    made = [_ask("A", alert.query, alert.range_s), _expression("B", "reduce", "A", **last)]
    compared = "B"
    for ref, query in alert.more.items():
        made += [_ask(ref, query, alert.range_s), _expression(ref + ref, "reduce", ref, **last)]
    if alert.math is not None:
        text = alert.math.replace("$A", "$B").replace("$D", "$DD")
        made.append(_expression("M", "math", text))
        compared = "M"
    evaluator = {"type": "gt" if alert.over else "lt", "params": [alert.limit]}
    return [*made, _expression("C", "threshold", compared, conditions=[{"evaluator": evaluator}])]


def _rule(alert: Alert, runbook: str) -> Json:
    subject = _SUBJECT[alert.group]
    return {
        "uid": f"dosong-{alert.name}",
        "title": f"{alert.vi} · {alert.en}",
        "condition": "C",
        "data": _steps(alert),
        "for": alert.tolerance,
        "noDataState": alert.absent,
        "execErrState": "Error",
        "labels": {"team": "dosong", "severity": alert.severity, "rule": alert.name},
        "annotations": {
            "summary": f"{alert.vi}: {subject}",
            "description": f"{alert.en}: {subject}",
            "runbook_url": f"{runbook}#{alert.anchor}",
            "board": f"/d/dosong-{_BOARD[alert.group]}-vi",
        },
    }


def rules(runbook: str) -> Json:
    """The file of rules; `runbook`: address of docs/runbook.md as people open it."""
    groups = [
        {
            "orgId": 1,
            "name": f"dosong-{group}",
            "folder": FOLDER,
            "interval": every,
            "rules": [_rule(alert, runbook) for alert in ALERTS if alert.group == group],
        }
        for group, every in _EVERY.items()
    ]
    return {"apiVersion": 1, "groups": groups}


def contacts() -> Json:
    """Who hears: e-mail and webhook, addresses from Grafana's environment."""
    to = {"addresses": "$DOSONG_ALERT_EMAIL", "singleEmail": True}
    mail = {"uid": "dosong-email", "type": "email", "settings": to}
    by = {"url": "$DOSONG_ALERT_WEBHOOK", "httpMethod": "POST"}
    hook = {"uid": "dosong-webhook", "type": "webhook", "settings": by}
    return {
        "apiVersion": 1,
        "contactPoints": [
            {"orgId": 1, "name": "dosong", "receivers": [mail]},
            {"orgId": 1, "name": "dosong-critical", "receivers": [mail | {"uid": "dosong-email-critical"}, hook]},
        ],
    }


def mutes() -> Json:
    """When warnings wait: nights and week-ends of Vietnam. What is critical never waits."""
    night = [{"start_time": "00:00", "end_time": "06:30"}, {"start_time": "21:30", "end_time": "24:00"}]
    intervals = [{"times": night, "location": ZONE}, {"weekdays": ["saturday", "sunday"], "location": ZONE}]
    return {"apiVersion": 1, "muteTimes": [{"orgId": 1, "name": "dosong-rest", "time_intervals": intervals}]}


def policies() -> Json:
    """One message a commune and rule, not one a probe; critical ones by both ways and at once."""
    base = {"group_by": ["alertname", "commune"], "group_wait": "2m", "group_interval": "10m", "repeat_interval": "12h"}
    critical = {
        "receiver": "dosong-critical",
        "object_matchers": [["team", "=", "dosong"], ["severity", "=", "critical"]],
        "group_wait": "30s",
        "repeat_interval": "4h",
    }
    warning = {
        "receiver": "dosong",
        "object_matchers": [["team", "=", "dosong"], ["severity", "=", "warning"]],
        "mute_time_intervals": ["dosong-rest"],
    }
    return {"apiVersion": 1, "policies": [{"orgId": 1, "receiver": "dosong", **base, "routes": [critical, warning]}]}


_HEAD = "# Made by `python -m grafana build` from grafana/alerts.py; change it there. Told in grafana/README.md.\n"


def files(runbook: str) -> dict[str, str]:
    """Name to text of every alerting file."""
    made = {"rules": rules(runbook), "contacts": contacts(), "mutes": mutes(), "policies": policies()}
    return {f"dosong-{name}.yaml": _HEAD + "\n".join(_yaml(found)) + "\n" for name, found in made.items()}


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Block-style YAML of dicts and lists; scalars as JSON, which YAML reads alike."""
    entries = value.items() if isinstance(value, dict) else ((None, one) for one in value)
    for key, below in entries:
        head = f"{indent}- " if key is None else f"{indent}{key}: "
        if isinstance(below, dict | list) and below:
            if key is None:
                inner = list(_yaml(below, indent + "  "))
                yield head + inner[0].lstrip()
                yield from inner[1:]
            else:
                yield head.rstrip()
                yield from _yaml(below, indent + "  ")
        else:
            yield head + json.dumps(below, ensure_ascii=False)


def fires(alert: Alert, last: Mapping[str, float | None]) -> bool:
    """Whether the rule's condition holds for one series: the last value of A and of each further query, by letter."""
    a, d = last.get("A"), last.get("D")
    if a is None:
        return False
    if alert.math is not None:
        return d is not None and a - d > 0 and a + 5 * (a - d) > 1_000_000
    return a > alert.limit if alert.over else a < alert.limit


def queries(alert: Alert) -> Sequence[tuple[str, str]]:
    """Each query of a rule with its letter."""
    return (("A", alert.query), *alert.more.items())
