"""Records at the ends of every field's range, and anything in forms and query strings: no page may fall over.

A record is hostile if whoever holds a probe's key says so; what the ledger took must not make a page, the API or the
points that forward writes fail, for then one probe could blind everybody.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import url_for
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from collector.api.routes import ROUTES
from collector.core import points
from tests.collector.kit import FakeProbe
from tests.collector.test_web_world import BASE, HAMLET, World, get
from tests.fuzz.door import TOKENS, Given
from tests.wire.strategies import records
from wire.records import KINDS

QUICK = settings(
    deadline=None, database=None, derandomize=True, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)
PLACES = {
    "code": (HAMLET, "05755", "19", "TN1", "c1"), "probe": ("p-one",), "modem": ("m1",), "scope": ("05755",),
    "epoch": (1, 7), "seq": (0, 1), "id": (1,), "number": (1,), "kind": ("month",), "day": ("2026-09-21",),
    "month": ("2026-09",), "year": (2026,), "shard": ("2026",), "name": ("operator",),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World(tmp_path_factory.mktemp("pages"))) as made:
        made.tests(3)
        yield made


def _extreme(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return records(kind).map(msgspec.to_builtins)


@dataclass(slots=True)
class Teller:
    """Signs any record in the next place of an epoch of its own."""

    probe: FakeProbe

    def say(self, fields: dict[str, Any]) -> bytes:
        own = {k: self.probe.common()[k] for k in ("probe", "epoch", "seq", "prev")}
        shape = KINDS[fields["kind"]]
        return self.probe.seal(msgspec.convert({**fields, **own}, shape))


LOOK = ("/", f"/hamlets/{HAMLET}", "/map", "/operator", "/fleet", "/fleet/probes/p-one")
API = tuple(route.path for route in ROUTES if "{" not in route.path and "" not in route.roles)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_ends_of_every_field_are_taken_and_shown(place: World, kind: str) -> None:
    teller = Teller(FakeProbe("p-one", epoch=10 + sorted(KINDS).index(kind), signer=place.probe.signer))
    client = place.client("operator")

    @settings(QUICK, max_examples=12)
    @given(_extreme(kind), st.booleans())
    def tell(fields: dict[str, Any], keep_time: bool) -> None:
        if not keep_time and fields.get("t_ms") is not None:
            fields["t_ms"] = place.now_ms
        place.take(teller.say(fields))
        seq = teller.probe.seq - 1
        answer = get(client, f"/samples/p-one/{teller.probe.epoch}/{seq}")
        assert answer.status_code in (200, 404), fields
        for sample in place.reader.samples(limit=1):
            assert all("\n" not in line for line in points.lines(sample))

    tell()
    for path in (*LOOK, *(f"/api/v1{path.removeprefix('/api/v1')}" for path in API)):
        assert get(client, path).status_code in (200, 400, 401, 403), path


def _addresses(here: World) -> list[tuple[str, str]]:
    """(method, address) of every endpoint, with what is known put in."""
    found = set()
    with here.app.test_request_context(base_url=BASE):
        for rule in here.app.url_map.iter_rules():
            if rule.endpoint == "static" or rule.arguments - set(PLACES):
                continue
            values = {name: PLACES[name][0] for name in rule.arguments}
            found |= {
                (method, url_for(rule.endpoint, **values)) for method in (rule.methods or set()) & {"GET", "POST"}
            }
    return sorted(found)


TEXTS = st.one_of(
    st.sampled_from([token.decode("utf-8", "replace")[:6_000] for token in TOKENS]),
    st.text(max_size=20),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["h-dong-chuoi", "05755", "19", "2026-09", "2026-09-21", "m1", "1", "on", "vi", "month", "xlsx"]),
)


def _field_names() -> list[str]:
    """Every field of every form and every query parameter that our pages know."""
    root = Path(__file__).parents[2] / "collector" / "web"
    said = [p.read_text() for p in [*root.rglob("*.html"), *root.glob("*.py")]]
    found = re.findall(r'name="([a-z_]+)"|(?:args|form|files)(?:\.get|\.getlist)?[\[(]"([a-z_]+)"', "\n".join(said))
    return sorted({a or b for a, b in found} - {"csrf_token", "viewport", "robots", "theme"})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_form_and_any_query_string_is_answered(place: World, method: str) -> None:
    """No 500 whatever comes; accounts, passwords and logging out are tried too, so a login may be lost on the way."""
    place.app.config["WTF_CSRF_ENABLED"] = False
    names, addresses = _field_names(), [path for word, path in _addresses(place) if word == method]
    assert len(names) > 40, names
    assert len(addresses) > 15, addresses
    client = place.client("operator")
    state = {"client": client}

    @settings(QUICK, max_examples=150)
    @given(st.sampled_from(addresses), st.dictionaries(st.sampled_from(names), TEXTS, max_size=8), st.booleans())
    def ask(path: str, fields: dict[str, str], is_file: bool) -> None:
        if method == "GET":
            answer = state["client"].get(path, query_string=fields, base_url=BASE, buffered=True)
        else:
            form: dict[str, Any] = dict(fields)
            if is_file:
                form["file"] = form["photo"] = (io.BytesIO(next(iter(fields.values()), "x").encode()), "x.xlsx")
            answer = state["client"].post(
                path, data=form, base_url=BASE, headers={"Referer": f"{BASE}{path}"}, buffered=True
            )
        assert answer.status_code < 500 or answer.status_code == 503, (path, Given(str(fields).encode()))

    try:
        ask()
    finally:
        place.app.config["WTF_CSRF_ENABLED"] = True
