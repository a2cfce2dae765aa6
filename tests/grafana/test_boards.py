"""The committed boards: what the source gives, lint, languages, structure, provisioning."""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from collector.catalogue import ALL, QUERIES, Scope, bind
from collector.core.count import Reason
from collector.core.liveness import State
from collector.core.measures import MEASURES
from collector.core.quota import Outlook
from collector.core.rollup import COUNTS
from collector.core.rollup import METRICS as ROLLUP_METRICS
from collector.core.rollup_points import MARKS_BPS, RSRP_BANDS
from collector.core.verdict import Verdict
from collector.web.words import WORDS
from grafana import words
from grafana.__main__ import build, built, main
from grafana.board import NAMES, PUBLIC
from grafana.harness import BOARDS, load_boards
from grafana.lint import lint, skeleton, untranslated
from grafana.words import (
    CAUSES,
    COUNTED,
    EVENTS,
    OUTLOOKS,
    PROBE_STATES,
    REASONS,
    REFUSALS,
    RUNGS,
    STAGES,
    STATES,
    VERDICTS,
)
from probe.core.recovery import Rung
from wire.failure import Cause, RefusalReason, Stage
from wire.metrics import METRICS
from wire.records import EventName

with warnings.catch_warnings():
    # The SDK would rather have schema v2; we stay with classic JSON, which Grafana 10.4 to 13 all read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.models import dashboard as sdk

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def _board(language: str) -> Json:
    return next(b for b in load_boards() if b["uid"] == f"dosong-hamlet-{language}")


def test_committed_boards_are_what_the_source_gives() -> None:
    assert build(BOARDS, only_check=True) == 0
    assert {str(path.relative_to(BOARDS)) for path in BOARDS.rglob("*.json")} == {
        name for name in built() if name.endswith(".json")
    }


def test_build_check_sees_a_changed_file_and_build_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path = tmp_path / "boards"
    assert main(["build", "--folder", str(tmp_path)]) == 0
    changed = next(tmp_path.glob("*-vi.json"))
    changed.write_text(changed.read_text().replace("Lần đo gần nhất", "Gần nhất"))
    assert main(["build", "--check", "--folder", str(tmp_path)]) == 1
    assert "dosong-hamlet-vi.json: differs" in capsys.readouterr().out
    assert main(["build", "--folder", str(tmp_path)]) == 0
    assert main(["build", "--check", "--folder", str(tmp_path)]) == 0


@pytest.mark.parametrize("board", load_boards(), ids=lambda b: b["uid"])
def test_board_keeps_every_rule(board: Json) -> None:
    assert lint(board) == []


def _panel(board: Json, ident: int) -> Json:
    found: Json = next(p for p in board["panels"] if p["id"] == ident)
    return found


def _break_datasource(board: Json) -> None:
    _panel(board, 12)["targets"][0]["datasource"] = {"type": "influxdb", "uid": "mine"}


def _break_query(board: Json) -> None:
    target = _panel(board, 12)["targets"][0]
    target["query"] = target["query"].replace("WHERE $timeFilter AND", "WHERE", 1)


def _break_chain(board: Json) -> None:
    board["templating"]["list"][2]["allValue"] = None


def _break_link(board: Json) -> None:
    rules = _panel(board, 2)["fieldConfig"]["overrides"]
    next(r for r in rules if r["matcher"]["options"] == "hamlet_name")["properties"].append(
        {"id": "links", "value": []}
    )


