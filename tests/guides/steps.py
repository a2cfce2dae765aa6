"""The numbered steps of the user guides, as programs read them: docs/vi and docs/en.

In a guide, **bold** is what stands on a page, letter by letter; *italics* are for stress. Each numbered step ends in a
comment that says what to do with its bold words, one word after the other:

    3. Bấm **Vì sao không tính?**, rồi bấm **Phản đối**. <!-- do: press; press -->

Verbs that take the next bold words each: `press` (`press after WORDS`: the first behind these; `press wait`: reload
until it is there), `fill = VALUE` (`fill after WORDS = VALUE`), `see` (the page says so; `see wait`: reload until it
does), `skip` (not looked for: a telephone's own words, a button that is not there every day). Verbs without bold words:
`as NAME` (log in), `open PATH`, `read WORDS` (the page says so; words of the demonstration's own), `follow WORDS`
(press them), `save NAME` (what was downloaded), `run COMMAND` (in the folder of downloads), `fails COMMAND` (its status
must not be 0), `shows WORDS` (of the command). A picture in a step is the page at the step's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
NAMES = {
    "vi": ("can-bo", "xa", "nguoi-van-hanh", "kiem-tra-vien", "doanh-nghiep", "truong-thon", "ky-thuat-vien", "ba-con"),
    "en": ("official", "commune", "operator", "auditor", "company", "hamlet-head", "technician", "villager"),
}
"""One guide a role, the same order in both languages."""
_STEP = re.compile(r"^(\d+)\. ")
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_DO = re.compile(r"<!--\s*do:(.*?)-->", re.DOTALL)
_PICTURE = re.compile(r"!\[[^\]]*\]\(\.\./pictures/guide/([a-z0-9-]+)\.png\)")
TAKES_BOLD = frozenset({"press", "fill", "see", "skip"})
KNOWN = TAKES_BOLD | {"as", "open", "read", "follow", "save", "run", "fails", "shows"}
_NEXT = re.compile(rf";\s+(?=(?:{'|'.join(sorted(KNOWN))})(?![^\s;]))")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do: `verb`, the bold `words` it is done with ("" if it takes none), `rest` of its line."""

    verb: str
    words: str
    rest: str

    @property
    def after(self) -> str:
        """Words behind which to look, "" for none."""
        found = re.match(r"after (.+?)(?: = .*)?$", self.rest)
        return found.group(1).strip() if found else ""

    @property
    def value(self) -> str:
        """What to fill in."""
        return self.rest.rpartition("= ")[2].strip()


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered step: where it stands, its bold words, what to do, the picture it ends in ("": none)."""

    where: str
    bold: tuple[str, ...]
    deeds: tuple[Deed, ...]
    pictures: tuple[str, ...]
    is_marked: bool


def path(language: str, name: str) -> Path:
    """File of a guide."""
    return DOCS / language / f"{name}.md"


def bold_words(text: str) -> list[str]:
    """Everything in bold, each stretch of blanks as one."""
    return [" ".join(one.split()) for one in _BOLD.findall(_DO.sub("", text))]


def steps(language: str, name: str) -> list[Step]:
    """All numbered steps of a guide, in order. Raises ValueError if a step's marks do not fit its words."""
    lines = path(language, name).read_text(encoding="utf-8").splitlines()
    found: list[tuple[int, list[str]]] = []
    is_inside = False
    for number, line in enumerate(lines, 1):
        if _STEP.match(line):
            found.append((number, [line]))
            is_inside = True
        elif line.startswith(("#", "|")) or (
            line and not line.startswith((" ", "!", "<!--")) and not lines[number - 2]
        ):
            is_inside = False
        elif is_inside:
            found[-1][1].append(line)
    return [_step(f"{language}/{name}.md:{number}", "\n".join(text)) for number, text in found]


def _step(where: str, text: str) -> Step:
    bold = bold_words(text)
    marks = [part.strip() for found in _DO.findall(text) for part in _NEXT.split(found) if part.strip()]
    left, deeds = list(bold), []
    for mark in marks:
        verb, _, rest = mark.partition(" ")
        if verb not in KNOWN:
            raise ValueError(f"{where}: {verb!r} is no verb of these marks")
        if verb in TAKES_BOLD and not left:
            raise ValueError(f"{where}: more marks than bold words")
        deeds.append(Deed(verb, left.pop(0) if verb in TAKES_BOLD else "", " ".join(rest.split())))
    if left:
        raise ValueError(f"{where}: nothing is done with {left[0]!r}")
    return Step(where, tuple(bold), tuple(deeds), tuple(_PICTURE.findall(text)), bool(_DO.search(text)))
