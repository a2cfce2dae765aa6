"""Verdicts of the path proof, as a table."""

from __future__ import annotations

import pytest

from probe.core.path import LinkCounters, PathProof, judge

PAYLOAD = 10_000_000


def _links(*rows: tuple[str, int, int, int]) -> tuple[LinkCounters, ...]:
    return tuple(LinkCounters(iface, index, rx, tx, up=True) for iface, index, rx, tx in rows)


BEFORE = _links(("lo", 1, 500, 500), ("wwan0", 3, 1_000, 2_000), ("wlan0", 4, 70_000, 80_000))


def _after(
    wwan: tuple[int, int] = (0, 0), wlan: tuple[int, int] = (0, 0), lo: int = 0, index: int = 3
) -> tuple[LinkCounters, ...]:
    return _links(
        ("lo", 1, 500 + lo, 500 + lo),
        ("wwan0", index, 1_000 + wwan[0], 2_000 + wwan[1]),
        ("wlan0", 4, 70_000 + wlan[0], 80_000 + wlan[1]),
    )


FULL = (PAYLOAD + 500_000, PAYLOAD + 500_000)

CASES = [
    ("all by the modem", _after(FULL), PAYLOAD, PAYLOAD, "ok"),
    ("loopback does not count as another way", _after(FULL, lo=PAYLOAD), PAYLOAD, PAYLOAD, "ok"),
    ("exactly the payload", _after((PAYLOAD, PAYLOAD)), PAYLOAD, PAYLOAD, "ok"),
    ("downlink only", _after((PAYLOAD, 90_000)), PAYLOAD, 0, "ok"),
    ("others just below 2 %", _after(FULL, (399_999, 0)), PAYLOAD, PAYLOAD, "ok"),
    ("others at 2 %", _after(FULL, (200_000, 200_000)), PAYLOAD, PAYLOAD, "invalid_isolation"),
    ("all by the Wi-Fi", _after((0, 0), FULL), PAYLOAD, PAYLOAD, "invalid_path"),
    ("one byte short in downlink", _after((PAYLOAD - 1, PAYLOAD)), PAYLOAD, PAYLOAD, "invalid_path"),
    ("one byte short in uplink", _after((PAYLOAD, PAYLOAD - 1)), PAYLOAD, PAYLOAD, "invalid_path"),
    ("uplink by the Wi-Fi", _after((PAYLOAD, 60_000), (60_000, PAYLOAD)), PAYLOAD, PAYLOAD, "invalid_path"),
    ("modem came back as another device", _after(FULL, index=9), PAYLOAD, PAYLOAD, "invalid_path"),
    ("modem gone", _links(("lo", 1, 500, 500), ("wlan0", 4, 70_000, 80_000)), PAYLOAD, 0, "invalid_path"),
    ("no payload, all quiet", _after((3_000, 3_000), (65_536, 65_536)), 0, 0, "ok"),
    ("no payload, others busy", _after((0, 0), (65_537, 0)), 0, 0, "invalid_isolation"),
    ("no payload, modem gone", _links(("wlan0", 4, 70_000, 80_000)), 0, 0, "ok"),
    (
        "another link appeared and carried it",
        (*_after(FULL), *_links(("usb0", 7, 900_000, 0))),
        PAYLOAD,
        PAYLOAD,
        "invalid_isolation",
    ),
]


@pytest.mark.parametrize(
    ("after", "rx", "tx", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_judge_gives_the_verdict(after: tuple[LinkCounters, ...], rx: int, tx: int, verdict: str) -> None:
    assert judge(BEFORE, after, "wwan0", rx, tx, expected_modem=True).verdict == verdict


def test_loopback_mode_is_never_a_valid_path() -> None:
    after = _after(lo=FULL[0])
    assert judge(BEFORE, after, "lo", PAYLOAD, PAYLOAD, expected_modem=False).verdict == "invalid_path"
    assert judge(BEFORE, after, "lo", PAYLOAD, PAYLOAD, expected_modem=True).verdict == "invalid_path"
    assert judge(BEFORE, after, "lo", 0, 0, expected_modem=True).verdict == "invalid_path"


def test_judge_reports_the_bytes_it_rests_on() -> None:
    proof = judge(BEFORE, _after((11, 22), (33, 44), lo=99), "wwan0", 11, 22, expected_modem=True)
    assert proof == PathProof("invalid_isolation", 11, 22, 33, 44, ifindex_changed=False)


def test_judge_says_when_the_modem_was_replaced_or_missing() -> None:
    replaced = judge(BEFORE, _after(FULL, index=9), "wwan0", PAYLOAD, PAYLOAD, expected_modem=True)
    assert replaced.ifindex_changed
    gone = judge(BEFORE, _links(("wlan0", 4, 70_000, 80_000)), "wwan0", 0, 0, expected_modem=True)
    assert (gone.rx_bytes, gone.tx_bytes, gone.ifindex_changed) == (None, None, True)
