"""`make guides`: every guide, step by step, on a real demonstration, by a person without a script; pictures by the way.

    python -m tests.guides.follow                     all guides, both languages, pictures into docs/pictures/guide
    python -m tests.guides.follow --only can-bo --no-pictures
    python -m tests.guides.follow --at http://127.0.0.1:8080 --data demo-data/netns    a demonstration that runs already

A step that cannot be done as it is written ends its guide with one sentence: file, line, and what the page has instead.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grafana.png import shrink
from sim import demo_seed
from sim.visitor import Lost, Visitor
from tests.guides.steps import DOCS, NAMES, Deed, Step, steps
from tests.web.browser import PHONE, Browser

PICTURES = DOCS / "pictures" / "guide"
DESK = (1100, 825)
READY_S, WAIT_S, RUN_S = 300.0, 300.0, 120.0
ROOT = DOCS.parent


@dataclass(slots=True)
class Walk:
    """One guide being followed: who follows it, what was downloaded, how the last command ended."""

    person: Visitor
    language: str
    folder: Path
    sheet: demo_seed.Sheet
    browser: Browser | None
    said: str = ""

    def take(self, step: Step) -> None:
        """Do one step. Raises Lost with its place."""
        try:
            for deed in step.deeds:
                self._do(deed)
        except (Lost, OSError, subprocess.TimeoutExpired) as error:
            raise Lost(f"{step.where}: {error}") from error
        for name in step.pictures:
            self._picture(name)

    def _do(self, deed: Deed) -> None:
        person, rest = self.person, self._known(deed.rest)
        if deed.verb == "press":
            self._again(lambda: person.press(deed.words, self._known(deed.after)), is_patient=rest == "wait")
        elif deed.verb == "fill":
            person.fill(deed.words, self._known(deed.value), self._known(deed.after))
        elif deed.verb == "see":
            self._again(lambda: self._see(deed.words), is_patient=rest == "wait")
        elif deed.verb == "read":
            self._see(rest)
        elif deed.verb == "as":
            person.log_in(rest, demo_seed.PASSWORD)
        elif deed.verb == "open":
            person.open(f"{person.base}{rest}")
        elif deed.verb == "follow":
            self._follow(rest)
        elif deed.verb == "save":
            if person.kind == "text/html" or not person.raw:
                raise Lost(f"{person.url} is no file: {person.page.text[:400]}")
            (self.folder / rest).write_bytes(person.raw)
        elif deed.verb in ("run", "fails"):
            self._run(rest, is_well=deed.verb == "run")
        elif deed.verb == "shows" and rest not in self.said:
            raise Lost(f"the command does not say {rest!r} but: {self.said[-1500:]}")

    def _known(self, text: str) -> str:
        """A mark's words with what this demonstration alone knows."""
        now = time.gmtime(time.time() + 7 * 3600)
        known = {
            "{sheet}": self.sheet.path,
            "{pin}": self.sheet.pin,
            "{month}": time.strftime("%Y-%m", now),
            "{today}": time.strftime("%Y-%m-%d", now),
            "{later}": time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * 86400)),
            "{n}": str(int(time.time()) % 100_000),
        }
        for word, value in known.items():
            text = text.replace(word, value)
        return text

    def _again(self, deed: Callable[[], None], *, is_patient: bool) -> None:
        """Do it; if `is_patient`, load the page again until it can be done."""
        end = time.monotonic() + (WAIT_S if is_patient else 0)
        where = self.person.url
        while True:
            try:
                return deed()
            except Lost:
                if time.monotonic() > end:
                    raise
            time.sleep(5)
            self.person.open(where)

    def _follow(self, words: str) -> None:
        """Press words of this demonstration's own; `~` begins a pattern of them."""
        if words.startswith("~"):
            fits = [one.words for one in self.person.page.things if re.match(words[1:], one.words)]
            words = fits[0] if fits else words
        self.person.press(words)

    def _see(self, words: str) -> None:
        if not self.person.sees(words):
            raise Lost(f"{self.person.url} does not say {words!r}: {self.person.page.text[:1500]}")

    def _run(self, command: str, *, is_well: bool) -> None:
        words = [sys.executable if word == "python3" else word for word in shlex.split(command)]
        told = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=RUN_S, check=False)
        self.said = told.stdout + told.stderr
        if is_well == bool(told.returncode):
            raise Lost(f"{command} ends with {told.returncode}: {self.said[-1500:]}")

    def _picture(self, name: str) -> None:
        if self.browser is None:
            return
        size = PHONE if "-phone-" in name else DESK
        cookies = {one.name: one.value or "" for one in self.person.jar} | {"lang": self.language}
        with self.browser.page(size, cookies=cookies, script=False) as page:
            page.go(self.person.url)
            page.picture(PICTURES / f"{name}.png", whole=False)
        (PICTURES / f"{name}.png").write_bytes(shrink((PICTURES / f"{name}.png").read_bytes()))


