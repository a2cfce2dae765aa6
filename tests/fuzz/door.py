# ruff: noqa: E501 (examples are read as they come)
"""What a door is: one parser of bytes from outside, what it may raise, and examples to begin with.

A door's `open` takes any bytes. It returns, or raises one of `declared`; anything else is a defect, and so is an
assertion of the door's own (a round trip that does not come back).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
MOST_KEPT_BYTES = 4_096
"""Of a file in the corpus."""
TOKENS = (
    b"", b"\x00", b"\n", b"\r\n", b"\n\n", b" ", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"=", b"-", b"+", b"\xff",
    b"\xe2\x80\x94 ", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xcc\x81", "１２".encode(), b"null", b"true", b"NaN",
    b"-Infinity", b"1e999", b"1.5", b"-0", b"1_000", b"0x10", b"9223372036854775808", b"18446744073709551616",
    b"9" * 5_000, b"[" * 20_000, b'{"a":' * 20_000, b"\\u0000", b"\\ud800", b"A" * 300, b"../../x", b"%00", b"%s{}",
    b"=cmd|' /C calc'!A0", b"<img src=x onerror=hit()>", b"';drop table entry;--", b"\x7f", b"\x1b[2J",
    b"+CME ERROR: 4294967296", b"2026-02-30", b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:60Z",
)  # fmt: skip
"""What breaks parsers; facts note 08 §2, hostile input."""


class Given:
    """An input, shown short."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __repr__(self) -> str:
        return f"{len(self.raw)} bytes: {self.raw[:300]!r}"


@dataclass(frozen=True, slots=True)
class Door:
    """One parser. `seeds` are good inputs and known bad ones; `most_bytes`: longer inputs it would never be given;
    `examples`: how many the short form tries."""

    name: str
    open: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Sequence[bytes]
    most_bytes: int = 200_000
    examples: int = 40

    def knock(self, given: bytes) -> bool:
        """Open it once; whether it let the bytes in. Raises what the door did not declare."""
        try:
            self.open(given[: self.most_bytes])
        except self.declared:
            return False
        return True

    def kept(self) -> Iterator[tuple[str, bytes]]:
        """The corpus: what was found to matter once, by file name."""
        for path in sorted((CORPUS / self.name).glob("*")):
            yield path.name, path.read_bytes()

    def keep(self, given: bytes) -> Path:
        """Put an input into the corpus, named by its SHA-256."""
        folder = CORPUS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / sha256(given).hexdigest()[:12]
        path.write_bytes(given)
        return path


def _op(draw: st.DrawFn, given: bytes, seeds: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(given)))
    end = min(len(given), at + draw(st.integers(0, 24)))
    match draw(st.sampled_from("tsdrxc")):
        case "t":
            return given[:at] + draw(st.sampled_from(TOKENS)) + given[end:]
        case "s":
            return given[:at] + draw(st.sampled_from(TOKENS)) + given[at:]
        case "d":
            return given[:at] + given[end:]
        case "r":
            return given[:at] + given[at:end] * draw(st.integers(2, 40)) + given[end:]
        case "x":
            other = draw(st.sampled_from(seeds))
            return given[:at] + other[draw(st.integers(0, len(other))) :]
        case _:
            return given[:at] + draw(st.binary(max_size=8)) + given[end:]


@st.composite
def inputs(draw: st.DrawFn, door: Door) -> bytes:
    """A seed that was changed a few times, or bytes of any kind."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.binary(max_size=200))
    given = draw(st.sampled_from(door.seeds))
    for _ in range(draw(st.integers(0, 4))):
        given = _op(draw, given, door.seeds)
    return given
