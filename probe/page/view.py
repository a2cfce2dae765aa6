# ruff: noqa: E501 (markup is written as it comes out)
"""The page as HTML, made by hand: a few elements, no style and no script inside, so that the strictest policy holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from probe.core import doctor, doctor_words
from probe.core.doctor import Finding, Verdict
from probe.core.doctor_words import LANGUAGES, Language
from probe.doctor_show import MARK, share
from probe.examination import Seen
from probe.page.words import word
from wire import visit

BAR_UNITS = 300
TREND_UNITS = (300, 44)
_RETRY_S = 3


@dataclass(frozen=True, slots=True)
class Level:
    """The signal of one modem, tenths of dBm: now (None: no figure), the best of this visit, and the last minute."""

    now: int | None = None
    best: int | None = None
    trend: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What one view of the page shows. `seen` None: the daemon does not answer."""

    language: Language
    site: str
    seen: Seen | None = None
    levels: dict[str, Level] = field(default_factory=dict)
    token: str = ""
    refusal: str | None = None


def whole(picture: Picture) -> str:
    """The page of an open session."""
    language = picture.language
    leave = f'<form method="post" action="/{language}/leave">{_token(picture)}<button class="plain">{_w("leave", language)}</button></form>'
    body = f'<main id="live">{live(picture)}</main>{leave}<div class="thumb" id="thumb">{thumb(picture)}</div>'
    return _document(picture, body, is_live=True)


def login(picture: Picture, problem: str | None = None) -> str:
    """The form that asks for the code."""
    language = picture.language
    said = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    body = (
        f'<main class="login"><h1><label for="code">{_w("open.ask", language)}</label></h1>{said}'
        f'<form method="post" action="/{language}/open">'
        '<input id="code" name="code" required autofocus autocomplete="one-time-code" autocapitalize="characters"'
        f' spellcheck="false" maxlength="12" aria-describedby="hint"><p id="hint">{_w("open.hint", language)}</p>'
        f'<button class="big">{_w("open.button", language)}</button></form></main>'
    )
    return _document(picture, body, is_live=False)


def message(picture: Picture, text: str) -> str:
    """A page that says one thing."""
    return _document(picture, f'<main class="login"><h1>{escape(text)}</h1></main>', is_live=False)


def live(picture: Picture) -> str:
    """What changes each second."""
    return "".join((_state(picture), _first_red(picture), *_signals(picture), _list(picture)))


def parts(picture: Picture) -> str:
    """The two places of the page that its script puts anew."""
    return f'<div id="live">{live(picture)}</div><div id="thumb">{thumb(picture)}</div>'


def thumb(picture: Picture) -> str:
    """The button under the thumb, and what holds it back."""
    language, seen = picture.language, picture.seen
    tests = [finding for finding in seen.findings if finding.check == "test"] if seen else []
    running = next((finding for finding in tests if finding.verdict is Verdict.WAIT), None)
    held = seen is None or not any(doctor.may_test(seen.findings, name) for name in seen.rsrp_dbm_x10)
    if running is not None:
        text = _w("test.busy", language, seconds=running.values.get("seconds", "0"))
    elif held:
        text = _w("test.held", language)
    else:
        text = _w(
            "test.again" if any(f.verdict in (Verdict.OK, Verdict.BAD) for f in tests) else "test.button", language
        )
    off = " disabled" if held or running is not None else ""
    return f'<form method="post" action="/{language}/test">{_token(picture)}<button class="big"{off}>{text}</button></form>'


def _document(picture: Picture, body: str, *, is_live: bool) -> str:
    language = picture.language
    other: Language = LANGUAGES[1 - LANGUAGES.index(language)]
    again = f'<noscript><meta http-equiv="refresh" content="{_RETRY_S}"></noscript>' if is_live else ""
    script = '<script src="/page.js" defer></script>' if is_live else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light">'
        f"<title>{_w('title', language)} · {escape(picture.site)}</title>{again}"
        '<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/page.css">'
        f"{script}</head><body><header><b>{escape(picture.site)}</b>"
        f'<a href="/{other}" lang="{other}" hreflang="{other}">{_w("other", language)}</a></header>{body}</body></html>\n'
    )


def _state(picture: Picture) -> str:
    language, seen = picture.language, picture.seen
    if seen is None:
        return f'<section class="state wait"><h1>{_w("state.restart", language)}</h1></section>'
    bad = sum(finding.verdict is Verdict.BAD for finding in seen.findings)
    is_untested = not any(f.check == "test" and f.verdict in (Verdict.OK, Verdict.BAD) for f in seen.findings)
    is_ready = not bad and seen.is_settled and is_untested
    word_, kind = ("state.red", "bad") if bad else ("state.green", "ok") if seen.is_settled else ("state.open", "wait")
    if is_ready:
        word_, kind = "state.ready", "wait"
    lines = [f"<h1>{_w(word_, language, n=bad)}</h1>"]
    if seen.code is not None and not is_ready:
        lines.append(f'<p>{_w("code.read", language)}</p><p class="code">{visit.shown(seen.code)}</p>')
    else:
        lines.append(f"<p>{_w('code.late', language)}</p>")
    if picture.refusal and not seen.is_settled:
        lines.append(f"<p>{escape(picture.refusal)}</p>")
    return f'<section class="state {kind}" role="status">{"".join(lines)}</section>'


