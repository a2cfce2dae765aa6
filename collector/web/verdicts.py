"""Verdicts for everybody: on each record's page what it is worth and why, and one page with all the rules."""

from __future__ import annotations

from flask import Blueprint, render_template

from collector.core.verdict import RULE_VERSION, Judgement, digest
from collector.core.verdict_rules import RULES
from collector.settings import Settings
from collector.verdict_store import VerdictReader
from wire.errors import Unavailable

SHAPES = {"proved": "good", "corroborated": "good", "plausible": "weak", "claimed": "none", "suspect": "bad"}
"""How a verdict looks: never by its colour alone."""


def blueprint(settings: Settings) -> Blueprint:
    """The page of rules, and `verdict_of(n)` for templates: None while a record was not judged."""
    routes = Blueprint("verdicts", __name__)
    reader = VerdictReader(settings.verdicts)

    @routes.app_context_processor
    def _known() -> dict[str, object]:
        return {"verdict_of": lambda n: _judgement(reader, n), "verdict_shape": SHAPES.get}

    @routes.get("/verdicts")
    def rules() -> str:
        return render_template(
            "verdicts.html", rules=RULES.values(), version=RULE_VERSION, digest=digest(RULES), verdicts=tuple(SHAPES)
        )

    return routes


def _judgement(reader: VerdictReader, n: int) -> Judgement | None:
    try:
        return reader.of([n]).get(n)
    except Unavailable:
        return None
