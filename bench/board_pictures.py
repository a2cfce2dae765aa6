"""Pictures of every board, vi and en, wide and narrow, from the simulated province: for docs/boards.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from collector.core.clock import DAY_MS
from grafana.harness import load_boards, view_of
from grafana.influx import Influx
from grafana.preview import PHONE, WIDTH, page, picture
from grafana.words import Language

SEEN: Mapping[str, Mapping[str, Sequence[str]]] = {
    "dosong-commune": {"commune": ["05700"]},
    "dosong-hamlet": {"hamlet": ["h-000"]},
}
"""What is chosen on a board in its picture; elsewhere all."""
DAYS = 30


def draw(influx: Influx, end_ms: int, folder: Path) -> None:
    """Draw all boards over the last month into `folder`, one PNG a board, language and width."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in load_boards():
        stem, _, tongue = board["uid"].rpartition("-")
        language: Language = "vi" if tongue == "vi" else "en"
        view = view_of(board, end_ms - DAYS * DAY_MS, end_ms - 1, **SEEN.get(stem, {}))  # type: ignore[arg-type]
        for name, width in (("", WIDTH), ("-phone", PHONE)):
            html, height = page(influx, board, view, language, width)
            out = folder / f"board-{stem.removeprefix('dosong-')}-{tongue}{name}.png"
            picture(html, height, out, width)
            print(f"{out}: {out.stat().st_size // 1000} kB", flush=True)
