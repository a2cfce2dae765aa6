"""The log's arithmetic against another implementation, and against every single alteration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire import note, tlog
from wire.errors import Refused

ENTRIES = tuple(f"entry {i}".encode() for i in range(200))
LEAVES = tuple(tlog.leaf_hash(entry) for entry in ENTRIES)
LOG = note.Signer.from_seed("dosong.example/log", bytes(32))
SIZES = st.integers(1, len(LEAVES))


@cache
def _oracle() -> Any:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        tree.append_entry(entry)
    return tree


@given(SIZES)
@settings(max_examples=60, deadline=None)
def test_root_is_that_of_pymerkle(size: int) -> None:
    assert tlog.root(LEAVES[:size]) == _oracle().get_root(size)


def test_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert tlog.root(()).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tlog.root(LEAVES[:1]) == LEAVES[0]


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_inclusion_proof_is_that_of_pymerkle(size: int, choice: st.DataObject) -> None:
    index = choice.draw(st.integers(0, size - 1))
    theirs = _oracle().prove_inclusion(index + 1, size)
    assert [LEAVES[index], *tlog.inclusion_proof(LEAVES[:size], index)] == list(theirs.path)


@given(SIZES, SIZES)
@settings(max_examples=100, deadline=None)
def test_any_two_sizes_are_consistent_as_pymerkle_finds(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = tlog.consistency_proof(LEAVES[:new], old)
    roots = tlog.root(LEAVES[:old]), tlog.root(LEAVES[:new])
    assert tlog.verify_consistency(old, new, *roots, proof)
    pymerkle.verify_consistency(*roots, _oracle().prove_consistency(old, new))


def test_all_small_trees_prove_all_their_leaves_and_prefixes() -> None:
    for size in range(1, 34):
        root = tlog.root(LEAVES[:size])
        for at in range(size):
            assert tlog.verify_inclusion(LEAVES[at], at, size, tlog.inclusion_proof(LEAVES[:size], at), root)
        for old in range(size + 1):
            proof = tlog.consistency_proof(LEAVES[:size], old)
            assert tlog.verify_consistency(old, size, tlog.root(LEAVES[:old]), root, proof)


def _flips(hashes: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """Every list that differs from `hashes` in one bit."""
    altered = []
    for at, found in enumerate(hashes):
        for bit in range(256):
            flipped = bytearray(found)
            flipped[bit // 8] ^= 1 << bit % 8
            altered.append((*hashes[:at], bytes(flipped), *hashes[at + 1 :]))
    return altered


@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (7, 6), (8, 3), (13, 12)])
def test_any_flipped_bit_of_an_inclusion_proof_is_seen(size: int, index: int) -> None:
    root, proof = tlog.root(LEAVES[:size]), tlog.inclusion_proof(LEAVES[:size], index)
    for leaf, *path, top in _flips((LEAVES[index], *proof, root)):
        assert not tlog.verify_inclusion(leaf, index, size, path, top)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 7), (4, 8), (6, 13), (8, 8), (7, 8)])
def test_any_flipped_bit_of_a_consistency_proof_is_seen(old: int, new: int) -> None:
    roots, proof = (tlog.root(LEAVES[:old]), tlog.root(LEAVES[:new])), tlog.consistency_proof(LEAVES[:new], old)
    for first, *path, last in _flips((roots[0], *proof, roots[1])):
        assert not tlog.verify_consistency(old, new, first, last, path)


@given(SIZES, st.data())
@settings(max_examples=100, deadline=None)
def test_proof_for_another_place_size_or_length_is_refused(size: int, choice: st.DataObject) -> None:
    index = choice.draw(st.integers(0, size - 1))
    other = choice.draw(st.integers(-2, size + 3).filter(lambda i: i != index))
    root, proof = tlog.root(LEAVES[:size]), tlog.inclusion_proof(LEAVES[:size], index)
    assert not tlog.verify_inclusion(LEAVES[index], other, size, proof, root)
    assert not tlog.verify_inclusion(LEAVES[index], index, size, (*proof, root), root)
    if proof:
        assert not tlog.verify_inclusion(LEAVES[index], index, size, proof[:-1], root)
    bigger = tlog.root(LEAVES[: size - 1])
    assert not tlog.verify_inclusion(LEAVES[index], index, size, proof, bigger)


@given(SIZES, SIZES, st.data())
@settings(max_examples=100, deadline=None)
def test_consistency_with_another_history_is_refused(one: int, other: int, choice: st.DataObject) -> None:
    old, new = sorted((one, other))
    changed = list(LEAVES[:new])
    changed[choice.draw(st.integers(0, old - 1))] = tlog.leaf_hash(b"rewritten")
    proof = tlog.consistency_proof(changed, old)
    assert not tlog.verify_consistency(old, new, tlog.root(LEAVES[:old]), tlog.root(changed), proof)
    honest = tlog.consistency_proof(LEAVES[:new], old)
    roots = tlog.root(LEAVES[:old]), tlog.root(LEAVES[:new])
    assert not tlog.verify_consistency(old, new, *roots, (*honest, roots[0]))
    assert not (honest and tlog.verify_consistency(old, new, *roots, honest[:-1]))
    assert not tlog.verify_consistency(new + 1, new, *roots, honest)


def test_proof_of_another_depth_is_refused_though_its_hashes_fit() -> None:
    one, two, three, four = LEAVES[:4]
    pair = tlog.node_hash(one, two)
    assert tlog.verify_inclusion(one, 0, 2, (two,), pair)
    assert not tlog.verify_inclusion(one, 0, 3, (two,), pair), "too short for a tree of 3"
    assert not tlog.verify_inclusion(two, 0, 1, (one,), pair), "too long for a tree of 1"
    roots = tlog.root(LEAVES[:3]), tlog.root(LEAVES[:4])
    proof = tlog.consistency_proof(LEAVES[:4], 3)
    assert tlog.verify_consistency(3, 4, *roots, proof)
    assert not tlog.verify_consistency(3, 8, *roots, proof), "too short for a tree of 8"
    deeper = tlog.node_hash(four, roots[0]), tlog.node_hash(four, roots[1])
    assert not tlog.verify_consistency(3, 4, *deeper, (*proof, four)), "too long for a tree of 4"
    assert proof[0] == three


def test_out_of_range_asks_are_errors() -> None:
    with pytest.raises(IndexError):
        tlog.inclusion_proof(LEAVES[:3], 3)
    with pytest.raises(IndexError):
        tlog.consistency_proof(LEAVES[:3], 4)
    assert not tlog.verify_consistency(0, 3, LEAVES[0], tlog.root(LEAVES[:3]), ())
    assert not tlog.verify_consistency(-1, 3, LEAVES[0], tlog.root(LEAVES[:3]), ())


def test_checkpoint_opens_to_itself_beside_witnesses() -> None:
    checkpoint = tlog.Checkpoint(LOG.name, 3, tlog.root(LEAVES[:3]))
    raw = tlog.sign_checkpoint(checkpoint, LOG)
    assert tlog.open_checkpoint(raw, LOG.verifier) == checkpoint
    witness = "— witness.example/w1 AAAAAAAAAAAA\n".encode()
    assert tlog.open_checkpoint(raw + witness, LOG.verifier) == checkpoint
    with pytest.raises(ValueError, match="not signed by"):
        tlog.sign_checkpoint(tlog.Checkpoint("other.example/log", 0, tlog.EMPTY_ROOT), LOG)


ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"other.example/log\n0\n{ROOT}\n", "wrong_domain"),
        (f"dosong.example/log\n0\n{ROOT}\nextension\n", "wrong_domain"),
        (f"dosong.example/log\n00\n{ROOT}\n", "not_a_note"),
        (f"dosong.example/log\n-1\n{ROOT}\n", "not_a_note"),
        (f"dosong.example/log\n٣\n{ROOT}\n", "not_a_note"),
        (f"dosong.example/log\n99999999999999999\n{ROOT}\n", "not_a_note"),
        ("dosong.example/log\n0\nAAAA\n", "not_a_note"),
        (f"dosong.example/log\n0\n{ROOT[:-2]}V=\n", "not_a_note"),
    ],
)
def test_signed_text_that_is_no_checkpoint_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        tlog.open_checkpoint(note.sign(text.encode(), LOG), LOG.verifier)
    assert caught.value.reason == reason


PROOF = tlog.Proof(
    5,
    tlog.inclusion_proof(LEAVES[:11], 5),
    tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, 11, tlog.root(LEAVES[:11])), LOG),
)


def test_proof_file_reads_back_with_and_without_extra() -> None:
    raw = tlog.proof_text(PROOF)
    assert tlog.parse_proof(raw) == PROOF
    assert tlog.parse_proof(raw.replace(b"index", b"extra AAAA\nindex", 1)) == PROOF
    assert tlog.check_proof(ENTRIES[5], PROOF, LOG.verifier) == tlog.Checkpoint(LOG.name, 11, tlog.root(LEAVES[:11]))
    assert tlog.check_proof(ENTRIES[4], PROOF, LOG.verifier) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n",
        b"c2sp.org/tlog-proof@v2" + tlog.proof_text(PROOF)[22:],
        tlog.proof_text(PROOF).replace(b"index 5", b"index 05"),
        tlog.proof_text(PROOF).replace(b"index 5", b"index five"),
        tlog.proof_text(PROOF).replace(b"index 5\n", b""),
        tlog.proof_text(PROOF).replace(b"=\n", b"\n", 1),
        tlog.proof_text(PROOF).replace(b"index 5\n", b"index 5\nAAAA\n"),
        tlog.proof_text(PROOF).replace(b"index 5\n", b"index 5\n\xc3\xa9\n"),
        tlog.proof_text(PROOF).replace(b"index 5\n", b"index 5\n" + b"A" * 43 + b"=\n" * 64),
        b"x" * 40_000,
    ],
)
def test_malformed_proof_file_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        tlog.check_proof(ENTRIES[5], tlog.parse_proof(raw), LOG.verifier)


@given(st.integers(0, len(tlog.proof_text(PROOF)) * 8 - 1))
@settings(max_examples=300, deadline=None)
def test_any_flipped_bit_of_a_proof_file_is_seen(bit: int) -> None:
    raw = bytearray(tlog.proof_text(PROOF))
    raw[bit // 8] ^= 1 << bit % 8
    try:
        found = tlog.check_proof(ENTRIES[5], tlog.parse_proof(bytes(raw)), LOG.verifier)
    except Refused:
        return
    assert found is None
