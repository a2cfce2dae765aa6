"""The registry's forms: each field read strictly, each deed one dated append with the login's name as its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collector.registry_dated import ReferralRow
from collector.web.ports import Registry
from collector.web.registry_view import RegistryView
from wire.errors import Refused
from wire.fold import deceptive
from wire.slots import VIETNAM

NAME_MAX, SOURCE_MAX = 80, 160
_CODE, _PROBE = re.compile(r"[A-Za-z0-9_-]{1,32}"), re.compile(r"[a-z0-9][a-z0-9-]{2,31}")


@dataclass(frozen=True, slots=True)
class Done:
    """A deed that was done: the word of its sentence, and whose page shows it."""

    word: str
    kind: str
    code: str


class Mistake(Exception):
    """A form that cannot be taken; `word` is the sentence's key, `value` what was wrong."""

    def __init__(self, word: str, value: str = "") -> None:
        super().__init__(word)
        self.word = word
        self.value = value


class Forbidden(Exception):
    """The login's scope does not cover what the form would change."""


class Editor:
    """Does one deed of a form. `user` is the login's name, `scope` the unit that it is limited to ("" for all)."""

    def __init__(self, registry: Registry, user: str, scope: str, now_ms: int) -> None:
        self._registry = registry
        self._view = RegistryView(registry)
        self._user = user
        self._scope = scope
        self._now_ms = now_ms

    def add_hamlet(self, form: Mapping[str, str]) -> Done:
        """A new hamlet of a commune. Raises Mistake, Forbidden."""
        commune, code = _code(form, "commune"), _code(form, "code")
        self._must(self._view.allows(self._scope, commune=commune))
        if self._registry.hamlet(code) is not None:
            raise Mistake("exists", code)
        row = {"code": code, "name": _name(form, "name"), "kind": _name(form, "kind"), "commune": commune}
        self._append({"hamlets": [{**row, **self._dated(form)}]})
        return Done("added", "hamlet", code)

    def change_hamlet(self, code: str, form: Mapping[str, str]) -> Done:
        """Another name or kind from a day on. Raises Mistake, Forbidden."""
        self._must(self._view.allows(self._scope, hamlet=code))
        entry = self._registry.hamlet(code)
        if entry is None:
            raise Mistake("unknown", code)
        row = {"code": code, "name": _name(form, "name"), "kind": _name(form, "kind"), "commune": entry.commune}
        self._append({"hamlets": [{**row, **self._dated(form)}]})
        return Done("changed", "hamlet", code)

    def merge_hamlet(self, code: str, form: Mapping[str, str]) -> Done:
        """A hamlet goes into another, with its sites and codes. Raises Mistake, Forbidden."""
        into = _code(form, "into")
        self._must(self._view.allows(self._scope, hamlet=code) and self._view.allows(self._scope, hamlet=into))
        if into in self._registry.dated.ended():
            raise Mistake("ended", into)
        row = {"hamlet": code, "how": "merged", "successors": into, **self._dated(form)}
        self._append({"hamlet_ends": [row]})
        return Done("merged", "hamlet", into)

    def move_probe(self, probe: str, form: Mapping[str, str]) -> Done:
        """A probe stands elsewhere from a moment on, or nowhere. Raises Mistake, Forbidden."""
        site = _code(form, "site") if form.get("site") else None
        if _PROBE.fullmatch(probe) is None:
            raise Mistake("unknown", probe)
        self._must(self._view.allows_probe(self._scope, probe))
        self._must(site is None or self._view.allows_site(self._scope, site))
        row: dict[str, Any] = {"probe": probe, **self._dated(form)}
        self._append({"assignments": [row if site is None else {**row, "site": site}]})
        return Done("moved" if site else "taken_away", "probe", probe)

    def remap_code(self, code: str, form: Mapping[str, str]) -> Done:
        """A referral code belongs to another unit from a day on, or to none. Raises Mistake, Forbidden."""
        unit = _code(form, "unit") if form.get("unit", "").strip() else None
        held = [row.unit for row in self._registry.dated.holding(ReferralRow, code=code)]
        for one in {unit, *held} - {None}:
            self._must(self._covers(str(one)))
        row: dict[str, Any] = {"code": code, **self._dated(form)}
        self._append({"referrals": [row if unit is None else {**row, "unit": unit}]})
        return Done("remapped", "referral", code)

    def _covers(self, unit: str) -> bool:
        if self._registry.hamlet(unit) is not None:
            return self._view.allows(self._scope, hamlet=unit)
        return self._scope == "" or self._view.allows(self._scope, commune=unit)

    def _must(self, allowed: bool) -> None:
        if not allowed:
            raise Forbidden

    def _dated(self, form: Mapping[str, str]) -> dict[str, Any]:
        said = _text(form, "source", SOURCE_MAX)
        return {"valid_from_ms": self._moment(form), "source": f"{self._user}: {said}" if said else self._user}

    def _moment(self, form: Mapping[str, str]) -> int:
        """The form's day and, if given, time of day in Vietnam; today without a day."""
        now = datetime.fromtimestamp(self._now_ms / 1000, VIETNAM)
        day, clock = form.get("day", "").strip(), form.get("clock", "").strip()
        try:
            read = datetime.fromisoformat(f"{day or now.date().isoformat()}T{clock or '00:00'}").replace(tzinfo=VIETNAM)
        except ValueError:
            raise Mistake("day", f"{day} {clock}".strip()) from None
        moment_ms = round(read.timestamp() * 1000)
        if not 0 <= moment_ms <= self._now_ms:
            raise Mistake("future", f"{day} {clock}".strip())
        return moment_ms

    def _append(self, document: dict[str, list[dict[str, Any]]]) -> None:
        try:
            _, troubles = self._registry.check(document, self._now_ms)
            if troubles:
                raise Mistake(troubles[0].word, troubles[0].value)
            self._registry.load(document, self._now_ms)
        except Refused as error:
            raise Mistake("schema", error.detail) from error


def _text(form: Mapping[str, str], field: str, most: int) -> str:
    text = form.get(field, "").strip()
    if deceptive(text) is not None or len(text) > most:
        raise Mistake("text", field)
    return text


def _name(form: Mapping[str, str], field: str) -> str:
    text = _text(form, field, NAME_MAX)
    if not text:
        raise Mistake("empty", field)
    return text


def _code(form: Mapping[str, str], field: str) -> str:
    text = form.get(field, "").strip()
    if _CODE.fullmatch(text) is None:
        raise Mistake("code", text[:60])
    return text