def _first_red(picture: Picture) -> str:
    """The first red check once more, where the eye falls first: the others may only follow from it."""
    language, seen = picture.language, picture.seen
    red = next((finding for finding in seen.findings if finding.verdict is Verdict.BAD), None) if seen else None
    if red is None or red.check == "signal":  # its bar stands right below
        return ""
    said = escape(doctor_words.says(red, language))
    todo = escape(doctor_words.remedy(red, language) or "")
    name = escape(doctor_words.title(red.check, language))
    return f'<section class="first"><h2>{_w("first", language)}: {name}</h2><p>{said}</p><p class="do">{todo}</p></section>'


def _signals(picture: Picture) -> Iterator[str]:
    """A bar for each modem: the figure large, the best so far marked, the last minute drawn."""
    for name, level in picture.levels.items():
        if level.now is None and _first_red(picture):
            continue
        title = _w("signal", picture.language) + (f" {name}" if len(picture.levels) > 1 else "")
        yield f'<section class="signal"><h2>{title}</h2>{_level(level, picture.language)}</section>'


def _level(level: Level, language: Language) -> str:
    if level.now is None:
        return f'<p class="figure none">{_w("signal.none", language)}</p>'
    kind, best = doctor.signal_word(level.now), level.best if level.best is not None else level.now
    said = f"{_dbm(level.now)} dBm, {_w(f'signal.{kind}', language)}"
    return (
        f'<p class="figure {kind}"><b>{_dbm(level.now)}</b> dBm <strong>{_w(f"signal.{kind}", language)}</strong>'
        f"<span>{_w('signal.best', language, best=_dbm(best))}</span></p>{_bar(level.now, best, kind, said)}"
        f"{_trend(level.trend)}<p>{_w('signal.turn', language)}</p>"
    )


def _bar(now: int, best: int, kind: str, said: str) -> str:
    marks = "".join(
        f'<line class="border" x1="{_x(at)}" x2="{_x(at)}" y1="0" y2="40"/>'
        for at in (doctor.USABLE_RSRP_X10, doctor.GOOD_RSRP_X10)
    )
    return (
        f'<svg class="bar" viewBox="0 0 {BAR_UNITS} 40" role="img" aria-label="{escape(said)}" preserveAspectRatio="none">'
        f'<rect class="ground" width="{BAR_UNITS}" height="40"/><rect class="{kind}" width="{_x(now)}" height="40"/>{marks}'
        f'<line class="best" x1="{_x(best)}" x2="{_x(best)}" y1="0" y2="40"/></svg>'
    )


def _trend(trend: Sequence[int | None]) -> str:
    """The last minute as a line, at least 12 dB high; a second without a figure is a gap in it."""
    (width, height), step = TREND_UNITS, TREND_UNITS[0] / 59
    known = [level for level in trend if level is not None]
    middle, half = (max(known) + min(known)) / 2, max(60.0, (max(known) - min(known)) / 2)
    runs: list[list[str]] = [[]]
    for place, level in enumerate(trend):
        if level is None:
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.1f},{height / 2 - (level - middle) / half * (height / 2 - 3):.1f}")
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
    return (
        f'<svg class="trend" viewBox="0 0 {width} {height}" aria-hidden="true" preserveAspectRatio="none">{lines}</svg>'
    )


def _x(rsrp_dbm_x10: int) -> int:
    return round(share(rsrp_dbm_x10) * BAR_UNITS)


def _dbm(rsrp_dbm_x10: int) -> str:
    return f"{rsrp_dbm_x10 / 10:.0f}".replace("-", "−")


def _list(picture: Picture) -> str:
    seen = picture.seen
    if seen is None:
        return ""
    rows = "".join(_row(finding, picture.language, len(seen.rsrp_dbm_x10)) for finding in seen.findings)
    return f'<section><h2>{_w("list", picture.language)}</h2><ol class="checks">{rows}</ol></section>'


def _row(finding: Finding, language: Language, modems: int) -> str:
    name = doctor_words.title(finding.check, language)
    name += f" {finding.modem}" if finding.modem is not None and modems > 1 else ""
    verdict = finding.verdict.value
    remedy = doctor_words.remedy(finding, language) if finding.verdict in (Verdict.BAD, Verdict.WAIT) else None
    said = f"<p>{escape(doctor_words.says(finding, language))}</p>"
    todo = f'<p class="do"><b>{_w("do", language)}:</b> {escape(remedy)}</p>' if remedy else ""
    mark = f'<span class="mark" role="img" aria-label="{_w(f"verdict.{verdict}", language)}">{MARK[finding.verdict]}</span>'
    return f'<li class="{verdict}">{mark}<div><h3>{escape(name)}</h3>{said}{todo}</div></li>'


def _token(picture: Picture) -> str:
    return f'<input type="hidden" name="token" value="{escape(picture.token)}">'


def _w(name: str, language: Language, **values: object) -> str:
    return escape(word(name, language, **values))
