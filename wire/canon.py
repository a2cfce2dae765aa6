"""The one accepted JSON form: RFC 8785 restricted to integers, so that equal objects have equal bytes.

Keys `[a-z0-9_]{1,48}`; values are integers within ±(2^53-1), NFC strings of visible characters, booleans,
objects at most 3 deep, arrays of at most 100 integers (or null). No floats: the scale stands in
the name (`rsrp_dbm_x10`). An unknown value is written by leaving its key out: null appears only inside
arrays, where a place must be kept.

Source: RFC 8785 (JCS) §3.2; facts note 08 §3.1 for the profile.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Never

from wire.errors import Refused

MAX_INT = 2**53 - 1
MAX_DEPTH = 3
MAX_ARRAY = 100
MAX_STRING = 512
_KEY = re.compile(r"[a-z0-9_]{1,48}")
# Control, format (bidi overrides, zero width), surrogate, private, unassigned; line and paragraph separator.
# Unassigned ones because only for assigned characters is NFC the same in every later version of Unicode.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def check(obj: dict[str, Any]) -> None:
    """Raise Refused("not_canonical") if a key or value of `obj` is outside the profile."""
    _check(obj, 1)


def encode(obj: dict[str, Any]) -> bytes:
    """Return the canonical bytes of `obj`. Raises Refused("not_canonical") if a value is outside the profile."""
    check(obj)
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode(raw: bytes) -> dict[str, Any]:
    """Read canonical bytes back. Any other spelling of the same object is refused.

    Raises Refused: "not_json" if it does not parse (floats, NaN, duplicate keys, too deep, not UTF-8),
    "not_canonical" if it parses but is not the one accepted form.
    """
    try:
        obj = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_bounded,
        )
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused("not_json", "too deep" if isinstance(error, RecursionError) else str(error)[:100]) from error
    if not isinstance(obj, dict):
        raise Refused("not_json", "an object is expected")
    if encode(obj) != raw:
        raise Refused("not_canonical", "keys sorted, no spaces, no escapes that are not needed")
    return obj


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    obj = dict(pairs)
    if len(obj) != len(pairs):
        raise Refused("not_json", "duplicate key")
    return obj


def _no_float(text: str) -> Never:
    raise Refused("not_json", f"only integers are allowed, not {text[:20]}")


def _bounded(text: str) -> int:
    if len(text) > 17:
        raise Refused("not_canonical", "integer beyond 2^53-1")
    return int(text)


def _check(value: object, depth: int) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise Refused("not_canonical", "integer beyond 2^53-1")
    elif isinstance(value, str):
        check_string(value)
    elif isinstance(value, dict):
        _check_object(value, depth)
    elif isinstance(value, list | tuple):
        _check_array(value)
    else:
        raise Refused("not_canonical", f"{type(value).__name__} is not allowed here")


def check_string(value: str) -> None:
    """Raise Refused("not_canonical") unless `value` is short, NFC, and only of characters that can be seen."""
    if len(value) > MAX_STRING:
        raise Refused("not_canonical", f"string over {MAX_STRING} characters")
    if value.isascii():
        if not value.isprintable():
            raise Refused("not_canonical", "control character in a string")
        return
    if any(unicodedata.category(c) in _INVISIBLE for c in value):
        raise Refused("not_canonical", "control, format, unassigned or surrogate character in a string")
    if not unicodedata.is_normalized("NFC", value):
        raise Refused("not_canonical", "string is not NFC")


def is_plain(text: str) -> bool:
    """Whether a text holds only characters that strings may hold, in NFC: then so does every part of it."""
    if text.isascii():
        return text.isprintable()
    odd = (c for c in set(text) if not "\x20" <= c <= "\x7e")
    return not any(unicodedata.category(c) in _INVISIBLE for c in odd) and unicodedata.is_normalized("NFC", text)


def _check_object(value: dict[Any, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refused("not_canonical", f"deeper than {MAX_DEPTH}")
    for key, item in value.items():
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            raise Refused("not_canonical", "key outside [a-z0-9_]{1,48}")
        _check(item, depth + 1)


def _check_array(value: list[Any] | tuple[Any, ...]) -> None:
    if len(value) > MAX_ARRAY:
        raise Refused("not_canonical", f"array over {MAX_ARRAY}")
    for item in value:
        if item is not None and (isinstance(item, bool) or not isinstance(item, int)):
            raise Refused("not_canonical", "arrays hold integers or null")
        if item is not None and not -MAX_INT <= item <= MAX_INT:
            raise Refused("not_canonical", "integer beyond 2^53-1")
