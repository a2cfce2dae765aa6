"""One line of the audit trail as bytes: who did what to what, when. These bytes are a leaf of the log.

The form is that of a note without a signature: a domain line, one line of canonical JSON. The log's own signature
covers it. It holds names of accounts and codes of units, never a password, a token, an address or what somebody typed.
Source: issue 6, accounts; SPEC.md (canonical JSON).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from wire import canon
from wire.errors import Refused

TYPE = "audit"
_WORD = re.compile(r"[a-z][a-z0-9_.]{0,47}")
_ACTOR = re.compile(r"[a-z0-9-][a-z0-9 ._-]{0,47}")
_TARGET = re.compile(r"[A-Za-z0-9_. /-]{0,120}")


@dataclass(frozen=True, slots=True)
class Deed:
    """One line. `number`: how many (failed logins), or the answer's status; None where neither is meant."""

    n: int
    at_ms: int
    actor: str
    role: str
    what: str
    target: str = ""
    number: int | None = None


def first_line(origin: str) -> str:
    """The domain line of an audit leaf."""
    return f"{origin}/{TYPE}/v1"


def leaf_bytes(origin: str, deed: Deed) -> bytes:
    """The bytes of one line. Raises Refused("not_canonical") for what no such line may hold."""
    fits = _WORD.fullmatch(deed.what) and _ACTOR.fullmatch(deed.actor) and _TARGET.fullmatch(deed.target)
    if not fits or (deed.role and _WORD.fullmatch(deed.role) is None):
        raise Refused("not_canonical", "actor, role, what or target of an audit line")
    body: dict[str, object] = {"v": 1, "n": deed.n, "at_ms": deed.at_ms, "actor": deed.actor, "what": deed.what}
    optional = {"role": deed.role or None, "target": deed.target or None, "number": deed.number}
    body.update({key: value for key, value in optional.items() if value is not None})
    return f"{first_line(origin)}\n".encode() + canon.encode(body) + b"\n"


def is_leaf(origin: str, raw: bytes) -> bool:
    """Whether bytes are an audit leaf of this deployment."""
    head = f"{first_line(origin)}\n".encode()
    if not raw.startswith(head) or not raw.endswith(b"\n"):
        return False
    try:
        canon.decode(raw[len(head) : -1])
    except Refused:
        return False
    return True


def head_of(raw: bytes) -> tuple[int, int, str]:
    """Number, time (UTC ms) and actor of an audit leaf. Raises Refused if it is none."""
    body = canon.decode(raw.split(b"\n", 2)[1])
    n, at_ms, actor = body.get("n"), body.get("at_ms"), body.get("actor")
    if not isinstance(n, int) or not isinstance(at_ms, int) or not isinstance(actor, str):
        raise Refused("schema", "an audit line has n, at_ms and actor")
    return n, at_ms, actor


def plain_target(text: str) -> str:
    """A target as it may stand in a line: codes and ids as they are, anything else left out."""
    return "".join(char for char in text if _TARGET.fullmatch(char))[:120]