@contextlib.contextmanager
def demonstration(folder: Path) -> Iterator[str]:
    """A demonstration of our own on free ports: its pages' address. Ends what it started."""
    log = folder / "demo.log"
    with log.open("w") as out:
        argv = [sys.executable, "-m", "sim", "demo", "--dir", str(folder / "data"), "--port", "0"]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        end = time.monotonic() + READY_S
        while "ready after" not in log.read_text() or "PIN" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise Lost(f"the demonstration did not start:\n{log.read_text()}")
            time.sleep(1)
        found = re.search(r"pages +(http://\S+)", log.read_text())
        if found is None:
            raise Lost(f"the demonstration names no address:\n{log.read_text()}")
        yield found.group(1)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


def follow(walk: Walk, name: str) -> int:
    """Follow one guide; returns how many steps it has. Raises Lost."""
    found = steps(walk.language, name)
    for step in found:
        walk.take(step)
    return len(found)


def tell(walk: Walk, name: str) -> int:
    """Follow one guide and say how it went; 1 if a step cannot be done as it is written, for the others go on."""
    begin = time.monotonic()
    try:
        walk.person.open(f"{walk.person.base}/?lang={walk.language}")
        done = follow(walk, name)
    except (Lost, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    print(f"{walk.language}/{name}.md: {done} steps done, {time.monotonic() - begin:.0f} s", flush=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Follow the guides. Exit 0: each step of each guide was done as it is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one guide, by its file's name")
    parser.add_argument("--language", choices=sorted(NAMES), help="one language")
    parser.add_argument("--no-pictures", action="store_true")
    parser.add_argument("--at", help="address of a demonstration that runs")
    parser.add_argument("--data", type=Path, help="its folder (with --at)")
    asked = parser.parse_args(argv)
    wrong = 0
    try:
        with contextlib.ExitStack() as held:
            browser = None if asked.no_pictures else held.enter_context(Browser())
            for language in [asked.language] if asked.language else NAMES:
                wrong += follow_all(asked, language, browser)
    except Lost as error:
        print(error, file=sys.stderr)
        return 1
    return min(wrong, 1)


def follow_all(asked: argparse.Namespace, language: str, browser: Browser | None) -> int:
    """The guides of one language, on a demonstration of their own; how many cannot be followed. Raises Lost."""
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="dosong-guides-")))
        base = asked.at or held.enter_context(demonstration(folder))
        data = asked.data or folder / "data" / "netns"
        sheet = demo_seed.remembered(data)
        if sheet is None:
            raise Lost(f"{data} holds no hamlet head's sheet; start the demonstration anew (make demo-reset)")
        names = NAMES[language] if asked.only is None else [asked.only]
        return sum(tell(Walk(Visitor(base, language), language, folder, sheet, browser), name) for name in names)


if __name__ == "__main__":
    sys.exit(main())
