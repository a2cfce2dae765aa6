"""One line of CSV that no spreadsheet takes for a formula, and that keeps numbers numbers.

Text is quoted always and gets an apostrophe in front if it begins as a formula could; integers stand bare; None is
an empty cell, the empty text `""`. Lines end in CRLF (RFC 4180). Source: facts note 08 §5, injection.
"""

from __future__ import annotations

from collections.abc import Iterable

Cell = int | float | bool | str | None
BOM = "\ufeff"
_DANGEROUS = tuple("=+-@\t\r\n\0＝＋－＠'")


def cell(value: Cell) -> str:
    """One cell as it stands in the file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    kept = value.replace("\0", "\ufffd")
    # What stands behind spaces is taken for a formula too, by programs that strip them.
    guarded = f"'{kept}" if value.lstrip(" \u00a0\u3000").startswith(_DANGEROUS) else kept
    return '"' + guarded.replace('"', '""') + '"'


def line(values: Iterable[Cell]) -> str:
    """One record, with its end of line."""
    return ",".join(cell(value) for value in values) + "\r\n"
