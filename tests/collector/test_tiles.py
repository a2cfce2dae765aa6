"""Tiles against the tree of `wire.tlog` and against pymerkle: roots, proofs, paths, growth in any steps."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core import tiles
from wire import tlog

SIZES = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 700]


def leaves_of(count: int) -> list[bytes]:
    return [tlog.leaf_hash(b"entry %d" % i) for i in range(count)]


class Shelf:
    """Tiles as they lie on disk: by path, older and fuller forms side by side."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, ...]] = {}

    def put(self, new: Sequence[tiles.Tile]) -> None:
        for tile in new:
            assert self.held.setdefault(tile.path, tile.hashes) == tile.hashes, "a tile never changes"

    def read(self, level: int, index: int, width: int) -> Sequence[bytes]:
        return self.held[tiles.tile_path(level, index, width)]


def grown(sizes: Sequence[int], leaves: Sequence[bytes]) -> tuple[tiles.Edge, Shelf]:
    edge, shelf = tiles.Edge(), Shelf()
    for low, high in zip([0, *sizes], sizes, strict=False):
        edge, new = tiles.grow(edge, leaves[low:high])
        shelf.put(new)
    return edge, shelf


@pytest.mark.parametrize("size", SIZES)
def test_root_and_every_proof_are_those_of_the_plain_tree(size: int) -> None:
    leaves = leaves_of(size)
    edge, shelf = grown([size], leaves)
    tree = tiles.Tree(size, shelf.read)
    assert tiles.root(edge) == tree.root() == tlog.root(leaves)
    for index in {0, size // 3, size // 2, size - 1}:
        assert tree.inclusion(index) == tlog.inclusion_proof(leaves, index)
        assert tlog.verify_inclusion(leaves[index], index, size, tree.inclusion(index), tlog.root(leaves))
    for old in {0, 1, size // 2, size - 1, size} - {-1}:
        assert tree.consistency(old) == tlog.consistency_proof(leaves, old)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 600), min_size=1, max_size=4), st.integers(0, 10**6))
def test_growth_in_any_steps_gives_one_tree(steps: list[int], salt: int) -> None:
    sizes = [sum(steps[: i + 1]) for i in range(len(steps))]
    leaves = [tlog.leaf_hash(b"%d %d" % (salt, i)) for i in range(sizes[-1])]
    edge, shelf = grown(sizes, leaves)
    assert tiles.root(edge) == tlog.root(leaves)
    for size in sizes:
        assert tiles.edge_at(size, shelf.read).size == size
        assert tiles.root(tiles.edge_at(size, shelf.read)) == tlog.root(leaves[:size])
    assert tiles.edge_at(sizes[-1], shelf.read) == edge
    proof = tiles.Tree(sizes[-1], shelf.read).consistency(sizes[0])
    assert tlog.verify_consistency(sizes[0], sizes[-1], tlog.root(leaves[: sizes[0]]), tlog.root(leaves), proof)


def test_roots_are_those_of_an_independent_library() -> None:
    other = pymerkle.InmemoryTree(algorithm="sha256")
    edge = tiles.Edge()
    for i in range(600):
        other.append_entry(b"entry %d" % i)
        edge, _ = tiles.grow(edge, [tlog.leaf_hash(b"entry %d" % i)])
        if i % 37 == 0 or i > 590:
            assert tiles.root(edge) == other.get_root()


def test_only_what_changed_is_written() -> None:
    edge, _ = tiles.grow(tiles.Edge(), leaves_of(300))
    _, new = tiles.grow(edge, leaves_of(1))
    assert [tile.path for tile in new] == ["tile/0/001.p/45"]
    edge, _ = tiles.grow(tiles.Edge(), leaves_of(511))
    _, new = tiles.grow(edge, leaves_of(1))
    assert [tile.path for tile in new] == ["tile/0/001", "tile/1/000.p/2"]


def test_paths_are_those_of_the_specification() -> None:
    """C2SP tlog-tiles: 1234067 is x001/x234/067; a tile that is not full names its width."""
    assert tiles.tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(3, 0, 5) == "tile/3/000.p/5"
    assert tiles.tile_path(1, 999) == "tile/1/999"
    assert tiles.tile_path(1, 1000) == "tile/1/x001/000"
    assert tiles.entries_path(1000, 17) == "tile/entries/x001/000.p/17"


def test_a_leaf_that_is_not_there_is_an_index_error() -> None:
    edge, shelf = grown([5], leaves_of(5))
    assert edge.size == 5
    tree = tiles.Tree(5, shelf.read)
    for call in (tree.leaf, tree.inclusion):
        with pytest.raises(IndexError):
            call(5)
    with pytest.raises(IndexError):
        tree.consistency(6)


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert tiles.root(tiles.Edge()) == sha256(b"").digest() == tiles.Tree(0, Shelf().read).root()
