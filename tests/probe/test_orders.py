"""What a signed configuration may change, and when its action is due: pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.orders import (
    ACTION_VALID_MS,
    Standing,
    due_action,
    fault,
    is_expired,
    kept_actions,
    months,
    server_address,
    summary,
)
from wire.notes import Config, ModemConfig
from wire.slots import month_bounds

NOW = month_bounds("2026_11")[0] + 86_400_000
CONFIG = Config(
    v=1,
    signed_ms=NOW,
    probe="p-test",
    rev=5,
    expires_ms=NOW + 90 * 86_400_000,
    site="site-1",
    referral="TN05755A",
    modems={"m1": ModemConfig(slots=308)},
    seeds={"2026_11": "1" * 64, "2026_12": "2" * 64},
)
KNOWN = Standing("p-test", ("m1", "m2"), 4, NOW, has_names=False)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"probe": "p-other"}, "p-other"),
        ({"rev": 4}, "not above 4"),
        ({"rev": 10_000_000}, "over 9999999"),
        ({"expires_ms": NOW}, "expired"),
        ({"modems": {"m3": ModemConfig(slots=1)}}, "names m3"),
        ({"modems": {"m1": ModemConfig(slots=300_000)}}, "cannot be run"),
        ({"seeds": {f"{year}_01": "1" * 64 for year in range(2026, 2060)}}, "more than 24 months"),
        ({"server": "point.example:7480"}, "engine.dns"),
        ({"server": "198.51.100.7"}, "host:port"),
        ({"server": "https://198.51.100.7:1/"}, "host:port"),
        ({"server": "http://198.51.100.7:99999"}, "server"),
        ({"server": "http://198.51.100.7/other"}, "path"),
    ],
)
def test_a_bad_one_is_refused_with_its_reason(changed: dict[str, object], says: str) -> None:
    why = fault(replace(CONFIG, **changed), KNOWN)
    assert why is not None
    assert says in why


def test_a_good_one_is_applied() -> None:
    assert fault(CONFIG, KNOWN) is None
    assert fault(replace(CONFIG, server="198.51.100.7:7480"), KNOWN) is None
    named = Standing("p-test", ("m1",), 4, NOW, has_names=True)
    assert fault(replace(CONFIG, server="http://point.example:7480/speedtest/upload.php"), named) is None


@given(st.text(max_size=60))
def test_a_server_is_an_address_and_a_port_or_refused(text: str) -> None:
    try:
        host, port = server_address(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


def test_a_config_has_no_place_for_a_trust_root() -> None:
    names = set(Config.__struct_fields__) | set(ModemConfig.__struct_fields__)
    assert not [name for name in names if "key" in name or "origin" in name or "broker" in name]


def test_months_have_their_own_seeds() -> None:
    november, december = months(CONFIG, CONFIG.modems["m1"])
    assert (november.start_ms, november.end_ms) == month_bounds("2026_11")
    assert (december.count, december.seed) == (308, b"\x22" * 32)


def test_expiry_needs_a_trusted_clock() -> None:
    assert not is_expired(CONFIG, None)
    assert not is_expired(CONFIG, CONFIG.expires_ms - 1)
    assert is_expired(CONFIG, CONFIG.expires_ms)


def test_an_action_is_due_once_within_a_day_and_by_a_trusted_clock() -> None:
    asked = replace(CONFIG, action="test", action_id="visit-0001")
    due = due_action(asked, (), NOW + 5)
    assert due is not None
    assert (due.action, due.action_id, due.is_late) == ("test", "visit-0001", False)
    assert due_action(asked, ("visit-0001",), NOW + 5) is None, "done before"
    assert due_action(asked, (), None) is None, "it may be too late: wait for the clock"
    assert due_action(CONFIG, (), NOW) is None
    assert due_action(None, (), NOW) is None
    late = due_action(asked, (), NOW + ACTION_VALID_MS)
    assert late is not None
    assert late.is_late
    short = due_action(replace(asked, expires_ms=NOW + 10), (), NOW + 10)
    assert short is not None
    assert short.is_late


def test_ids_of_done_actions_are_bounded() -> None:
    done: tuple[str, ...] = ()
    for number in range(100):
        done = kept_actions(done, f"action-{number}")
    assert done[-1] == "action-99"
    assert len(done) == 32


def test_a_summary_fits_an_event() -> None:
    many = replace(CONFIG, modems={f"m{n}": ModemConfig(slots=100_000) for n in (1, 2, 3, 4)})
    assert "m1 308 slots a month; seeds 2026_11 to 2026_12" in summary(CONFIG)
    assert 1 <= len(summary(many)) <= 128
    assert summary(replace(CONFIG, modems={}, seeds={})) == "no modem named; no seeds"
