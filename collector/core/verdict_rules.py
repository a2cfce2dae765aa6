"""The table of rules, version 1: id, the fake that it is there for, weight, limits, and the explanation vi and en."""

from __future__ import annotations

from collections.abc import Mapping

from collector.core.verdict import Rule, Weight

_MIN_MS = 60_000
_HOUR_MS = 3_600_000
R, S, C, P, W, N = Weight.REJECT, Weight.SUSPECT, Weight.CLAIMED, Weight.PLAUSIBLE, Weight.SPEAKS, Weight.NOTE

_CHAIN = (
    Rule(
        "chain.broken", "edited", R,
        "Bản ghi không nối đúng vào chuỗi của trạm: đã bị sửa, chèn hoặc đổi chỗ.",
        "The record does not fit into its station's chain: something was edited, injected or moved.",
    ),
    Rule(
        "chain.form", "edited", C,
        "Chữ ký đúng, nhưng nội dung không theo mẫu, nên không đọc được thành số liệu.",
        "The signature is right, but the content breaks the form and cannot be read as figures.",
    ),
    Rule(
        "chain.fork", "clone", R,
        "Trạm đã ký hai bản ghi khác nhau cho cùng một số thứ tự: khóa bị chép, hoặc thẻ nhớ bị quay về bản cũ.",
        "The station signed two different records for one number: its key was copied or its card rolled back.",
    ),
    Rule(
        "clone.boots", "clone", R,
        "Hai lần khởi động xen kẽ nhau trong một chuỗi: hai máy dùng chung một khóa.",
        "Two starts alternate within one chain: two machines use one key.",
    ),
    Rule(
        "clone.epochs", "clone", R,
        "Chuỗi cũ vẫn được ghi tiếp sau khi chuỗi mới đã bắt đầu: hai máy dùng chung một khóa.",
        "The old chain goes on after a new one began: two machines use one key.",
        {"slack_ms": 10 * _MIN_MS},
    ),
)  # fmt: skip

_RECEIPTS = (
    Rule(
        "receipt.replayed", "replay", R,
        "Biên nhận của máy chủ đã được một bản ghi trước dùng.",
        "The server's receipt was already used by an earlier record.",
    ),
    Rule(
        "receipt.foreign", "replay", R,
        "Biên nhận là của lần đo khác, trạm khác hoặc chiều khác.",
        "The receipt belongs to another test, another station or the other direction.",
    ),
    Rule(
        "receipt.stale", "backfilled", R,
        "Biên nhận được ký cách lần đo quá xa: vé đo chỉ có hiệu lực 120 giây.",
        "The receipt was signed too far from the test: a ticket is good for 120 seconds.",
        {"apart_ms": 2 * _MIN_MS},
    ),
    Rule(
        "receipt.fewer", "speed", R,
        "Máy chủ thấy ít dữ liệu hơn hẳn so với trạm nói.",
        "The server saw far fewer bytes than the station claims.",
    ),
    Rule(
        "receipt.rate", "speed", S,
        "Tốc độ trạm báo cao hơn tốc độ máy chủ thấy quá 25 %, kể cả khi trừ lúc tăng tốc.",
        "The station's rate is more than 25 % above the server's, even with the ramp left out.",
        {"above_percent": 25, "ramp_us": 1_500_000},
    ),
    Rule(
        "receipt.slower", "speed", P,
        "Tốc độ trạm báo thấp hơn tốc độ máy chủ thấy quá 25 %.",
        "The station's rate is more than 25 % below the server's.",
        {"below_percent": 25},
    ),
    Rule(
        "receipt.missing", "", P,
        "Bản ghi nêu biên nhận mà sổ cái không giữ.",
        "The record names a receipt that the ledger does not hold.",
    ),
    Rule(
        "receipt.none", "", P,
        "Không có biên nhận của máy chủ đo cho mọi chiều: chỉ có lời của trạm.",
        "There is no receipt of the measurement server for every direction: only the station's word.",
    ),
    Rule(
        "source.foreign", "wifi", R,
        "Máy chủ thấy trạm đến từ địa chỉ không thuộc nhà mạng: không phải mạng di động này.",
        "The server saw an address that is not the operator's: this was not its mobile network.",
        of_air=True,
    ),
    Rule(
        "source.unknown", "", P,
        "Chưa khai báo dải địa chỉ của nhà mạng, nên không đối chiếu được địa chỉ.",
        "The operator's addresses are not configured, so the address cannot be checked.",
    ),
)  # fmt: skip

