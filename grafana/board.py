"""What every board has around its panels: variables, links, time, fixed uid. Pure.

Source: facts note 06 §2 (variables, links, provisioning), §4 (rules of good boards).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from collector.catalogue import CHAIN, N_MIN, TIME_ZONE, variable
from grafana.words import Language, Pair, say

Json = dict[str, Any]
SCHEMA_VERSION = 42
ALL = {"selected": True, "text": ["All"], "value": ["$__all"]}
NO_ALL = frozenset({"hamlet"})
LABELS: dict[str, Pair] = {
    "province": ("Tỉnh (mã)", "Province (code)"),
    "commune": ("Xã, phường (mã)", "Commune (code)"),
    "hamlet": ("Thôn, xóm (mã)", "Hamlet (code)"),
    "plmn": ("Nhà mạng (mã)", "Operator (code)"),
}
NAMES: dict[str, Pair] = {
    "dosong-province": ("Tỉnh", "Province"),
    "dosong-commune": ("Xã, phường", "Commune"),
    "dosong-hamlet": ("Thôn, xóm", "Hamlet"),
    "dosong-operators": ("Nhà mạng", "Operators"),
    "dosong-fleet": ("Trạm đo", "Fleet"),
    "dosong-campaign": ("Chiến dịch, chất lượng số liệu", "Campaign, data quality"),
}
"""Stem of each board's uid, and its name in the links at the top of every board."""
PUBLIC = "dosong-public"
"""The board that anybody may open: it stands apart, over a database of its own, and leads to no other board."""
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
    }


def _chained(name: str, before: Sequence[str], language: Language) -> Json:
    """A variable of codes: many may be chosen, All stands for `.*`, read anew when the time range changes.

    Hamlets have no All: their board reads single tests, and all hamlets of a commune or province have boards of their
    own, from figures of whole units (decision 0039).
    """
    everyone = name not in NO_ALL
    return {
        "name": name,
        "type": "query",
        "label": say(language, LABELS[name]),
        "datasource": {"type": "influxdb", "uid": "${datasource}"},
        "definition": variable(name, before),
        "query": {"query": variable(name, before), "refId": "InfluxVariableQueryEditor-VariableQuery"},
        "regex": "",
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": True,
        "includeAll": everyone,
        "options": [],
    } | ({"allValue": ".*", "current": ALL} if everyone else {})


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


def variables(language: Language, names: Sequence[str] = CHAIN, *, bucket: bool = True) -> list[Json]:
    """Data source, those of province, commune, hamlet, operator that are named, bucket, `n_min` and `web_url`."""
    chained = [_chained(name, names[:place], language) for place, name in enumerate(names)]
    constants = [_constant("n_min", str(N_MIN)), _constant("web_url", "")]
    return [_datasource(), *chained, *([_bucket(language)] if bucket else []), *constants]


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


def board(
    stem: str,
    language: Language,
    description: Pair,
    panels: Sequence[Json],
    names: Sequence[str] = CHAIN,
    *,
    bucket: bool = True,
    more: Sequence[tuple[Pair, str]] = (),
) -> Json:
    """A whole board; uid `<stem>-<language>`, links to the other boards, to its twin in the other language, to pages.

    `names`: its chained variables. `more`: titles and addresses of pages of ours.
    """
    is_public = stem == PUBLIC
    title = (
        f"dosong · {say(language, (('Toàn tỉnh, công khai', 'The province, in public') if is_public else NAMES[stem]))}"
    )
    twin: Language = "en" if language == "vi" else "vi"
    links = [
        *(
            _link(say(language, name), f"/d/{one}-{language}", keep=True)
            for one, name in NAMES.items()
            if one != stem and not is_public
        ),
        _link({"vi": "Tiếng Việt", "en": "English"}[twin], f"/d/{stem}-{twin}", keep=True),
        _link(say(language, ("Trang của dosong", "dosong pages")), "${web_url}/", keep=False),
        *(_link(say(language, pair), "${web_url}" + path, keep=False) for pair, path in more),
    ]
    return {
        "uid": f"{stem}-{language}",
        "title": title,
        "description": say(language, description),
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
        "templating": {"list": variables(language, names, bucket=bucket)},
        "panels": [*panels],
    }


def dump(made: Json) -> str:
    """The committed text of a board: readable in a diff, Vietnamese as written, keys in order."""
    return json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