BREAKS: dict[str, Callable[[Json], object]] = {
    "template_datasource": lambda b: b["templating"]["list"].pop(0),
    "panel_datasource": _break_datasource,
    "panel_title_description": lambda b: _panel(b, 1).update(description=""),
    "panel_units": lambda b: (
        _panel(b, 12)["fieldConfig"]["defaults"].update(unit="Mbits")
        or _panel(b, 12)["fieldConfig"].update(overrides=[])
    ),
    "panel_no_targets": lambda b: _panel(b, 12).update(targets=[]),
    "template_on_time_change": _break_chain,
    "uneditable": lambda b: b.update(editable=True),
    "catalogue_queries": _break_query,
    "time_bounds": _break_query,
    "local_days": lambda b: b.update(timezone="browser"),
    "identity": lambda b: _panel(b, 12).update(id=11),
    "no_overlap": lambda b: _panel(b, 12)["gridPos"].update(x=1),
    "links_carry_codes": _break_link,
    "colours": lambda b: _panel(b, 12)["fieldConfig"]["defaults"].update(color={"mode": "palette-colorblind"}),
    "tables_are_organized": lambda b: _panel(b, 27).update(transformations=[]),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_rule_sees_what_breaks_it(rule: str) -> None:
    board = copy.deepcopy(_board("vi"))
    BREAKS[rule](board)
    assert any(sentence.startswith(f"{rule}: ") for sentence in lint(board))


def test_link_with_a_name_in_it_is_refused() -> None:
    board = copy.deepcopy(_board("vi"))
    board["links"][1]["url"] = "${web_url}/hamlets/${__data.fields.hamlet_name}"
    assert any("is no code" in sentence for sentence in lint(board))


@pytest.mark.parametrize("stem", [*NAMES, PUBLIC])
def test_languages_differ_in_words_only(stem: str) -> None:
    both = [next(b for b in load_boards() if b["uid"] == f"{stem}-{language}") for language in ("vi", "en")]
    assert untranslated(both[1]) == []
    for board, own in zip(both, ("vi", "en"), strict=True):
        board["uid"] = stem
        board["tags"].remove(own)
    # Links lead to the same board, each in its reader's language; the one to the twin is the exception.
    vi, en = (json.loads(re.sub(r"(/d/dosong-[a-z]+)-(vi|en)", r"\1", json.dumps(board))) for board in both)
    assert skeleton(vi) == skeleton(en)
    assert vi != en


def test_sdk_reads_every_key_that_panels_carry() -> None:
    """Grafana's own generated types as an oracle: what they do not know is dropped on reading, so a typo shows."""
    for board in load_boards():
        read = JSONEncoder(sort_keys=True)
        made = yaml.safe_load(read.encode(sdk.Dashboard.from_json(copy.deepcopy(board))))
        assert _lost(board, made) == []


def _lost(given: Any, read: Any, place: str = "") -> list[str]:
    """Keys of `given` that did not survive; emptiness and None are not told apart by the SDK."""
    if isinstance(given, dict) and isinstance(read, dict):
        gone = [f"{place}/{k}" for k, v in given.items() if k not in read and v not in (None, "", [], {})]
        return gone + [s for k, v in given.items() if k in read for s in _lost(v, read[k], f"{place}/{k}")]
    if isinstance(given, list) and isinstance(read, list):
        return [s for i, pair in enumerate(zip(given, read, strict=False)) for s in _lost(*pair, f"{place}/{i}")]
    return []


def test_every_word_of_the_wire_is_translated() -> None:
    assert set(words.STAGES) == {str(stage) for stage in Stage}
    assert set(words.CAUSES) == {str(cause) for cause in Cause}
    pairs = [*words.STAGES.values(), *words.CAUSES.values()]
    assert all(vi and en for vi, en in pairs)


ROLLUP = {*COUNTS, *MARKS_BPS, *(name for name, _ in RSRP_BANDS)} | {
    f"{metric}_{end}" for metric in ROLLUP_METRICS for end in ("n", "mean", "p5", "p50", "p95")
}
UNIT = ROLLUP | {"downlink_median", "uplink_median", "rtt_median", "hamlets", "hamlets_assessed", "hamlets_at_10"}
UNIT |= {"hamlets_at_40", "name", "lat", "lon", "registered", "level"}
PROBE_STATE = {"event", "here"} | {
    *("age_s", "word", "cause", "ill", "silent", "since_s", "missing", "cert_days", "spool_records", "clock_trusted"),
    *("cpu_temp_c_x10", "undervoltage", "data_used_bytes", "data_used_ppm", "recoveries", "rung", "fw"),
}
"""Of `collector.probe_watch.state_lines`; a test below holds these against its source."""
CONTRACT = {
    "test": {"ok", "failed", "counted", "skipped", "invalid_path", "seq", "epoch"},
    "coverage": {"state", "covered", "degraded", "no_service", "unknown", "step_ms", "cause"},
    "site": {"hamlet_name", "commune_name", "province_name", "lat", "lon", "probes", "simulated"},
    "test_1h": ROLLUP | {"worst", "cause"},
    "test_1d": ROLLUP,
    "cause_1d": {"what", "word", "n"},
    "unit_1d": UNIT,
    "unit_1mo": UNIT,
    "unit_cause_1d": {"level", "what", "word", "n"},
    "probe_state": PROBE_STATE,
    "quota": {"campaign", "line"},
    "verdict_1d": {"what", "word"},
    "refusal_1d": {"reason"},
}
TAGS = {"province", "commune", "hamlet", "probe", "modem", "plmn", "rat", "engine", "referral"}


@pytest.mark.parametrize("query", ALL, ids=lambda q: q.name)
def test_query_names_only_fields_that_are_written(query: Any) -> None:
    table = re.findall(r'FROM "(\w+)"', query.influxql)[-1]
    measured = {metric.name for metric in METRICS if metric.kind == table}
    measured |= {measure.name for measure in MEASURES if measure.measurement == table}
    written = CONTRACT.get(table, set()) | measured | TAGS | {table}
    made = set(re.findall(r'AS "(\w+)"', query.influxql))
    inner = query.influxql.rpartition("(SELECT")[2]
    assert set(re.findall(r'"(\w+)"', inner)) - set(re.findall(r'AS "(\w+)"', inner)) <= written
    assert set(re.findall(r'"(\w+)"', query.influxql)) <= written | made


@pytest.mark.parametrize(
    ("words", "vocabulary"),
    [
        (REASONS, {str(reason) for reason in Reason}),
        (REFUSALS, {str(reason) for reason in RefusalReason}),
        (VERDICTS, {str(verdict) for verdict in Verdict}),
        (EVENTS, {*get_args(EventName), "boot", "gap"}),
        (OUTLOOKS, set(get_args(Outlook))),
        (PROBE_STATES, {state.word for state in State}),
        (RUNGS, {"none", *(str(rung) for rung in Rung)}),
    ],
)
def test_words_of_boards_cover_their_vocabulary(words: dict[str, Any], vocabulary: set[str]) -> None:
    assert set(words) == vocabulary


def test_probe_state_has_the_fields_that_boards_ask() -> None:
    source = (ROOT / "collector/probe_watch.py").read_text(encoding="utf-8")
    assert {name for name in PROBE_STATE - {"event"} if f'"{name}":' not in source} == set()


def test_bind_refuses_what_is_no_code() -> None:
    with pytest.raises(ValueError, match="is not a code"):
        bind(QUERIES["downlink"], Scope(0, 1, hamlet=["x' OR 1=1"]))
    assert "$" not in bind(QUERIES["downlink"], Scope(0, 1, hamlet=["bm-01"])).replace("$/", "")


def _yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("variant", ["dosong.yaml", "dosong-token.yaml.sample"])
def test_data_source_is_influxql_by_post_with_a_fixed_uid(variant: str) -> None:
    source = _yaml(f"grafana/provisioning/datasources/{variant}")["datasources"][0]
    assert (source["uid"], source["type"], source["access"]) == ("dosong-influxql", "influxdb", "proxy")
    assert source["jsonData"]["httpMode"] == "POST"
    assert "version" not in source["jsonData"]
    assert all("$DOSONG_" in value for value in source["secureJsonData"].values())


def test_only_one_data_source_file_is_read_by_grafana() -> None:
    read = [p.name for p in (ROOT / "grafana/provisioning/datasources").iterdir() if p.suffix in {".yaml", ".yml"}]
    assert read == ["dosong.yaml"]


def test_compose_mounts_the_boards_where_grafana_looks() -> None:
    mounts = dict(m.removesuffix(":ro").rsplit(":", 1) for m in _yaml("compose.yaml")["services"]["grafana"]["volumes"])
    boards = next(to for source, to in mounts.items() if source == "./grafana/boards")
    assert _yaml("grafana/provisioning/dashboards/dosong.yaml")["providers"][0]["options"]["path"] == boards


def test_environment_example_names_every_variable_and_fills_in_no_secret() -> None:
    example = dict(
        line.split("=", 1)
        for line in (ROOT / "grafana/compose.env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    wanted = set(re.findall(r"\$\{(DOSONG_\w+):\?", (ROOT / "compose.yaml").read_text()))
    assert set(example) == wanted
    assert all(not value for key, value in example.items() if re.search("PASSWORD|TOKEN", key))
    provided = _yaml("compose.yaml")["services"]["grafana"]["environment"]
    named = re.findall(r"\$(DOSONG_\w+)", (ROOT / "grafana/provisioning/datasources/dosong.yaml").read_text())
    assert set(named) <= set(provided)


def test_init_script_is_one_that_the_image_runs() -> None:
    script = ROOT / "grafana/influx-init.sh"
    assert script.stat().st_mode & 0o111
    assert all(word in script.read_text() for word in ("v1 dbrp create", "v1 auth create", "--read-bucket"))


def test_boards_say_the_pages_words() -> None:
    for table, group in ((STAGES, "stage"), (CAUSES, "cause")):
        for word, pair in table.items():
            page = WORDS[f"{group}.{word}"]
            assert pair == tuple(text[0].upper() + text[1:] for text in page), word
    for number, key in (("3", "covered"), ("2", "degraded"), ("1", "no_service"), ("0", "unknown")):
        assert STATES[number][0] == WORDS[f"coverage.{key}"]
    assert tuple(text[2:] for text in COUNTED["1"][0]) == WORDS["feed.counted"]
    assert tuple(text[2:] for text in COUNTED["0"][0]) == WORDS["feed.not_counted"]
