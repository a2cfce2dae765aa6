"""What a check of the modem's link found, and the cause that follows: why a registered modem reaches nothing.

Our own server is never mistaken for the network: only where an independent target is silent too does the blame leave
our point. What a portal says is not trusted: it only tells the causes of the SIM apart.
Source: design §8 (coverage of a minute); facts note 05 §4 (captive-portal check in three parts, registered without
data); RFC 6761 and RFC 8020 (names that do not exist).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wire.failure import Cause

Interface = Literal["missing", "no_bearer", "up"]
Names = Literal["right", "lie", "silent"]
Web = Literal["exact", "other", "refused", "silent", "no_name"]
Tls = Literal["ok", "foreign", "bad_time", "reset", "refused", "silent", "no_name"]

EXPIRED_WORDS = ("het han", "hethan", "gia han", "giahan", "expired", "renew")
EXHAUSTED_WORDS = ("het dung luong", "hetdungluong", "het data", "hetdata", "nap the", "napthe", "top up", "topup")
"""Words of a top-up page, without their marks. They only choose between causes that are all the SIM's."""


@dataclass(frozen=True, slots=True)
class LookRequest:
    """What to look at. None or empty: that part is left out. Addresses are (host, port); `echo` and `others` literal.

    `web`: our point's HTTP port. `broker`: with the deployment's CA and the probe's certificate and key.
    """

    interface: str
    echo: tuple[str, int] | None = None
    web: tuple[str, int] | None = None
    dns: tuple[str, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    broker: tuple[str, int] | None = None
    broker_files: tuple[str, str, str] = ("", "", "")
    stops_early: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What one check found; None: it was not asked, or need not be.

    `echo`: whether our point's echo answered again. `names`: a name that does not exist was denied ("right"), given an
    address ("lie"), or nobody answered. `web`: our point's known page came byte for byte ("exact"), something else came
    ("other", with `said`: its address and beginning), the connection was refused, or nothing came. `tls`: the broker's
    certificate was right, another's ("foreign"), or wrong only for the time ("bad_time"). `others`: whether any
    independent target answered.
    """

    interface: Interface = "up"
    echo: bool | None = None
    names: Names | None = None
    web: Web | None = None
    said: str = ""
    tls: Tls | None = None
    others: bool | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of the SIM's plan at the time of the check; None: unknown, or the clock is not trusted.

    `ends_ms`: end of the paid time (UTC). `data_bytes`: what the plan holds, `used_bytes`: what this period used.
    """

    now_ms: int | None = None
    ends_ms: int | None = None
    data_bytes: int | None = None
    used_bytes: int | None = None

    @property
    def has_ended(self) -> bool:
        """True if the paid time is over."""
        return self.now_ms is not None and self.ends_ms is not None and self.now_ms >= self.ends_ms

    @property
    def is_used_up(self) -> bool:
        """True if what was used reaches what the plan holds, less what kernel and operator count differently."""
        if self.data_bytes is None or self.used_bytes is None:
            return False
        return self.used_bytes * 100 >= self.data_bytes * 98


def cause_of(found: Findings, plan: Plan) -> Cause | None:
    """Say why the link does not reach what it should; None if it does, or if nothing was asked."""
    if found.interface != "up":
        return Cause.NO_INTERFACE if found.interface == "missing" else Cause.NO_PDP
    if _is_portal(found):
        return _of_sim(found, plan) or Cause.CAPTIVE
    is_reached = found.web == "exact" or found.others is True or found.tls in ("ok", "bad_time")
    if found.echo is False and is_reached:
        return Cause.SERVER_DOWN if found.web in ("exact", "refused") else Cause.SERVER_UNREACHABLE
    if found.echo or is_reached or (found.echo, found.web, found.others) == (None, None, None):
        return _beside_the_echo(found, plan)
    return _silence(found, plan)


def _is_portal(found: Findings) -> bool:
    """Something stands between us and the world. A lie about a name alone is none while our page comes whole."""
    if found.web == "exact":
        return False
    return found.web == "other" or found.names == "lie" or found.tls == "foreign"


def _of_sim(found: Findings, plan: Plan) -> Cause | None:
    """Which of the SIM's causes: what we know of the plan goes before what a page says."""
    if plan.has_ended:
        return Cause.PLAN_EXPIRED
    if plan.is_used_up:
        return Cause.DATA_EXHAUSTED
    said = found.said.lower().replace("-", " ").replace("_", " ")
    if any(word in said for word in EXHAUSTED_WORDS):
        return Cause.DATA_EXHAUSTED
    return Cause.PLAN_EXPIRED if any(word in said for word in EXPIRED_WORDS) else None


def _beside_the_echo(found: Findings, plan: Plan) -> Cause | None:
    """The link reaches the internet: what else may be missing for names or records."""
    if found.names == "silent" or "no_name" in (found.web, found.tls):
        return Cause.NO_DNS
    if found.tls in (None, "ok"):
        return None
    return Cause.CLOCK if found.tls == "bad_time" and plan.now_ms is None else Cause.BROKER_UNREACHABLE


def _silence(found: Findings, plan: Plan) -> Cause:
    """Nothing answers. Without an independent target nobody is blamed: the echo is lost, that is all that is known."""
    if sim := _of_sim(found, plan):
        return sim
    if found.names == "silent" and found.others is None and found.web == "no_name":
        return Cause.NO_DNS
    return Cause.NO_INTERNET if found.others is False else Cause.ECHO_LOST


_OF_THE_SIM = frozenset({Cause.PLAN_EXPIRED, Cause.DATA_EXHAUSTED, Cause.PLAN_THROTTLED, Cause.CAPTIVE})
_OF_THE_WAY = frozenset({Cause.SERVER_DOWN, Cause.SERVER_UNREACHABLE, Cause.NO_INTERNET})
_SAYS_LITTLE = frozenset(
    {
        *(Cause.TIMEOUT, Cause.RESET, Cause.CUT_OFF, Cause.ECHO_LOST),
        *(Cause.SERVER_UNREACHABLE, Cause.SERVER_ERROR, Cause.NO_INTERNET),
    }
)
_LOOKS_OTHERWISE = frozenset({Cause.CAPTIVE, Cause.NO_DNS, Cause.NO_IPV4})


def is_open(cause: str | None) -> bool:
    """Whether a test's cause leaves open what ails the link, so that a look at it is worth its bytes."""
    return cause in _SAYS_LITTLE or cause in _LOOKS_OTHERWISE


def explained(cause: str | None, link: Cause | None) -> str | None:
    """Why a test failed, given what is known of its link: an engine sees a time-out where the link's look saw why.

    A cause that says more by itself stays, and so does None: a test that succeeded has none.
    """
    if cause == Cause.SERVER_UNREACHABLE and link is Cause.NO_INTERNET:
        return cause  # it was refused: something answered, so packets do come through
    if cause in _SAYS_LITTLE and link in _OF_THE_SIM | _OF_THE_WAY and link is not None:
        return link.value
    return link.value if cause in _LOOKS_OTHERWISE and link in _OF_THE_SIM and link is not None else cause
