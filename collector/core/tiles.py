"""The log's tree kept as tiles: what a new leaf changes, the root, and proofs read from tiles alone.

A tile holds up to 256 hashes of one level; level 0 are leaf hashes, a hash of level L+1 is the root over a whole tile
of level L. A tile that is not full is written beside its later, fuller forms, under its own width.
Source: C2SP tlog-tiles, "Merkle Tree"; RFC 6962 §2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from wire import tlog

WIDTH = 256
_BITS = 8

ReadTile = Callable[[int, int, int], Sequence[bytes]]
"""(level, index, width) to at least `width` hashes of that tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: `hashes` are its first 1 to 256 hashes."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Where it is published below the log's folder."""
        return tile_path(self.level, self.index, len(self.hashes))


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of `size` leaves: of each level the hashes of the tile that is not full yet."""

    size: int = 0
    open: tuple[tuple[bytes, ...], ...] = ()


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """`tile/<level>/<index>`, with `.p/<width>` if the tile is not full."""
    return f"tile/{level}/{_number(index)}{_partial(width)}"


def entries_path(index: int, width: int = WIDTH) -> str:
    """`tile/entries/<index>`, with `.p/<width>` if the bundle is not full."""
    return f"tile/entries/{_number(index)}{_partial(width)}"


def _number(index: int) -> str:
    """Groups of three digits, all but the last behind an x: 1234067 is x001/x234/067."""
    text = f"{index:03d}"
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[i : i + 3] for i in range(0, len(text), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"


def grow(edge: Edge, leaves: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
    """Append leaf hashes; return the new edge and every tile that is new or fuller, lowest level first."""
    rows = list(edge.open)
    tiles: list[Tile] = []
    fresh, level = list(leaves), 0
    while fresh:
        if level == len(rows):
            rows.append(())
        first = (edge.size >> (_BITS * level)) // WIDTH
        hashes, fresh = [*rows[level], *fresh], []
        for at in range(0, len(hashes), WIDTH):
            tile = Tile(level, first + at // WIDTH, tuple(hashes[at : at + WIDTH]))
            tiles.append(tile)
            if len(tile.hashes) == WIDTH:
                fresh.append(tlog.root(tile.hashes))
        rows[level] = tuple(hashes[len(hashes) // WIDTH * WIDTH :])
        level += 1
    return Edge(edge.size + len(leaves), tuple(rows)), tiles


def root(edge: Edge) -> bytes:
    """Return the root over all leaves."""
    peaks = [peak for row in reversed(edge.open) for peak in _peaks(row)]
    if not peaks:
        return tlog.EMPTY_ROOT
    return reduce(lambda right, left: tlog.node_hash(left, right), reversed(peaks))


def _peaks(row: Sequence[bytes]) -> list[bytes]:
    """Roots of the whole subtrees that a row is made of, the largest first."""
    found, at = [], 0
    for bit in reversed(range(_BITS)):
        if len(row) & 1 << bit:
            found.append(tlog.root(row[at : at + (1 << bit)]))
            at += 1 << bit
    return found


def edge_at(size: int, read: ReadTile) -> Edge:
    """Return the edge of the tree of the first `size` leaves, from its tiles."""
    rows: list[tuple[bytes, ...]] = []
    level = 0
    while (count := size >> (_BITS * level)) > 0:
        width = count % WIDTH
        rows.append(tuple(read(level, count // WIDTH, width)[:width]) if width else ())
        level += 1
    return Edge(size, tuple(rows))


class Tree:
    """Proofs over the tree of `size` leaves, read from tiles; `read` may give more hashes than are asked for."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size = size
        self._read = read

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return self._over(0, self.size) if self.size else tlog.EMPTY_ROOT

    def leaf(self, index: int) -> bytes:
        """Return one leaf hash. Raises IndexError if there is none."""
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of a tree of {self.size}")
        return self._hash(0, index)

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Return the path of leaf `index`, lowest sibling first. Raises IndexError. Source: RFC 9162 §2.1.3.1."""
        self.leaf(index)
        path: list[bytes] = []
        low, high = 0, self.size
        while high - low > 1:
            cut = low + _split_at(high - low)
            if index < cut:
                path.append(self._over(cut, high))
                high = cut
            else:
                path.append(self._over(low, cut))
                low = cut
        return tuple(reversed(path))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """Return the proof that the first `old` leaves are a prefix. Raises IndexError. Source: RFC 9162 §2.1.4.1."""
        if not 0 <= old <= self.size:
            raise IndexError(f"size {old} of a tree of {self.size}")
        if old in (0, self.size):
            return ()
        path: list[bytes] = []
        low, high, whole = 0, self.size, True
        while high != old:
            cut = low + _split_at(high - low)
            if old <= cut:
                path.append(self._over(cut, high))
                high = cut
            else:
                path.append(self._over(low, cut))
                low, whole = cut, False
        if not whole:
            path.append(self._over(low, high))
        return tuple(reversed(path))

    def _over(self, low: int, high: int) -> bytes:
        """Root over leaves `low` to `high`; `low` is a multiple of the power of two that the split gave."""
        count = high - low
        if count & (count - 1) == 0:
            return self._whole(count.bit_length() - 1, low)
        cut = low + _split_at(count)
        return tlog.node_hash(self._over(low, cut), self._over(cut, high))

    def _whole(self, height: int, low: int) -> bytes:
        level, rest = divmod(height, _BITS)
        first = low >> (_BITS * level)
        return tlog.root([self._hash(level, first + i) for i in range(1 << rest)])

    def _hash(self, level: int, at: int) -> bytes:
        count = self.size >> (_BITS * level)
        index = at // WIDTH
        width = min(WIDTH, count - index * WIDTH)
        return self._read(level, index, width)[at % WIDTH]


def _split_at(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1
