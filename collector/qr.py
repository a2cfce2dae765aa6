"""QR codes as SVG, for pages and sheets: no script, no outside request. ISO/IEC 18004 by segno."""

from __future__ import annotations

import segno


def data_address(text: str, scale: int = 5) -> str:
    """The code as a `data:` address for an image. Error correction M: it is read from a screen or a clean sheet."""
    return segno.make(text, error="m", micro=False).svg_data_uri(scale=scale, border=4, light="#fff")
