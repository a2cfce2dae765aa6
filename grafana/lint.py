"""Rules that every board keeps; each gives sentences about what breaks it. Pure.

The first seven are dashboard-linter's that make sense for InfluxQL, the others ours. Source: facts note 06 §4 end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from collector.catalogue import ALL, CHAIN, REGISTER_WINDOW, TIME_ZONE
from collector.catalogue import variable as variable_query
from grafana.board import NO_ALL
from grafana.fields import config_of
from grafana.frames import Field, series_name
from grafana.harness import panels_of
from grafana.panels import DATASOURCE, UNITS
from grafana.words import PALETTE

Json = dict[str, Any]
ALLOWED_UNITS = frozenset(unit for unit, _ in UNITS.values()) | {"time:DD/MM HH:mm:ss"}
_LINK_WORDS = frozenset(
    {"web_url", "province", "commune", "hamlet", "plmn", "__value.raw", "__url_time_range", "__all_variables"}
)
_CODE_FIELDS = frozenset({"hamlet", "commune"})
_FORBIDDEN = re.compile(r"\b(mode|median|integral|sample|holt_winters)\s*\(|\b(slimit|soffset|into)\s|;", re.IGNORECASE)
_QUERIES = {query.influxql: query for query in ALL}
_LARGE = re.compile(r"time\(\s*(\$bucket|\d+[hdw])")
_VIETNAMESE = re.compile(r"[ăâđêôơưáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ]")


def _targets(board: Json) -> Iterator[tuple[Json, Json]]:
    for panel, _ in panels_of(board):
        for target in panel.get("targets", ()):
            yield panel, target


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string below a value, with the key it stands under."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _strings(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _strings(below, key)
    elif isinstance(value, str):
        yield key, value


def template_datasource(board: Json) -> Iterator[str]:
    """The data source is a variable of that name and label, first in the list."""
    first = board["templating"]["list"][0]
    wanted = {"name": "datasource", "type": "datasource", "query": "influxdb", "label": "Data source"}
    if any(first[key] != value for key, value in wanted.items()):
        yield "the first variable is not the data source"


def panel_datasource(board: Json) -> Iterator[str]:
    """Panels, targets and variables ask the chosen data source."""
    for panel, target in _targets(board):
        if panel.get("datasource") != DATASOURCE or target["datasource"] != DATASOURCE:
            yield f"panel {panel['id']}: not the data source variable"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and variable["datasource"] != DATASOURCE:
            yield f"variable {variable['name']}: not the data source variable"


def panel_title_description(board: Json) -> Iterator[str]:
    """Every panel says what it is."""
    for panel, _ in panels_of(board):
        if not panel["title"] or not panel["description"]:
            yield f"panel {panel['id']}: title or description is empty"


def panel_units(board: Json) -> Iterator[str]:
    """Every column that is drawn has a unit, and units are ones that Grafana 10.4 to 13 know."""
    for panel, target in _targets(board):
        query = _QUERIES.get(target["query"])
        for column in query.columns if query else ():
            tags = dict.fromkeys(query.tags if query else (), "45204")
            display = series_name(target.get("alias", "$col"), column.name, tags, "test")
            unit = config_of(panel, Field(column.name, "number", (), display)).get("unit")
            if unit not in ALLOWED_UNITS:
                yield f"panel {panel['id']}: column {column.name} has unit {unit!r}"


def panel_no_targets(board: Json) -> Iterator[str]:
    """Every panel but text asks something."""
    for panel, _ in panels_of(board):
        if panel["type"] != "text" and not panel.get("targets"):
            yield f"panel {panel['id']}: asks nothing"


def template_on_time_change(board: Json) -> Iterator[str]:
    """Chained variables: object form, read anew with the range, many or All as `.*`; hamlets are named."""
    before: list[str] = []
    for one in board["templating"]["list"]:
        if one["type"] != "query":
            continue
        form = (one["refresh"], one["multi"], one["includeAll"], one.get("allValue"))
        known = one["name"] in CHAIN and one["query"]["query"] == variable_query(one["name"], before)
        wanted = (2, True, False, None) if one["name"] in NO_ALL else (2, True, True, ".*")
        if form != wanted or not known:
            yield f"variable {one['name']}: not refresh 2, multi, All as .*, query of the catalogue"
        before.append(one["name"])


def uneditable(board: Json) -> Iterator[str]:
    """Nobody edits a provisioned board in the browser."""
    if board["editable"]:
        yield "board is editable"


def catalogue_queries(board: Json) -> Iterator[str]:
    """Every query is the catalogue's, one statement, in words that 1.6 to 3 understand."""
    for panel, target in _targets(board):
        if target["query"] not in _QUERIES:
            yield f"panel {panel['id']} {target['refId']}: not in collector/catalogue.py"
        found = _FORBIDDEN.search(target["query"])
        if found:
            yield f"panel {panel['id']} {target['refId']}: {found[0]!r} is not understood everywhere"


def time_bounds(board: Json) -> Iterator[str]:
    """Every SELECT is bounded by the board's range; the register, rewritten daily, by its own window."""
    texts = [(f"panel {p['id']} {t['refId']}", t["query"]) for p, t in _targets(board)]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            texts.append((f"variable {variable['name']}", variable["query"]["query"]))
    for place, text in texts:
        bound = REGISTER_WINDOW if '"site"' in text else "$timeFilter"
        if text.count(bound) != len(re.findall(r"\bSELECT\b|\bSHOW\b", text)):
            yield f"{place}: a SELECT without {bound}"


