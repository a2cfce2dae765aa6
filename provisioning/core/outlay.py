"""What a campaign needs before anything is bought: stations, SIMs, gigabytes and đồng a month. Pure arithmetic.

The attempts come from `wire.slots` (308, 326, 348 for 300 samples at 99, 95, 90 % success), the bytes of a test and of
what goes on beside it from `wire.data_use`, as the probe itself counts them. A steady link needs the fewest bytes; one
that never settles is tested to the cap: SIMs are bought for the second.
Source: facts note 01 §7, note 02 §3; design §5 (Schedule, Budget), §8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wire import data_use, slots

DAYS = 31
MARGIN_PERCENT = 10
LEAST_TESTS = DAYS
"""One a day for every SIM, however many share the quota: each hamlet has figures of its own."""
SUCCESSES_PERCENT = (99, 95, 90)
HAMLETS_A_COMMUNE = 27
"""About 90,000 hamlets in 3,321 communes (2/2026): only where the registry holds none."""
SPEEDTEST_SECONDS = 10
GB = 10**9
Engine = Literal["dosong", "speedtest-cli"]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A plan that can be bought: its bytes and đồng in `days`; where the price was read."""

    name: str
    plmn: str
    cap_bytes: int
    days: int
    vnd: int
    source: str

    @property
    def bytes_a_month(self) -> int:
        """Bytes in the longest month."""
        return self.cap_bytes * DAYS // self.days

    @property
    def vnd_a_month(self) -> int:
        """Đồng of the longest month, rounded up."""
        return -(-self.vnd * DAYS // self.days)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: so many communes with so many hamlets in all, `quota` samples a month in each commune.

    `modems` is SIMs a station (operators that are measured), rates in bit/s, `hamlets_known` False for an estimate.
    `each_operator`: the quota is to be reached with every operator's SIM alone, not by all of them together.
    """

    communes: int
    hamlets: int
    hamlets_known: bool
    quota: int
    success_percent: float = 95.0
    modems: int = 1
    each_operator: bool = False
    downlink_bps: int = 40_000_000
    uplink_bps: int = 15_000_000
    engine: Engine = "dosong"


@dataclass(frozen=True, slots=True)
class Option:
    """One way to equip them. Bytes are a month's, of one SIM and of all; đồng None without a price."""

    name: Literal["one", "two", "given", "hamlets"]
    stations: int
    sims: int
    tests_a_sim: int
    least_bytes: int
    most_bytes: int
    buy_bytes: int
    all_bytes: int
    tariff: Tariff | None
    vnd: int | None


@dataclass(frozen=True, slots=True)
class Outlay:
    """The answer: attempts by success rate, bytes of a test, and the options from the fewest stations to the most."""

    ask: Ask
    attempts: tuple[tuple[float, int], ...]
    test_bytes: tuple[int, int]
    options: tuple[Option, ...]


def outlay(ask: Ask, tariffs: Sequence[Tariff], stations: int | None = None, sim_vnd: int | None = None) -> Outlay:
    """Answer. `stations`: so many a commune, beside the other options; `sim_vnd`: what a SIM costs a month, if known.

    Raises ValueError if the quota cannot be reached at that success rate.
    """
    rates = sorted({float(one) for one in (*SUCCESSES_PERCENT, ask.success_percent)}, reverse=True)
    attempts = tuple((rate, _attempts(ask.quota, rate)) for rate in rates)
    wanted: list[tuple[Literal["one", "two", "given", "hamlets"], int]] = [
        ("one", ask.communes), ("two", 2 * ask.communes), ("hamlets", max(ask.hamlets, ask.communes)),
    ]  # fmt: skip
    if stations is not None:
        wanted.insert(2, ("given", stations * ask.communes))
    needed = _attempts(ask.quota, ask.success_percent)
    options = (_option(name, count, ask, needed, tariffs, sim_vnd) for name, count in wanted)
    return Outlay(ask, attempts, _test_bytes(ask), tuple(sorted(options, key=lambda one: one.stations)))


def _attempts(quota: int, percent: float) -> int:
    needed = slots.slots_needed(quota, round(percent * 10_000))
    if needed is None:
        raise ValueError(f"{percent:g} % of successes never make {quota} samples")
    return needed


def _option(
    name: Literal["one", "two", "given", "hamlets"],
    stations: int,
    ask: Ask,
    needed: int,
    tariffs: Sequence[Tariff],
    sim_vnd: int | None,
) -> Option:
    sims = stations * ask.modems
    shared = max(1, stations // ask.communes) * (1 if ask.each_operator else ask.modems)
    tests = max(LEAST_TESTS, slots.divide(needed, shared)[0])
    least, most = (_month_bytes(one, tests) for one in _test_bytes(ask))
    buy = most * (100 + MARGIN_PERCENT) // 100
    tariff = min((t for t in tariffs if t.bytes_a_month >= buy), key=lambda t: (t.vnd_a_month, t.name), default=None)
    each = sim_vnd if sim_vnd is not None else (tariff.vnd_a_month if tariff is not None else None)
    return Option(
        name, stations, sims, tests, least, most, buy, buy * sims, tariff, None if each is None else each * sims
    )


def _test_bytes(ask: Ask) -> tuple[int, int]:
    """Bytes of a test on a steady link, and on one that never settles."""
    if ask.engine == "speedtest-cli":
        moved = (ask.downlink_bps + ask.uplink_bps) // 8 * SPEEDTEST_SECONDS
        whole = moved * data_use.PACKET_BYTES // data_use.PAYLOAD_BYTES + data_use.EXCHANGE_BYTES
        return whole, whole
    terms = data_use.Terms()
    steady = data_use.Link(ask.downlink_bps, ask.uplink_bps)
    restless = data_use.Link(
        ask.downlink_bps, ask.uplink_bps, downlink_window_us=terms.cap_us, uplink_window_us=terms.cap_us
    )
    return data_use.bytes_of_test(steady, terms), data_use.bytes_of_test(restless, terms)


def _month_bytes(test_bytes: int, tests: int) -> int:
    beside = data_use.bytes_of_upkeep(data_use.Upkeep(), DAYS * 24)
    return tests * (test_bytes + data_use.TEST_RECORD_BYTES) + beside


_NAMES = {
    "one": ("một trạm mỗi xã", "one station a commune"),
    "two": ("hai trạm mỗi xã, chia nhau số lần đo", "two stations a commune, which share the tests"),
    "given": ("số trạm đã cho", "stations as given"),
    "hamlets": ("một trạm mỗi thôn", "one station a hamlet"),
}


def lines(found: Outlay, language: Literal["vi", "en"]) -> list[str]:
    """The answer for a person."""
    ask, vi = found.ask, language == "vi"
    count = f"{ask.hamlets}" if ask.hamlets_known else f"≈ {ask.hamlets}"
    rates = f"{ask.downlink_bps / 1e6:g}/{ask.uplink_bps / 1e6:g} Mbit/s"
    tries = ", ".join(f"{number} ({rate:g} %)" for rate, number in found.attempts)
    least, most = (_number(one / 1e6, 0, vi=vi) for one in found.test_bytes)
    said = [
        f"{ask.communes} xã, {count} thôn; {ask.quota} mẫu/xã/tháng, chắc chắn 99 %"
        if vi
        else f"{ask.communes} communes, {count} hamlets; {ask.quota} samples a commune and month, 99 % certain",
        f"Số lần đo mỗi xã theo tỷ lệ thành công: {tries}"
        if vi
        else f"Attempts a commune needs, by success rate: {tries}",
        f"Mỗi lần đo ở {rates} ({ask.engine}): {least} đến {most} MB (sóng ổn định, không ổn định)"
        if vi
        else f"A test at {rates} ({ask.engine}): {least} to {most} MB (steady link, restless link)",
    ]
    for option in found.options:
        said += _option_lines(option, vi=vi)
    return [*said, *_notes(found, vi=vi)]


def _option_lines(option: Option, *, vi: bool) -> list[str]:
    name = _NAMES[option.name][0 if vi else 1]
    three = (option.least_bytes, option.most_bytes, option.buy_bytes)
    least, most, buy = (_number(one / GB, 1, vi=vi) for one in three)
    whole = _number(option.all_bytes / GB, 0, vi=vi)
    head = (
        f"{name}: {option.stations} trạm, {option.sims} SIM, {option.tests_a_sim} lần đo/SIM/tháng"
        if vi
        else f"{name}: {option.stations} stations, {option.sims} SIMs, {option.tests_a_sim} tests a SIM and month"
    )
    volume = (
        f"  {least} đến {most} GB/SIM/tháng; mua từ {buy} GB/SIM, tổng {whole} GB/tháng"
        if vi
        else f"  {least} to {most} GB a SIM and month; buy {buy} GB a SIM, {whole} GB in all"
    )
    return [head, volume, f"  {_price(option, vi=vi)}"]


def _number(value: float, places: int, *, vi: bool) -> str:
    """A number as the language writes it: 1.234,5 or 1,234.5."""
    text = f"{value:,.{places}f}"
    return text.translate(str.maketrans(",.", ".,")) if vi else text


def _price(option: Option, *, vi: bool) -> str:
    if option.vnd is None:
        return (
            "đồng/tháng: nhập giá của bạn (--vnd-per-sim, hoặc trang Gói cước kèm căn cứ)"
            if vi
            else "đồng a month: enter yours (--vnd-per-sim, or the sheet Gói cước with its source)"
        )
    grouped = _number(option.vnd, 0, vi=vi)
    plan = option.tariff
    by = f" ({plan.name}, {plan.plmn}; {plan.source})" if plan is not None else ""
    return f"{grouped} đồng/tháng{by}" if vi else f"{grouped} đồng a month{by}"


def _notes(found: Outlay, *, vi: bool) -> list[str]:
    notes = [
        (
            "Mẫu trạm đo không phải mẫu i-Speed: chỉ tiêu của Bộ đếm trên Portal VNNIC.",
            "A station's sample is no i-Speed sample: the ministry's quota is counted on VNNIC's Portal.",
        ),
        (
            "Một trạm mỗi xã đủ số mẫu nhưng chỉ đại diện một thôn.",
            "One station a commune makes the number, and speaks for one hamlet.",
        ),
    ]
    if not found.ask.hamlets_known:
        notes.append(
            ("Số thôn ước tính (27/xã); nhập danh sách thôn để có số thật.",
             "Hamlets are estimated (27 a commune); import them for the true number.")
        )  # fmt: skip
    return [("Lưu ý: " if vi else "Note: ") + note[0 if vi else 1] for note in notes]