_SPEED = (
    Rule(
        "speed.category", "speed", S,
        "Tốc độ cao hơn mức tối đa của công nghệ hoặc của modem.",
        "The rate is above what the technology or the modem can reach.",
        {"gsm_bps": 240_000, "umts_downlink_bps": 42_000_000, "umts_uplink_bps": 11_500_000,
         "nr_downlink_bps": 4_000_000_000, "nr_uplink_bps": 1_000_000_000}, of_air=True,
    ),
    Rule(
        "speed.bound", "speed", S,
        "Tốc độ cao gấp hơn 5 lần giới hạn lý thuyết theo băng thông và SINR đã báo.",
        "The rate is over five times the theoretical bound for the bandwidth and SINR that were reported.",
        {"times": 5, "default_bandwidth_khz": 20_000}, of_air=True,
    ),
    Rule(
        "speed.bytes", "speed", R,
        "Trạm báo nhiều dữ liệu hơn số đếm của chính cổng mạng modem.",
        "The station claims more bytes than its own modem link counted.",
        {"slack_percent": 5, "slack_bytes": 65_536},
    ),
    Rule(
        "path.other", "wifi", C,
        "Chính trạm báo rằng đường đo không đi riêng qua modem.",
        "The station itself says that the test did not go by the modem alone.",
    ),
    Rule(
        "path.unknown", "", P,
        "Không có số đếm của các cổng mạng, nên không biết dữ liệu đi đường nào.",
        "There are no counters of the links, so it is not known which way the bytes went.",
    ),
    Rule(
        "path.iface", "wifi", R,
        "Cổng mạng của lần đo không phải của modem.",
        "The link of the test is not a modem's.",
    ),
    Rule(
        "path.rtt", "wifi", S,
        "Độ trễ nhỏ nhất dưới 10 ms: mạng 4G không nhanh như vậy.",
        "The least delay is under 10 ms: no 4G network is that fast.",
        {"least_us": 10_000}, of_air=True,
    ),
    Rule(
        "radio.absent", "wifi", S,
        "Tốc độ cao mà modem không thấy tín hiệu, dù những lần khác có thấy.",
        "A high rate while the modem saw no signal, though at other times it does.",
        {"high_bps": 2_000_000, "usual_percent": 50, "of_tests": 8}, of_air=True,
    ),
)  # fmt: skip

_PLACE = (
    Rule(
        "cell.far", "tunnel", S,
        "Trạm phát sóng đang dùng chỉ được các trạm khác thấy ở nơi cách hơn 35 km.",
        "The serving cell is known to other stations only more than 35 km away.",
        {"far_m": 35_000}, of_air=True,
    ),
    Rule(
        "cell.unknown", "tunnel", S,
        "Trạm phát sóng và vùng mạng đều chưa từng thấy ở điểm này, cũng không trạm lân cận nào thấy.",
        "Neither the serving cell nor its tracking area was ever seen at this site or by a neighbour.",
        {"learned_ms": 7 * 24 * _HOUR_MS, "learned_readings": 24}, of_air=True,
    ),
    Rule(
        "cell.new", "", N,
        "Trạm phát sóng mới ở điểm này.",
        "A cell that is new at this site.",
        of_air=True,
    ),
    Rule(
        "cell.advance", "tunnel", S,
        "Theo timing advance, trạm phát ở xa hơn 35 km.",
        "By its timing advance the cell is more than 35 km away.",
        {"far_m": 35_000, "step_mm": 78_120}, of_air=True,
    ),
    Rule(
        "gps.off", "gps", S,
        "GPS lệch hơn 200 m so với vị trí đã khảo sát, quá sai số của chính nó.",
        "GPS is more than 200 m from the surveyed site, beyond its own error.",
        {"off_m": 200, "errors": 3}, of_air=True,
    ),
    Rule(
        "gps.far", "gps", R,
        "GPS lệch hơn 2 km so với vị trí đã khảo sát.",
        "GPS is more than 2 km from the surveyed site.",
        {"off_m": 2_000}, of_air=True,
    ),
    Rule(
        "gps.frozen", "gps", S,
        "Mọi chữ số GPS giống hệt nhau qua nhiều lần đo: máy thu thật luôn dao động.",
        "All digits of the fix are the same over many tests: a real receiver always moves a little.",
        {"fixes": 8}, of_air=True,
    ),
    Rule(
        "gps.time", "gps", S,
        "Giờ GPS lệch hơn 2 giây so với giờ máy chủ đã ký biên nhận.",
        "The GPS time is more than 2 s from the time at which the server signed.",
        {"off_ms": 2_000}, of_air=True,
    ),
)  # fmt: skip

_RADIO = (
    Rule(
        "radio.range", "radio", S,
        "Số đo sóng nằm ngoài khoảng mà 4G có thể có.",
        "A radio reading is outside what 4G can be.",
        {"rsrq_min_db_x10": -200, "rsrq_max_db_x10": -25, "pci_max": 503}, of_air=True,
    ),
    Rule(
        "radio.still", "radio", S,
        "Số đo sóng đứng yên hoàn toàn qua nhiều lần đo.",
        "The radio readings stand perfectly still over many tests.",
        {"run": 8, "coverage_run": 12}, of_air=True,
    ),
    Rule(
        "radio.repeated", "radio", S,
        "Cùng một bộ số đo sóng lặp lại quá nhiều lần.",
        "One and the same set of radio readings comes back far too often.",
        {"times": 20, "of_readings": 60, "few": 3, "of_few": 30}, of_air=True,
    ),
    Rule(
        "radio.copied", "radio", S,
        "Dãy số đo sóng trùng với dãy của một trạm khác, hoặc với chính dãy cũ của trạm này.",
        "The series of radio readings equals another station's, or an earlier one of its own.",
        {"series": 8}, of_air=True,
    ),
)  # fmt: skip

