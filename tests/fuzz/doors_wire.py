"""Doors of the contract: what both sides and every verifier read."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256

from tests.fuzz.door import Door
from tests.wire import make_golden
from tests.wire.hostile import HOSTILE
from wire import audit, bundle, canon, codec, cosign, exportfile, keyfile, note, notes, packcheck, plain, tlog, topics
from wire.errors import Misconfigured, Refused

ORIGIN, PROBE = make_golden.ORIGIN, make_golden.PROBE
SIGNER = make_golden.signer(f"probe/{PROBE}")
LOG = make_golden.signer("log")
CHAIN = make_golden.chain()
RECORDS = list(CHAIN.values())
BODIES = [codec.body_of(raw) for raw in RECORDS]
HOSTILE_BODIES = [body for body, _ in HOSTILE.values() if len(body) < 8_000]
KINDS = tuple(notes._TYPE_OF)
WITNESS_KEY = make_golden.signer("witness")
WITNESS = cosign.Witness(WITNESS_KEY.verifier.name, WITNESS_KEY.verifier.public)


def signed(first: bytes, body: bytes, signer: note.Signer = SIGNER) -> bytes:
    """Any bytes under a first line, rightly signed."""
    text = first + b"\n" + body + b"\n"
    name = signer.verifier.name.encode()
    value = b64encode(signer.verifier.key_id + signer.sign_text(text))
    return text + b"\n\xe2\x80\x94 " + name + b" " + value + b"\n"


def _bundle(given: bytes) -> None:
    assert bundle.encode(bundle.decode(given)) == given


def _canon(given: bytes) -> None:
    assert canon.encode(canon.decode(given)) == given


def _body(given: bytes) -> None:
    record = codec.decode_body(given)
    assert codec.body_of(codec.seal(record, ORIGIN, make_golden.signer(f"probe/{record.probe}"))) == given


def _record(given: bytes) -> None:
    opened = codec.open_record(given, ORIGIN, PROBE, SIGNER.verifier)
    assert opened.raw == given
    assert (opened.record is None) == (opened.fault is not None)


def _signed_record(given: bytes) -> None:
    """Whoever holds a probe's key can sign anything: what is authentic is never an error, only refused."""
    try:
        raw = signed(f"{ORIGIN}/sample/v1".encode(), given)
        opened = codec.open_record(raw, ORIGIN, PROBE, SIGNER.verifier)
    except Refused as refused:
        assert refused.reason in {"too_big", "not_a_note", "wrong_domain", "bad_signature"}  # noqa: PT017
        return
    seen = codec.see(raw, ORIGIN, PROBE, SIGNER.verifier)
    assert seen is not None
    if opened.record is not None:
        assert codec.body_of(raw) == given


def _split(given: bytes) -> None:
    taken = note.split(given)
    lines = b"".join(
        b"\xe2\x80\x94 " + one.name.encode() + b" " + b64encode(one.key_id + one.value) + b"\n"
        for one in taken.signatures
    )
    assert taken.text + b"\n" + lines == given


def _vkey(given: bytes) -> None:
    text = given.decode("utf-8", "replace")
    assert note.parse_vkey(text).vkey == text.strip()


def _note(given: bytes) -> None:
    """The first byte chooses the kind; the rest is its body, rightly signed."""
    shape = KINDS[(given[0] if given else 0) % len(KINDS)]
    raw = signed(f"{ORIGIN}/{notes._TYPE_OF[shape]}/v1".encode(), given[1:])
    notes.open_note(raw, shape, ORIGIN, SIGNER.verifier)


def _checkpoint(given: bytes) -> None:
    first, _, rest = given.partition(b"\n")
    raw = signed(first, rest, LOG)
    found = tlog.open_checkpoint(raw, LOG.verifier)
    assert tlog.checkpoint_text(found) == raw[: raw.rindex(b"\n\n") + 1]


def _proof(given: bytes) -> None:
    proof = tlog.parse_proof(given)
    tlog.check_proof(RECORDS[0], proof, LOG.verifier)


def _cosigned(given: bytes) -> None:
    cosign.verify(given, [WITNESS])


def _witness(given: bytes) -> None:
    cosign.parse_witness(given.decode("utf-8", "replace"))


def _export(given: bytes) -> None:
    """With the check sum put right, or the door would open to nobody."""
    head, mark, framed = given.partition(b"\n")
    words = head.split(b" ")
    words[-1] = sha256(framed).hexdigest().encode()
    exportfile.decode(b" ".join(words) + mark + framed)


def _topic(given: bytes) -> None:
    text = given.decode("utf-8", "replace")
    if text.startswith("dosong/v1/status"):
        assert topics.status(topics.parse_status(text)) == text
    else:
        assert topics.up(topics.parse_up(text)) == text


def _head(given: bytes) -> None:
    plain.read_head(given, PROBE)


def _entries(given: bytes) -> None:
    """A whole audit of a file from anybody: `dosong-verify` on tiles, bundles, JSON lines and notes."""
    keys = audit.read_keys([SIGNER.verifier.vkey])
    audit.audit(audit.read_entries("x", given), keys, codec.see)


