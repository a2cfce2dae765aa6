"""The line to the enrolment door: HTTPS that trusts the deployment's root alone, by one interface if asked to.

Source: `wire.enrolment`.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from probe.devices.bound import bind_to
from wire.enrolment import LATER, PREFIX, Reason, Refusal
from wire.errors import Misconfigured, Refused, Unavailable

TIMEOUT_S = 30.0
MOST_BYTES = 128 * 1024
T = TypeVar("T")
_REMEDY: dict[str, str] = {
    "claim_unknown": "the claim is none of this deployment's; ask the office for a new one",
    "claim_used": "another device was enrolled with this claim: tell the office at once, then ask for a new one",
    "claim_void": "the office made a newer claim for this probe; use that one",
    "claim_expired": "the claim is older than 90 days; ask the office for a new one",
    "claim_not_armed": "the office must arm the claim first: dosong-provision arm; then do this again",
    "probe_revoked": "this probe was revoked by the office; a new claim with another id is needed",
    "probe_unknown": "the office does not know this probe; ask for a new claim",
    "too_often": "wait a while, then do this again",
    "nonce_unknown": "do this again",
    "busy": "do this again in a minute",
    "unavailable": "do this again in a minute; if it stays so, tell the office",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Where the door is (`https://host:port`), whom it is believed by (root, PEM), and by which interface to go."""

    url: str
    root: str
    interface: str | None = None

    def ask(self, what: str, body: msgspec.Struct | None, shape: type[T]) -> T:
        """Put one question. Raises Refused if it is answered with no, Unavailable if later may work."""
        raw = self._post(f"{PREFIX}/{what}", b"" if body is None else msgspec.json.encode(body))
        try:
            if "error" in msgspec.json.decode(raw, type=dict[str, object]):
                refusal = msgspec.json.decode(raw, type=Refusal)
                raise _refused(refusal.error, refusal.detail)
            return msgspec.json.decode(raw, type=shape)
        except msgspec.DecodeError as error:
            raise Unavailable(f"what listens at {self.url} is no enrolment door; correct url in the claim") from error

    def _post(self, path: str, body: bytes) -> bytes:
        host = urlsplit(self.url)
        try:
            context = ssl.create_default_context(cadata=self.root)
        except ssl.SSLError as error:
            raise Misconfigured("the root certificate is damaged; ask the office for a new claim") from error
        connection = _Bound(host.hostname or "", host.port or 443, timeout=TIMEOUT_S, context=context)
        connection.interface = self.interface
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", "Connection": "close"})
            return connection.getresponse().read(MOST_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"{self.url} shows a certificate that the deployment's root does not vouch for"
                f" ({error.verify_message}); check this machine's clock, then whether another server answers there"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self.url} cannot be reached ({error}); check the link, then do this again") from error
        finally:
            connection.close()


class _Bound(http.client.HTTPSConnection):
    """HTTPS whose socket is bound to an interface before it connects."""

    interface: str | None = None

    def connect(self) -> None:
        self._create_connection = self._open
        super().connect()

    def _open(self, address: tuple[str, int], timeout: float, _source: object = None) -> socket.socket:
        if self.interface is None:
            return socket.create_connection(address, timeout)
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                bind_to(sock, self.interface)
                sock.settimeout(timeout)
                sock.connect(found)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem


def _refused(reason: Reason, detail: str) -> Exception:
    remedy = _REMEDY.get(reason, f"{detail}; tell the office")
    return Unavailable(f"{reason}: {remedy}") if reason in LATER else Refused(reason, remedy)
