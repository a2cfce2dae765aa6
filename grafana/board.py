"""What every board has around its panels: variables, links, time, fixed uid. Pure.

Source: facts note 06 §2 (variables, links, provisioning), §4 (rules of good boards).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from collector.catalogue import N_MIN, TIME_ZONE, VARIABLES
from grafana.words import Language, Pair, say

Json = dict[str, Any]
SCHEMA_VERSION = 42
ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}
LABELS: dict[str, Pair] = {
    "province": ("Tỉnh (mã)", "Province (code)"),
    "commune": ("Xã, phường (mã)", "Commune (code)"),
    "hamlet": ("Thôn, xóm (mã)", "Hamlet (code)"),
    "plmn": ("Nhà mạng (mã)", "Operator (code)"),
}
BUCKETS = ("1h", "6h", "1d", "2d", "7d")
BUCKET = "2d"
"""Shown first: at ten tests a day it holds the ten values that a nearest-rank p5 needs."""


def _datasource() -> Json:
    return {
        "name": "datasource",
        "type": "datasource",
        "label": "Data source",
        "query": "influxdb",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
        "current": {},
    }


def _chained(name: str, language: Language) -> Json:
    """A variable of codes: many may be chosen, All stands for `.*`, read anew when the time range changes."""
    return {
        "name": name,
        "type": "query",
        "label": say(language, LABELS[name]),
        "datasource": {"type": "influxdb", "uid": "${datasource}"},
        "definition": VARIABLES[name],
        "query": {"query": VARIABLES[name], "refId": "InfluxVariableQueryEditor-VariableQuery"},
        "regex": "",
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "options": [],
        "current": ALL,
    }


def _bucket(language: Language) -> Json:
    options = [{"selected": b == BUCKET, "text": b, "value": b} for b in BUCKETS]
    return {
        "name": "bucket",
        "type": "custom",
        "label": say(language, ("Ô thời gian", "Time bucket")),
        "query": ",".join(BUCKETS),
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": options,
        "current": {"selected": True, "text": BUCKET, "value": BUCKET},
    }


def _constant(name: str, value: str) -> Json:
    chosen = {"selected": True, "text": value, "value": value}
    return {
        "name": name,
        "type": "constant",
        "query": value,
        "hide": 2,
        "skipUrlSync": True,
        "options": [chosen],
        "current": chosen,
    }


def variables(language: Language) -> list[Json]:
    """Data source, province to commune to hamlet, operator, bucket, and two constants: `n_min`, `web_url`."""
    chained = [_chained(name, language) for name in VARIABLES]
    constants = [_constant("n_min", str(N_MIN)), _constant("web_url", "")]
    return [_datasource(), *chained, _bucket(language), *constants]


def _link(title: str, url: str, *, keep: bool) -> Json:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "external link",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "includeVars": keep,
        "keepTime": keep,
        "targetBlank": not keep,
    }


def board(stem: str, language: Language, title: str, description: str, panels: Sequence[Json]) -> Json:
    """A whole board; uid `<stem>-<language>`, and a link to its twin in the other language."""
    twin: Language = "en" if language == "vi" else "vi"
    links = [
        _link({"vi": "Tiếng Việt", "en": "English"}[twin], f"/d/{stem}-{twin}", keep=True),
        _link(say(language, ("Trang của dosong", "dosong pages")), "${web_url}/", keep=False),
    ]
    return {
        "uid": f"{stem}-{language}",
        "title": title,
        "description": description,
        "tags": ["dosong", language],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": TIME_ZONE,
        "weekStart": "monday",
        "time": {"from": "now-30d", "to": "now"},
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "refresh": "1m",
        "fiscalYearStartMonth": 0,
        "annotations": {"list": []},
        "links": links,
        "templating": {"list": variables(language)},
        "panels": [*panels],
    }


def dump(made: Json) -> str:
    """The committed text of a board: readable in a diff, Vietnamese as written, keys in order."""
    return json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
