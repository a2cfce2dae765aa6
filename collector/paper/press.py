"""Draws one of our layouts as PDF by typst: text comes as JSON, so nothing that a person entered is read as markup.

The same content gives the same bytes. Fonts are Debian's Liberation (all Vietnamese letters, free), no others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec
import typst

from wire.errors import Misconfigured, Unavailable

FONT_FOLDERS = ("/usr/share/fonts/truetype/liberation2", "/usr/share/fonts/truetype/liberation")
FONT_FILE = "LiberationSans-Regular.ttf"


def font_folder() -> Path:
    """Where the fonts lie (Debian 12, 13). Raises Misconfigured."""
    for folder in map(Path, FONT_FOLDERS):
        if (folder / FONT_FILE).is_file():
            return folder
    raise Misconfigured("the fonts Liberation are not here; install the Debian package fonts-liberation2")


def draw(layout: str, content: Mapping[str, object], pictures: Mapping[str, bytes], at_ms: int) -> bytes:
    """`layout`.typ over `content`, which may name `pictures` by their file names. Raises Misconfigured, Unavailable."""
    fonts = font_folder()
    with tempfile.TemporaryDirectory(prefix="dosong-paper-") as made:
        folder = Path(made)
        for name, raw in pictures.items():
            (folder / name).write_bytes(raw)
        (folder / "content.json").write_bytes(msgspec.json.encode(content))
        text = (resources.files("collector.paper") / f"{layout}.typ").read_text(encoding="utf-8")
        (folder / "page.typ").write_text(text, encoding="utf-8")
        try:
            drawn = typst.compile(
                folder / "page.typ", root=folder, font_paths=[fonts], ignore_system_fonts=True, format="pdf",
                timestamp=at_ms // 1000,
            )  # fmt: skip
        except RuntimeError as error:
            raise Unavailable(f"the PDF could not be drawn: {error}") from error
    return bytes(drawn)