_TIME = (
    Rule(
        "clock.future", "clock", R,
        "Giờ của bản ghi muộn hơn lúc sổ cái nhận được nó.",
        "The record's time is later than the moment at which the ledger received it.",
        {"slack_ms": 2 * _MIN_MS},
    ),
    Rule(
        "clock.beacon", "clock", R,
        "Giờ của bản ghi sớm hơn dấu kiểm của nhật ký mà chính nó nêu ra.",
        "The record's time is earlier than the log checkpoint that it names itself.",
        {"slack_ms": 2 * _MIN_MS},
    ),
    Rule(
        "clock.drift", "clock", S,
        "Đồng hồ lệch khỏi bộ đếm của máy mà không có lần chỉnh giờ nào được ghi.",
        "The clock left the machine's own counter, and no setting of the clock was recorded.",
        {"slack_ms": 5_000, "ppm": 200},
    ),
    Rule(
        "time.none", "clock", C,
        "Chưa biết giờ của bản ghi: đồng hồ chưa được chỉnh.",
        "The record's time is not known: the clock was not set.",
    ),
    Rule(
        "slot.outside", "stuffing", S,
        "Lần đo không nằm trong khung giờ mà nó nêu.",
        "The test did not run inside the slot that it names.",
        {"slack_ms": 10 * _MIN_MS},
    ),
    Rule(
        "slot.overlap", "stuffing", S,
        "Khung giờ chồng lên khung giờ khác của cùng modem: lưới khung giờ đã bị đổi.",
        "The slot overlaps another one of the same modem: the grid of slots was changed.",
    ),
    Rule(
        "slot.extra", "stuffing", N,
        "Khung giờ này đã có một mẫu được tính.",
        "This slot already has a counted sample.",
    ),
    Rule(
        "backfill.late", "backfilled", C,
        "Kết quả đến muộn hơn một giờ và không có biên nhận ký đúng lúc: có thể được làm sau.",
        "It arrived more than an hour late without a receipt signed at the time: it may have been made afterwards.",
        {"late_ms": _HOUR_MS},
    ),
)  # fmt: skip

_WITNESSES = (
    Rule(
        "claim.alone", "", N,
        "Đây là lời khai của trạm; chưa có ai khác xác nhận.",
        "This is the station's own word; nobody else confirms it yet.",
    ),
    Rule(
        "other.trouble", "", W,
        "Một trạm lân cận cùng nhà mạng cũng gặp sự cố vào lúc đó.",
        "A neighbouring station on the same operator had trouble at the same time.",
        {"near_m": 15_000, "slack_ms": 15 * _MIN_MS},
    ),
    Rule(
        "other.power", "", W,
        "Một trạm lân cận cũng mất điện vào lúc đó.",
        "A neighbouring station lost power at the same time.",
        {"near_m": 15_000, "slack_ms": 15 * _MIN_MS},
    ),
    Rule(
        "own.proved", "", W,
        "Một lần đo được chứng minh trong cùng giờ cho thấy có sóng.",
        "A proved test within the same hour shows that there was service.",
    ),
    Rule(
        "made.simulated", "", P,
        "Trạm mô phỏng: không chứng minh gì về mạng thật.",
        "A simulated station: it proves nothing of a real network.",
    ),
)  # fmt: skip

RULES: Mapping[str, Rule] = {
    rule.id: rule for rule in (*_CHAIN, *_RECEIPTS, *_SPEED, *_PLACE, *_RADIO, *_TIME, *_WITNESSES)
}
"""All rules by id, in the order in which they are told."""

LTE_CATEGORIES: Mapping[int, tuple[int, int]] = {
    1: (10_000_000, 5_000_000), 4: (150_000_000, 50_000_000), 6: (300_000_000, 50_000_000),
    9: (450_000_000, 50_000_000), 12: (600_000_000, 100_000_000), 13: (390_000_000, 150_000_000),
    16: (1_050_000_000, 150_000_000), 18: (1_200_000_000, 211_000_000),
}  # fmt: skip
"""Downlink and uplink of an LTE modem by UE category, bit/s. Source: 3GPP TS 36.306."""

BANDS: Mapping[int, tuple[int, int]] = {
    1: (0, 599), 3: (1200, 1949), 5: (2400, 2649), 7: (2750, 3449), 8: (3450, 3799), 20: (6150, 6449),
    28: (9210, 9659), 38: (37750, 38249), 40: (38650, 39649), 41: (39650, 41589),
}  # fmt: skip
"""Downlink EARFCN by LTE band. Source: 3GPP TS 36.101 table 5.7.3-1. A band that is not here is not judged."""

NOT_A_MODEM = ("lo", "wl", "eth0", "end0", "tun", "tap", "wg", "br", "docker", "veth")
"""Beginnings of names of links that are no modem's; HiLink sticks are eth1 or usb0, so those say nothing."""
