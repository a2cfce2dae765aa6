"""Cosignatures: the example of the specification, published keys, and every single alteration."""

from __future__ import annotations

import pytest

from wire import cosign, note, tlog
from wire.errors import Refused

# The example of C2SP tlog-cosignature, word for word; its time is that of the specification's signed message.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501
SIGNED = b"""\
cosignature/v1
time 1679315147
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""
# A key that others published: its id must follow from its name and bytes.
PUBLISHED = "witness.example.org/w1+257cc7f1+BGG3op9v3HIXXDPBmFc/0CioJHhGCXc+pyvvFPlBZdYO"
LOG = note.Signer.from_seed("dosong.example/log/2026", bytes(32))
W1 = note.Signer.from_seed("witness.example/w1", bytes([1]) * 32)
KEY = cosign.Witness(W1.name, W1.verifier.public)
CHECKPOINT = tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, 7, bytes(32)), LOG)
TEXT = note.split(CHECKPOINT).text


def test_the_example_of_the_specification_reads_as_it_says() -> None:
    taken = note.split(EXAMPLE.encode())
    assert cosign.message(taken.text, 1679315147) == SIGNED
    assert cosign.names(EXAMPLE.encode(), "example.com/behind-the-sofa") == [("witness.example.com/w1", 1679315147)]


def test_a_published_key_reads_and_writes_as_it_was() -> None:
    assert cosign.parse_witness(PUBLISHED).vkey == PUBLISHED
    assert cosign.parse_witness(KEY.vkey) == KEY
    for broken in (PUBLISHED.replace("257c", "257d"), LOG.verifier.vkey, "x", PUBLISHED[:-4]):
        with pytest.raises(Refused, match="bad_key"):
            cosign.parse_witness(broken)


def test_a_cosigned_checkpoint_is_still_the_logs_and_says_who_saw_it_when() -> None:
    cosigned = CHECKPOINT + cosign.cosign(TEXT, W1, 1_790_000_000)
    assert tlog.open_checkpoint(cosigned, LOG.verifier).size == 7
    (found,) = cosign.verify(cosigned, [KEY])
    assert (found.name, found.time_s) == ("witness.example/w1", 1_790_000_000)
    assert CHECKPOINT + found.line == cosigned
    assert cosign.verify(CHECKPOINT, [KEY]) == []


def test_every_altered_byte_of_a_cosignature_is_refused() -> None:
    (line,) = (s for s in note.split(CHECKPOINT + cosign.cosign(TEXT, W1, 5)).signatures if s.name == W1.name)
    for at in range(len(line.value)):
        value = bytearray(line.value)
        value[at] ^= 1
        changed = cosign._checked
        with pytest.raises(Refused, match="bad_signature"):
            changed(TEXT, KEY, [note.Signature(line.name, line.key_id, bytes(value))])
    other = cosign.cosign(TEXT.replace(b"\n7\n", b"\n8\n"), W1, 5)
    for false in (other, cosign.cosign(TEXT, W1, 5) * 2):
        with pytest.raises(Refused, match="bad_signature"):
            cosign.verify(CHECKPOINT + false, [KEY])
