"""Time-based one-time passwords: RFC 6238 over HMAC-SHA-1, six digits, 30 seconds, as every authenticator app does.

Pure: the caller brings the clock and remembers the last step that was used, so that no code is taken twice.
Source: RFC 6238 §4, appendix B (vectors); RFC 4226 §5.3 (truncation).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
DRIFT = 1
"""Steps by which a phone's clock may be off, either way."""


def code(secret: bytes, step: int, digits: int = DIGITS, digest: str = "sha1") -> str:
    """The code of one step: digits with leading zeros. `digest`: sha1 as apps use it, sha256 or sha512."""
    made = hmac.new(secret, struct.pack(">Q", step), getattr(hashlib, digest)).digest()
    at = made[-1] & 0x0F
    number = struct.unpack(">I", made[at : at + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


def matching_step(secret: bytes, given: str, now_ms: int, last_step: int | None) -> int | None:
    """The step whose code `given` is; None if it is none, or one that is not later than `last_step`.

    Every step of the window is compared, in constant time each.
    """
    now = now_ms // 1000 // STEP_S
    found = None
    for step in range(max(0, now - DRIFT), now + DRIFT + 1):
        if hmac.compare_digest(code(secret, step), given) and (last_step is None or step > last_step):
            found = step
    return found


def base32(secret: bytes) -> str:
    """The secret as people type it into an app."""
    return base64.b32encode(secret).decode().rstrip("=")


def address(secret: bytes, name: str, issuer: str) -> str:
    """The `otpauth:` address that the enrolment's QR code holds (Key URI Format)."""
    asked = urlencode({"secret": base32(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_S}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?{asked}"
