"""axe-core over pages: `violations(urls)` is empty where WCAG 2.2 AA holds as far as a program can see it.

    python -m tests.web.axe URL...      say what it finds; exit 1 if anything

axe-core is pinned in `scripts/axe.lock` and fetched by `python scripts/assets.py --axe` into `build/axe`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.assets import AXE
from tests.web.browser import DESKTOP, PHONE, Browser, Page

LIBRARY = AXE.folder / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
SIZES = (DESKTOP, PHONE)
_RUN = "axe.run(document, {runOnly: {type: 'tag', values: %s}, resultTypes: ['violations']})"
_BRIEF = (
    ".then(r => r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help,"
    " nodes: v.nodes.slice(0, 5).map(n => n.target.join(' ') + ' | ' + n.any.concat(n.all, n.none)"
    ".map(c => c.message).join('; '))})))"
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a page breaks: the page, its width, the rule, and where."""

    url: str
    width: int
    rule: str
    impact: str
    help: str
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        where = "\n    ".join(self.nodes)
        return f"{self.url} ({self.width} px): {self.rule} ({self.impact}): {self.help}\n    {where}"


def violations(
    urls: Iterable[str],
    *,
    cookies: Mapping[str, str] | None = None,
    sizes: Iterable[tuple[int, int]] = SIZES,
    browser: Browser | None = None,
) -> list[Violation]:
    """Open every address at every size and let axe-core look; `cookies` carry a session and a language."""
    if browser is None:
        with Browser() as own:
            return violations(urls, cookies=cookies, sizes=sizes, browser=own)
    found: list[Violation] = []
    chosen = list(urls)
    for size in sizes:
        with browser.page(size, cookies=cookies) as page:
            for url in chosen:
                page.go(url)
                landed = str(page.run("location.href"))
                if landed.split("?", maxsplit=1)[0].rstrip("/") != url.split("?")[0].rstrip("/"):
                    raise RuntimeError(f"{url} led to {landed}: what was looked at is another page")
                found += look(page, url, size[0])
    return found


def look(page: Page, url: str, width: int) -> list[Violation]:
    """What axe-core says of the page as it stands now."""
    page.run(LIBRARY.read_text() + ";0")
    told = page.run((_RUN + _BRIEF) % list(TAGS))
    return [Violation(url, width, v["id"], v["impact"] or "", v["help"], tuple(v["nodes"])) for v in told]


def main(urls: list[str]) -> int:
    """Look at these addresses. Exit 0: nothing found; 1: something; 2: no address."""
    if not urls:
        print(__doc__)
        return 2
    found = violations(urls)
    for one in found:
        print(one)
    print(f"{len(urls)} pages at {len(SIZES)} widths: {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
