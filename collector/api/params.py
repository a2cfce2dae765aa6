"""Parameters of `/api/v1`, each declared once: what reads it from a request also describes it in the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from collector.api.problems import Wrong

MAX_INT = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: integer between `low` and `high`, one of `words`, a boolean, or text of a whole `pattern`.

    `default` None: nothing is asked for if it is missing. `en`, `vi`: what it means.
    """

    name: str
    en: str
    vi: str
    kind: Literal["integer", "boolean", "word", "text"]
    where: Literal["query", "path"] = "query"
    low: int = 0
    high: int = MAX_INT
    words: tuple[str, ...] = ()
    pattern: str = ""
    default: int | bool | str | None = None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of its values."""
        forms: dict[str, dict[str, Any]] = {
            "integer": {"type": "integer", "minimum": self.low, "maximum": self.high},
            "boolean": {"type": "boolean"},
            "word": {"type": "string", "enum": list(self.words)},
            "text": {"type": "string", "pattern": f"^{self.pattern}$"},
        }
        found = forms[self.kind]
        return found if self.default is None else {**found, "default": self.default}

    def openapi(self) -> dict[str, Any]:
        """Parameter object of OpenAPI 3.1."""
        required = {"required": True} if self.where == "path" else {}
        return {"name": self.name, "in": self.where, "description": self.en, "schema": self.schema(), **required}

    def read(self, text: str) -> int | bool | str:
        """The value that `text` gives. Raises Wrong("parameter") with what is expected instead."""
        if self.kind == "integer" and re.fullmatch(r"[0-9]{1,16}", text, re.ASCII):
            number = int(text)
            if self.low <= number <= self.high:
                return number
        elif self.kind == "boolean" and text in ("true", "false"):
            return text == "true"
        elif (self.kind == "word" and text in self.words) or (
            self.kind == "text" and re.fullmatch(self.pattern, text, re.ASCII)
        ):
            return text
        raise Wrong("parameter", parameter=self.name, expected=self.expected())

    def expected(self) -> str:
        """What it takes, in a few words for people."""
        return {
            "integer": f"{self.low}..{self.high}",
            "boolean": "true | false",
            "word": " | ".join(self.words),
            "text": f"^{self.pattern}$",
        }[self.kind]


Asked = dict[str, Any]
"""Values by name; None for what was not given and has no default."""


def read_all(declared: Sequence[Param], query: Iterable[tuple[str, str]], path: Mapping[str, str]) -> Asked:
    """Read every declared parameter. Raises Wrong for one that is unknown, given twice, or does not fit."""
    asked: Asked = {param.name: param.default for param in declared}
    by_place = {(param.where, param.name): param for param in declared}
    seen: set[str] = set()
    given: list[tuple[Literal["query", "path"], str, str]] = [("query", *one) for one in query]
    for where, name, text in [*given, *(("path", *one) for one in path.items())]:
        param = by_place.get((where, name))
        if param is None:
            known = ", ".join(p.name for p in declared if p.where == "query") or "-"
            raise Wrong("unknown_parameter", parameter=name[:64], expected=known)
        if (name in seen) and where == "query":
            raise Wrong("parameter_twice", parameter=name)
        seen.add(name)
        asked[name] = param.read(text)
    return asked
