"""Gives every template its language, its number forms and its words.

The language is `?lang=`, else the cookie, else the settings'. The address of the other language is the same page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app, g, request
from flask.wrappers import Response

from collector.catalogue import QUERIES
from collector.core import view
from collector.core.view import LANGUAGES, Language
from collector.core.view_figures import N_MIN
from collector.core.view_record import FieldRow
from collector.web import access
from collector.web.present import Pages
from collector.web.words import WORDS, say, say_or
from collector.web.words_remedies import REMEDY

COOKIE = "lang"
YEAR_S = 31_536_000


def current() -> Language:
    """Language of this request."""
    chosen: Language = g.language
    return chosen


def install(app: Flask, default: Language, pages: Pages) -> None:
    """Choose the language before each request, keep a new choice in a cookie, register filters and words."""

    @app.before_request
    def choose() -> None:
        wishes = (request.args.get("lang"), request.cookies.get(COOKIE), default)
        g.language = next((wish for wish in wishes if wish in LANGUAGES), default)

    @app.after_request
    def keep(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(
                COOKIE, current(), max_age=YEAR_S, samesite="Lax", httponly=True,
                secure=app.config["SESSION_COOKIE_SECURE"],
            )  # fmt: skip
        return response

    app.jinja_env.filters.update(_filters())
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: _context(pages))


def _in_language(form: Callable[..., str]) -> Callable[..., str]:
    return lambda *values: form(*values, current())


def _filters() -> dict[str, Callable[..., str]]:
    numbers: dict[str, Callable[..., str]] = {
        "mbps": view.mbps, "ms": view.milliseconds, "tenths": view.tenths, "percent": view.percent,
        "megabytes": view.megabytes, "degrees": view.degrees, "quantity": view.quantity, "decimal": view.decimal,
    }  # fmt: skip
    times: dict[str, Callable[..., str]] = {
        "moment": view.moment,
        "minute": view.minute,
        "clock": view.time_of_day,
        "day": view.day,
    }
    return {name: _in_language(form) for name, form in numbers.items()} | {"count": _count} | times


def _count(value: int | None) -> str:
    return view.decimal(value, 0, current())


def _context(pages: Pages) -> dict[str, Any]:
    now_ms = pages.now_ms()
    return {
        "t": lambda key, /, **parts: say(key, current(), **parts),
        "word": lambda group, name: say_or(f"{group}.{name}", str(name), current()),
        "why": _why,
        "remedy": lambda word: say(REMEDY.get(word, "do.log"), current()),
        "field_label": _field_label,
        "shown": _shown,
        "age": lambda t_ms: _age(t_ms, now_ms),
        "span": lambda length_ms: _span("span", length_ms),
        "lang": current(),
        "meaning": lambda name: getattr(QUERIES[name], current()),
        "other_lang": _address_in_other_language(),
        "may": access.may,
        "user": g.get("user"),
        "now_ms": now_ms,
        "n_min": N_MIN,
        "has_map": current_app.config["HAS_MAP"],
        "is_demo": current_app.config["DEMO"],
        "grafana_url": current_app.config["GRAFANA_URL"],
        "simulated": pages.any_simulated,
        "off_path": pages.off_path,
    }


def _span(group: str, length_ms: int) -> str:
    number, unit = view.age(length_ms)
    return say(f"{group}.{unit}", current(), n=number)


def _age(t_ms: int | None, now_ms: int) -> str:
    return say("age.never", current()) if t_ms is None else _span("age", now_ms - t_ms)


def _why(word: str | None) -> str:
    """A cause, an illness or a silence in words; "" for none."""
    if word is None:
        return ""
    found = next((key for key in (f"why.{word}", f"ill.{word}", f"cause.{word}") if key in WORDS), None)
    return say(found, current()) if found else word


def _field_label(name: str, metric: Any) -> str:
    """Meaning of a record's field: from the metrics table, else from the catalogue, with the phase it belongs to."""
    if metric is not None:
        return str(metric.vi if current() == "vi" else metric.en)
    if f"field.{name}" in WORDS:
        return say(f"field.{name}", current())
    group, _, last = name.rpartition(".")
    stripped = last.removeprefix("downlink_").removeprefix("uplink_")
    label = say_or(f"field.{last}", say_or(f"field.{stripped}", last, current()), current())
    return f"{label} ({say(f'phase.{group}', current())})" if f"phase.{group}" in WORDS else label


_VALUE_GROUPS = ("outcome", "stage", "cause", "event", "value")
# One word may mean different things in different fields.
_GROUPS_OF = {"verdict": ("verdict", "cause"), "reason": ("why_made",), "spool": ("spool",)}


def _shown(row: FieldRow) -> str:
    """A field's value for reading: integers in reading units, words in the visitor's language, series joined."""
    value = row.value
    if isinstance(value, bool):
        return say("sample.yes" if value else "sample.no", current())
    if isinstance(value, int):
        return view.moment(value) if row.unit == "instant" else view.quantity(value, row.unit, current())
    if isinstance(value, tuple):
        return " · ".join(view.NONE if v is None else view.quantity(v, row.unit, current()) for v in value)
    return _word_of_value(row.name.rpartition(".")[2], str(value))


def _word_of_value(field: str, value: str) -> str:
    groups = _GROUPS_OF.get(field, (field, *_VALUE_GROUPS))
    known = next((f"{group}.{value}" for group in groups if f"{group}.{value}" in WORDS), None)
    told = say(known, current()) if known else value
    return told if told == value else f"{told} ({value})"


def _address_in_other_language() -> str:
    other = "en" if current() == "vi" else "vi"
    kept = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
    path = request.path if request.method == "GET" else "/"
    return f"{path}?{urlencode([*kept, ('lang', other)])}"