def local_days(board: Json) -> Iterator[str]:
    """Groupings of an hour and more follow Vietnam's clock."""
    for panel, target in _targets(board):
        if _LARGE.search(target["query"]) and f"tz('{TIME_ZONE}')" not in target["query"]:
            yield f"panel {panel['id']} {target['refId']}: grouping without tz()"
    if board["timezone"] != TIME_ZONE:
        yield "board is not in Vietnam's time"


def numbers_have_n(board: Json) -> Iterator[str]:
    """A percentile, mean or share never comes without its n."""
    for panel, target in _targets(board):
        query = _QUERIES.get(target["query"])
        figure = re.search(r"percentile\(|mean\(|100\.0 \*", target["query"])
        needs = figure and '"fleet"' not in target["query"]  # a share of a SIM's cap is no sample
        if needs and query and not any(c.name in {"n", "n_steps"} for c in query.columns):
            yield f"panel {panel['id']} {target['refId']}: a figure without n"


def identity(board: Json) -> Iterator[str]:
    """Fixed uid of at most 40 characters, each id once."""
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)) or not all(isinstance(i, int) and i > 0 for i in ids):
        yield "panel ids are not unique"
    if not re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"]):
        yield f"uid {board['uid']!r} is no fixed short word"


def no_overlap(board: Json) -> Iterator[str]:
    """No panel covers another or leaves the 24 columns."""
    boxes = [(p["id"], p["gridPos"]) for p in board["panels"]]
    for ident, box in boxes:
        if box["x"] < 0 or box["x"] + box["w"] > 24:
            yield f"panel {ident}: leaves the grid"
    for (one, a), (other, b) in combinations(boxes, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not beside and not above:
            yield f"panels {one} and {other} overlap"


def links_carry_codes(board: Json) -> Iterator[str]:
    """Links are built of codes and constants: a name with an apostrophe never enters an address."""
    for key, text in _strings(board):
        if key == "url":
            for word in re.findall(r"\$\{([\w.]+)(?::\w+)?\}|\$(\w+)", text):
                if (word[0] or word[1]) not in _LINK_WORDS:
                    yield f"link {text!r}: {word[0] or word[1]} is no code"
    for panel, _ in panels_of(board):
        for rule in panel["fieldConfig"]["overrides"]:
            linked = any(p["id"] == "links" for p in rule["properties"])
            if linked and rule["matcher"]["options"] not in _CODE_FIELDS:
                yield f"panel {panel['id']}: link on a column that holds no code"


def colours(board: Json) -> Iterator[str]:
    """Explicit hex only: named modes of newer Grafana break older ones. Words take Wong's colours."""
    for panel, _ in panels_of(board):
        for key, text in _strings(panel["fieldConfig"]):
            if key in {"color", "fixedColor"} and text != "text" and not re.fullmatch(r"#[0-9A-F]{6}", text):
                yield f"panel {panel['id']}: colour {text!r} is not hex"
            if key == "fixedColor" and text != "text" and text not in PALETTE:
                yield f"panel {panel['id']}: colour {text!r} is not of the palette"
        mode = panel["fieldConfig"]["defaults"].get("color", {}).get("mode", "fixed")
        if mode not in {"fixed", "thresholds"}:
            yield f"panel {panel['id']}: colour mode {mode!r}"


def tables_are_organized(board: Json) -> Iterator[str]:
    """The back end's order of tag columns is random: a table names its columns' order. A stat names its reducer."""
    for panel, _ in panels_of(board):
        last = (panel.get("transformations") or [{"id": ""}])[-1]["id"]
        if panel["type"] in {"table", "xychart"} and last != "organize":
            yield f"panel {panel['id']}: no organize transformation at the end"
        if panel["type"] == "stat" and not panel["options"]["reduceOptions"]["calcs"]:
            yield f"panel {panel['id']}: stat without a reducer shows nothing"


RULES: tuple[Callable[[Json], Iterator[str]], ...] = (
    template_datasource,
    panel_datasource,
    panel_title_description,
    panel_units,
    panel_no_targets,
    template_on_time_change,
    uneditable,
    catalogue_queries,
    time_bounds,
    local_days,
    numbers_have_n,
    identity,
    no_overlap,
    links_carry_codes,
    colours,
    tables_are_organized,
)

_PROSE = frozenset({"title", "description", "text", "displayName", "content", "axisLabel", "label", "noValue", "alias"})


def skeleton(value: Any, key: str = "") -> Any:
    """A board without its words: what must be the same in every language."""
    if isinstance(value, dict):
        words = value.get("id") in {"displayName", "custom.axisLabel"}
        return {name: "…" if words and name == "value" else skeleton(below, name) for name, below in value.items()}
    if isinstance(value, list):
        return [skeleton(below, key) for below in value]
    return "…" if key in _PROSE and isinstance(value, str) else value


def untranslated(english: Json) -> list[str]:
    """Vietnamese left in an English board; names of acts (QĐ) are names."""
    found = (text.replace("QĐ", "") for key, text in _strings(english) if key in _PROSE)
    return [text for text in found if _VIETNAMESE.search(text.lower()) and text not in {"Tiếng Việt"}]


def lint(board: Json) -> list[str]:
    """All sentences of all rules, each with the rule's name before it."""
    return [f"{rule.__name__}: {sentence}" for rule in RULES for sentence in rule(board)]
