"""A file of signed records that travels without a network: one line that says what it holds, then messages.

    dosong-export/v1 <origin> <probe> <messages> <SHA-256 of what follows, hex> LF
    then each message as it would go over MQTT, behind its length (big-endian, 16 bits)

The line finds what a stick or a phone did to the file; what makes the records believable is each one's own signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from wire import bundle
from wire.errors import Refused

MAGIC = "dosong-export/v1"
MAX_BYTES = 1_000_000
"""What a program writes into one file; READ_BYTES is what a reader takes."""
READ_BYTES = 8_000_000
_HEAD = re.compile(rb"dosong-export/v1 ([A-Za-z0-9.-]{1,64}) ([a-z0-9][a-z0-9-]{2,31}) ([0-9]{1,7}) ([0-9a-f]{64})\n")
_PLACE = re.compile(rb'"epoch":([0-9]{1,7})[,}].*"seq":([0-9]{1,12})[,}]')
_MOST_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Messages of one probe (`wire.bundle`), in the order in which they are to be taken."""

    probe: str
    origin: str
    messages: tuple[bytes, ...]

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(epoch, seq) of each record that says where it stands, unverified. Receipts between them have no place."""
        entries = (entry for message in self.messages for entry in bundle.frames(message))
        found = (_PLACE.search(entry) for entry in entries)
        return tuple((int(match[1]), int(match[2])) for match in found if match is not None)

    @property
    def digest(self) -> str:
        """SHA-256 of the framed messages, hex."""
        return sha256(_framed(self.messages)).hexdigest()


def encode(file: ExportFile) -> bytes:
    """The file's bytes. Raises ValueError if a message is empty or too long."""
    framed = _framed(file.messages)
    head = f"{MAGIC} {file.origin} {file.probe} {len(file.messages)} {sha256(framed).hexdigest()}\n"
    return head.encode() + framed


def decode(content: bytes) -> ExportFile:
    """Take a file apart. Raises Refused("bad_bundle") with what is wrong: no export, cut short, damaged."""
    head = _HEAD.match(content[:_MOST_HEAD_BYTES])
    if head is None:
        raise Refused("bad_bundle", "this is no export of dosong-probe: its first line does not say so")
    framed = content[head.end() :]
    if len(framed) > READ_BYTES:
        raise Refused("bad_bundle", f"{len(framed)} bytes; an export file has at most {READ_BYTES}")
    if sha256(framed).hexdigest().encode() != head[4]:
        raise Refused("bad_bundle", "it is damaged or cut short: its check sum does not match; copy it again")
    messages = tuple(bundle.frames(framed))
    for message in messages:
        bundle.decode(message)
    if len(messages) != int(head[3]):
        raise Refused("bad_bundle", f"it holds {len(messages)} messages and says {int(head[3])}; export it again")
    return ExportFile(head[2].decode(), head[1].decode(), messages)


def _framed(messages: tuple[bytes, ...]) -> bytes:
    if not all(1 <= len(message) <= bundle.MAX_BYTES for message in messages):
        raise ValueError(f"a message has 1 to {bundle.MAX_BYTES} bytes")
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)
