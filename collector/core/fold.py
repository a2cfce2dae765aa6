"""Vietnamese text as people search for it: tone marks, đ/d, case and kinds of apostrophes make no difference."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SAME = str.maketrans({"đ": "d", "Đ": "d", "’": "'", "ʼ": "'", "`": "'", "‘": "'", "–": "-", "—": "-"})
_BLANKS = re.compile(r"[\s_]+")


@lru_cache(maxsize=200_000)
def fold(text: str) -> str:
    """Return `text` without marks, in small letters: "Xã Hòa Bình", "xa hoa binh" and "Xã Hoà Bình" become one."""
    split = unicodedata.normalize("NFD", text.translate(_SAME))
    bare = "".join(letter for letter in split if not unicodedata.combining(letter))
    return _BLANKS.sub(" ", bare).strip().lower()


def matches(text: str, wanted: str) -> bool:
    """Whether every piece of `wanted` (pieces end at a comma) is somewhere in `text`, both folded."""
    folded = fold(text)
    return all(piece.strip() in folded for piece in fold(wanted).split(","))