def _key_text(given: bytes) -> None:
    keyfile.read_verifier(given.decode("utf-8", "replace"), "here")


_MANIFEST = {"format": packcheck.FORMAT, "level": "commune", "unit": "05755", "start_ms": 0, "end_ms": 10**13,
             "figures": {}, "files": {}}  # fmt: skip
_REGISTRY: dict[str, object] = {"places": {}, "referrals": {}, "simulated": []}
_LINES = b"".join(
    json.dumps({"raw": b64encode(raw).decode(), "received_ms": 1, "n": number}).encode() + b"\n"
    for number, raw in enumerate(RECORDS[:3])
)
_PACK = {
    packcheck.MANIFEST: json.dumps(_MANIFEST).encode(), packcheck.REGISTRY: json.dumps(_REGISTRY).encode(),
    packcheck.RECORDS: _LINES, packcheck.SAMPLES: ",".join(packcheck.SAMPLE_COLUMNS).encode() + b"\n",
    packcheck.FIGURES: ",".join(packcheck.FIGURE_COLUMNS).encode() + b"\n",
    packcheck.MINUTES: ",".join(packcheck.MINUTE_COLUMNS).encode() + b"\n",
    packcheck.PROBE_KEYS: SIGNER.verifier.vkey.encode() + b"\n",
}  # fmt: skip


def _pack(given: bytes) -> None:
    """The first byte chooses the file of the pack that was replaced."""
    name = list(_PACK)[(given[0] if given else 0) % len(_PACK)]
    files = {**_PACK, name: given[1:]}
    if not packcheck.is_pack(files):
        return
    opened = packcheck.open_pack(files)
    keys = audit.read_keys(
        [line for line in files[packcheck.PROBE_KEYS].decode("utf-8", "replace").splitlines() if line]
    )
    outcome = audit.audit(opened.entries, keys, codec.see)
    packcheck.recheck(opened, outcome.chains, {})


def _pack_seeds() -> list[bytes]:
    return [bytes([number]) + raw for number, raw in enumerate(_PACK.values())]


def _note_seeds() -> list[bytes]:
    good = [
        bytes([KINDS.index(type(obj))]) + notes.seal(obj, ORIGIN, make_golden.signer(key)).split(b"\n")[1]
        for key, obj in make_golden.statements().values()
    ]
    return good + [bytes([number]) + body for number, body in enumerate(HOSTILE_BODIES)]


CHECKPOINT = b"x/log\n3\nfdoZmf6MUg+3hysHrRLFwememwb7ssY2GayovKzZWsc=".replace(b"x/log", LOG.verifier.name.encode())
EXPORT = exportfile.encode(exportfile.ExportFile(PROBE, ORIGIN, (bundle.encode(RECORDS[:2]),)))
PROOF = tlog.PROOF_HEADER.encode() + b"\nindex 0\n\n" + signed(*CHECKPOINT.split(b"\n", 1), LOG)

DOORS = (
    Door("bundle", _bundle, (Refused,), [bundle.encode(RECORDS), bundle.encode(RECORDS[:1]), b"\x00\x00"]),
    Door("canon", _canon, (Refused,), [*BODIES[:3], *HOSTILE_BODIES]),
    Door("record-body", _body, (Refused,), [*BODIES, *HOSTILE_BODIES]),
    Door("record", _record, (Refused,), [*RECORDS, signed(b"x/ack/v1", b"{}")]),
    Door("record-signed", _signed_record, (), [*BODIES, *HOSTILE_BODIES]),
    Door("record-head", _head, (), [*BODIES, *HOSTILE_BODIES]),
    Door("note", _split, (Refused,), [*RECORDS[:2], signed(*CHECKPOINT.split(b"\n", 1), LOG)]),
    Door("note-signed", _note, (Refused,), _note_seeds()),
    Door("vkey", _vkey, (Refused,), [SIGNER.verifier.vkey.encode(), LOG.verifier.vkey.encode()]),
    Door("key-of-settings", _key_text, (Misconfigured,), [SIGNER.verifier.vkey.encode()]),
    Door("witness-key", _witness, (Refused,), [WITNESS.vkey.encode(), SIGNER.verifier.vkey.encode()]),
    Door("cosigned", _cosigned, (Refused,), [signed(*CHECKPOINT.split(b"\n", 1), WITNESS_KEY), RECORDS[0]]),
    Door("checkpoint", _checkpoint, (Refused,), [CHECKPOINT]),
    Door("proof", _proof, (Refused,), [PROOF]),
    Door("export", _export, (Refused,), [EXPORT]),
    Door("topic", _topic, (Refused,), [topics.up(PROBE).encode(), topics.status(PROBE).encode()]),
    Door("audit", _entries, (Refused,), [_LINES, bundle.encode(RECORDS), RECORDS[0], b'{"raw":"AA=="}\n']),
    Door("pack", _pack, (Refused,), _pack_seeds()),
)
