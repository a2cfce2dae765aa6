"""JSON that an enemy, or a broken program, could send: facts note 08 §7.2, row 18. One row: name, bytes, reasons.

Each is what stands between the first line of a record and its signature.
"""

from __future__ import annotations

from tests.wire import make_golden
from wire import codec

GOOD = codec.body_of(make_golden.chain()["event-outage"])


def _with(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


BIG = b"9" * 3000
HOSTILE: dict[str, tuple[bytes, set[str]]] = {
    "empty": (b"", {"not_json"}),
    "not an object": (b"[1]", {"not_json"}),
    "null": (b"null", {"not_json"}),
    "number": (b"7", {"not_json"}),
    "string": (b'"x"', {"not_json"}),
    "cut off": (GOOD[:-1], {"not_json"}),
    "two objects": (GOOD + GOOD, {"not_json"}),
    "deep arrays": (b"[" * 3000, {"not_json"}),
    "deep arrays closed": (b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}", {"not_json", "not_canonical"}),
    "deep objects": (b'{"a":' * 600 + b"1" + b"}" * 600, {"not_json", "not_canonical"}),
    "huge integer": (_with(b'"v":1', b'"v":' + BIG), {"not_canonical"}),
    "huge negative": (_with(b'"v":1', b'"v":-' + BIG), {"not_canonical"}),
    "beyond 2^53": (_with(b'"seq":12', b'"seq":9007199254740992'), {"not_canonical"}),
    "beyond 2^64": (_with(b'"seq":12', b'"seq":18446744073709551616'), {"not_canonical"}),
    "NaN": (_with(b'"v":1', b'"v":NaN'), {"not_json"}),
    "Infinity": (_with(b'"v":1', b'"v":-Infinity'), {"not_json"}),
    "float": (_with(b'"v":1', b'"v":1.5'), {"not_json"}),
    "float that is whole": (_with(b'"v":1', b'"v":1.0'), {"not_json"}),
    "exponent": (_with(b'"v":1', b'"v":1e0'), {"not_json"}),
    "infinite exponent": (_with(b'"v":1', b'"v":1e999'), {"not_json"}),
    "minus zero": (_with(b'"seq":12', b'"seq":-0'), {"not_canonical"}),
    "leading zero": (_with(b'"seq":12', b'"seq":012'), {"not_json"}),
    "plus": (_with(b'"seq":12', b'"seq":+12'), {"not_json"}),
    "hexadecimal": (_with(b'"seq":12', b'"seq":0x12'), {"not_json"}),
    "key twice": (_with(b'"seq":12', b'"seq":12,"seq":12'), {"not_json"}),
    "key twice, other value": (_with(b'"seq":12', b'"seq":13,"seq":12'), {"not_json"}),
    "key twice by escape": (_with(b'"seq":12', b'"seq":12,"\\u0073eq":13'), {"not_json"}),
    "escaped letter": (_with(b'"m1"', b'"\\u006d1"'), {"not_canonical"}),
    "escaped slash": (_with(b'"m1"', b'"m\\/"'), {"schema", "not_canonical"}),
    "lone surrogate": (_with(b'"m1"', b'"\\ud800"'), {"not_canonical"}),
    "surrogate pair": (_with(b'"m1"', b'"\\ud83d\\ude00"'), {"schema", "not_canonical"}),
    "lone surrogate in prev": (_with(b'"prev":"', b'"prev":"\\udfff'), {"not_canonical"}),
    "BOM": (b"\xef\xbb\xbf" + GOOD, {"not_json"}),
    "space at the end": (GOOD + b" ", {"not_canonical"}),
    "newline at the end": (GOOD + b"\n", {"not_canonical"}),
    "space inside": (_with(b'"seq":12', b'"seq": 12'), {"not_canonical"}),
    "keys in another order": (b'{"v":1,' + GOOD[1:-7] + b"}", {"not_canonical"}),
    "null for unknown": (_with(b'"v":1', b'"v":1,"z":null'), {"not_canonical"}),
    "null that is known": (_with(b'"mono_ms"', b'"modem":null,"mono_ms"'), {"not_json", "not_canonical"}),
    "unknown key": (_with(b'"v":1', b'"v":1,"zz":1'), {"schema"}),
    "key with a capital": (_with(b'"v":1', b'"v":1,"zZ":1'), {"not_canonical"}),
    "boolean for a number": (_with(b'"seq":12', b'"seq":true'), {"schema"}),
    "number for a boolean": (_with(b'"simulated":false', b'"simulated":0'), {"schema"}),
    "string for a number": (_with(b'"seq":12', b'"seq":"12"'), {"schema"}),
    "negative": (_with(b'"seq":12', b'"seq":-1'), {"schema"}),
    "other version": (_with(b'"v":1', b'"v":2'), {"schema"}),
    "other kind": (_with(b'"kind":"event"', b'"kind":"other"'), {"schema"}),
    "no kind": (_with(b'"kind":"event",', b""), {"schema"}),
    "other probe": (_with(b"p-dong-chuoi", b"p-dong-chuoj"), {"wrong_probe"}),
    "probe with a newline": (_with(b"p-dong-chuoi", b"p-dong-chuoi\\n"), {"schema", "not_canonical"}),
    "word with a newline": (_with(b'"searching"', b'"searching\\n"'), {"schema", "not_canonical"}),
    "word outside the vocabulary": (_with(b'"searching"', b'"bad_weather"'), {"schema"}),
    "prev at seq 0": (_with(b'"seq":12', b'"seq":0'), {"schema"}),
    "string of arrays": (_with(b'"m1"', b'[["m1"]]'), {"schema", "not_canonical"}),
    "bidi override": (_with(b'"modem"', '"note":"a\u202eb","modem"'.encode()), {"not_canonical"}),
    "delete character": (_with(b'"v":1', b'"v":1,"was":"\x7f"'), {"not_canonical"}),
    "decomposed": (_with(b'"simulated"', b'"now":"e\xcc\x81","simulated"'), {"not_canonical"}),
}
UNAUTHENTIC: dict[str, bytes] = {
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without BOM": GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "Latin-1": GOOD + b"\xe9",
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "overlong": b'{"a":"\xc0\x80"}',
    "NUL": GOOD + b"\x00",
    "tab": GOOD + b"\t",
    "carriage return": GOOD + b"\r",
    "5 MB": b'{"a":"' + b"x" * 5_000_000 + b'"}',
    "5 MB of brackets": b"[" * 5_000_000,
}
"""What no note can hold, whoever signed it: the shape or the size is wrong before any key is asked."""
