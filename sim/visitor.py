"""A person with a browser that has no script: opens pages, presses what is written there, fills in forms by labels.

Everything is found by the words that a person reads, as a user guide names them. Only the standard library.
"""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser

TIMEOUT_S = 60
_VOID = frozenset({"input", "img", "br", "hr", "meta", "link", "area", "source"})
_NOT_READ = frozenset({"script", "style", "title", "svg"})


def plain(text: str) -> str:
    """Text with every stretch of blanks as one."""
    return " ".join(text.split())


@dataclass(slots=True)
class Field:
    """One field of a form; `options` of a select are (value, words). `at`: its place in the page's reading order."""

    name: str
    kind: str
    value: str
    at: int
    label: str = ""
    options: list[tuple[str, str]] = field(default_factory=list)
    is_on: bool = True


@dataclass(slots=True)
class Form:
    """One form."""

    action: str
    method: str
    is_multipart: bool
    fields: list[Field] = field(default_factory=list)


@dataclass(slots=True)
class Thing:
    """What can be pressed: a link (`href`), or a button (`form`); neither: a heading that unfolds what is below it."""

    at: int
    words: str = ""
    href: str = ""
    form: Form | None = None
    name: str = ""
    value: str = ""


class Page(HTMLParser):
    """What a page says and offers, in its reading order."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.things: list[Thing] = []
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._thing: Thing | None = None
        self._label: list[Field] | None = None
        self._label_words: list[str] = []
        self._select: Field | None = None
        self._area: Field | None = None
        self.feed(source)

    @property
    def text(self) -> str:
        """All that is read."""
        return plain(" ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        given = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            self._open.append(tag)
        at = len(self.words)
        if tag == "a" and "href" in given:
            self._thing = Thing(at, href=given["href"])
        elif tag == "summary":
            self._thing = Thing(at)
        elif tag == "form":
            is_multipart = given.get("enctype", "") == "multipart/form-data"
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower(), is_multipart))
        elif tag == "label":
            self._label, self._label_words = [], []
        elif tag == "option" and self._select is not None:
            self._select.options.append((given.get("value", ""), ""))
            if "selected" in given or len(self._select.options) == 1:
                self._select.value = given.get("value", "")
        elif tag in ("input", "select", "textarea", "button"):
            self._control(tag, given, at)

    def _control(self, tag: str, given: dict[str, str], at: int) -> None:
        form = self.forms[-1] if "form" in self._open and self.forms else None
        if tag == "button":
            if form is not None:
                self._thing = Thing(at, form=form, name=given.get("name", ""), value=given.get("value", ""))
            return
        kind = given.get("type", "text") if tag == "input" else tag
        is_on = kind not in ("checkbox", "radio") or "checked" in given
        made = Field(given.get("name", ""), kind, given.get("value", ""), at, is_on=is_on)
        if form is not None:
            form.fields.append(made)
        if self._label is not None:
            self._label.append(made)
        if tag == "select":
            self._select = made
        elif tag == "textarea":
            self._area = made

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag in ("a", "button", "summary") and self._thing is not None:
            self._thing.words = plain(self._thing.words)
            self.things.append(self._thing)
            self._thing = None
        elif tag == "label" and self._label is not None:
            for one in self._label:
                one.label = plain(" ".join(self._label_words))
            self._label = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if _NOT_READ & set(self._open):
            return
        if self._area is not None:
            self._area.value += data
        if self._select is not None and self._select.options and self._open[-1] == "option":
            value, words = self._select.options[-1]
            self._select.options[-1] = (value, plain(words + " " + data))
            return
        if self._thing is not None:
            self._thing.words += data
        if self._label is not None:
            self._label_words.append(data)
        self.words.append(data)


class Lost(Exception):
    """What was to be pressed, filled in or seen is not on the page: says what, where, and what is there."""


class Visitor:
    """One browser window. `base`: the pages' address; `language`: vi or en."""

    def __init__(self, base: str, language: str = "vi") -> None:
        self.base, self.url, self.raw, self.kind = base, base, b"", ""
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        self._language = language
        self._unfolded = 0
        self.page = Page("")

    def open(self, address: str) -> None:
        """Open a path or an address. Raises Lost if it is refused."""
        self._ask(urllib.request.Request(urllib.parse.urljoin(self.url, address)))  # noqa: S310 (our own pages)

    def log_in(self, name: str, password: str) -> None:
        """Log in by the form, as somebody else than before."""
        self.jar.clear()
        self.open(f"{self.base}/login?lang={self._language}")
        form = next((one for one in self.page.forms if any(f.name == "password" for f in one.fields)), None)
        if form is None:
            raise Lost(f"{self.url} has no form to log in")
        for one in form.fields:
            one.value = {"name": name, "password": password}.get(one.name, one.value)
        self._send(form, None)
        if self.url.endswith("/login"):
            raise Lost(f"{name} could not log in: {self.page.text[:300]}")

    def press(self, words: str, after: str = "") -> None:
        """Press what is written so; of several the first, or the first after the words `after`. Raises Lost."""
        begin = self._place(after)
        found = [one for one in self.page.things if one.words == words and one.at >= begin]
        if not found:
            found = [one for one in self.page.things if one.words.startswith(words) and one.at >= begin]
        if not found:
            offered = "; ".join(sorted({one.words for one in self.page.things if one.words}))
            raise Lost(f"{self.url} has nothing to press that reads {words!r}. There is: {offered}")
        if found[0].form is not None:
            self._send(found[0].form, found[0])
        elif found[0].href:
            self.open(found[0].href)
        else:
            self._unfolded = found[0].at + 1

    def _place(self, after: str) -> int:
        """Where to begin to look: behind these words, or in what was unfolded last."""
        if not after:
            return self._unfolded
        at = next((n for n, text in enumerate(self.page.words) if after in plain(text)), None)
        if at is None:
            raise Lost(f"{self.url} does not say {after!r}")
        return at

    def fill(self, label: str, value: str, after: str = "") -> None:
        """Write into, or choose in, the field of this label. Raises Lost."""
        begin = self._place(after)
        fields = [one for form in self.page.forms for one in form.fields if one.kind != "hidden"]
        found = [one for one in fields if one.label.startswith(label) and one.at >= begin]
        if not found:
            raise Lost(f"{self.url} has no field {label!r}. There are: {sorted({one.label for one in fields})}")
        one = found[0]
        if one.kind == "select":
            chosen = [code for code, words in one.options if value in (code, words)]
            chosen = chosen or [code for code, words in one.options if words.startswith(value)]
            if not chosen:
                raise Lost(f"{self.url}: {label!r} does not offer {value!r} but {one.options}")
            value = chosen[0]
        if one.kind == "checkbox":
            one.is_on = value == "on"
        else:
            one.value = value

    def sees(self, words: str) -> bool:
        """Whether the page says so."""
        return plain(words) in self.page.text

    def _send(self, form: Form, button: Thing | None) -> None:
        pairs = [(one.name, one.value) for one in form.fields if one.name and one.is_on and one.kind != "file"]
        if button is not None and button.name:
            pairs.append((button.name, button.value))
        target = urllib.parse.urljoin(self.url, form.action or self.url)
        if form.method != "post":
            target = target.partition("?")[0] + "?" + urllib.parse.urlencode(pairs)
            return self.open(target)
        sent = urllib.parse.urlencode(pairs).encode()
        self._ask(urllib.request.Request(target, data=sent, headers={"Referer": self.url}))  # noqa: S310 (our own pages)
        return None

    def _ask(self, request: urllib.request.Request) -> None:
        request.add_header("Accept-Language", self._language)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                self.raw, self.kind = answer.read(), answer.headers.get_content_type()
                if self.kind == "text/html":  # a file is kept, and the page stays where it is
                    self.url = answer.geturl()
        except urllib.error.HTTPError as error:
            with error:
                said = plain(re.sub("<[^>]*>", " ", error.read().decode(errors="replace")))
            raise Lost(f"{request.full_url} answers {error.code}: {said[:600]}") from error
        if self.kind == "text/html":
            self.page, self._unfolded = Page(self.raw.decode()), 0
