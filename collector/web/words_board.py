"""Words of the live board: map and list of country, provinces, communes; and a hamlet's charts."""

from __future__ import annotations

BOARD_WORDS: dict[str, tuple[str, str]] = {
    "nav.board": ("Bản đồ", "Map"),
    "board.title": ("Bản đồ sóng 4G: {name}", "4G map: {name}"),
    "board.country": ("Việt Nam", "Việt Nam"),
    "board.lead": (
        "Tháng {month}, từ mẫu được tính của trạm đo; tình trạng là lúc này.",
        "Month {month}, from stations' counted samples; states are as of now.",
    ),
    "board.map": ("Bản đồ", "Map"),
    "board.noscript": (
        "Bản đồ cần JavaScript; danh sách có đủ mọi số liệu.",
        "The map needs JavaScript; the list holds all figures.",
    ),
    "board.list.country": ("Tỉnh, thành phố", "Provinces"),
    "board.list.province": ("Xã, phường", "Communes"),
    "board.list.commune": ("Thôn, xóm", "Hamlets"),
    "board.unit.country": ("Tỉnh", "Province"),
    "board.unit.province": ("Xã", "Commune"),
    "board.unit.commune": ("Xóm", "Hamlet"),
    "board.now": ("Lúc này", "Now"),
    "board.evidence": ("Xóm có mẫu", "Hamlets with samples"),
    "board.counted": ("Mẫu được tính", "Counted samples"),
    "board.probes": ("Trạm", "Stations"),
    "board.ill": ("{n} cần xem", "{n} to look at"),
    "board.none": ("Chưa có xóm nào trong danh bạ.", "No hamlet is registered yet."),
    "board.upto": ("đến {n} Mbit/s", "up to {n} Mbit/s"),
    "board.over": ("trên {n} Mbit/s", "over {n} Mbit/s"),
    "board.note": (
        "Khoảng màu như bản đồ i-Speed của VNNIC, nhưng số liệu là mẫu trạm đo, không phải mẫu i-Speed; chỉ 4G.",
        "Colour classes as on VNNIC's i-Speed map, but figures are stations' samples, not i-Speed samples; 4G only.",
    ),
    "chart.band": (
        "đường: trung vị mỗi ngày; dải: từ phân vị 5 đến 95 (từ n = 10)",
        "line: median of each day; band: 5th to 95th percentile (from n = 10)",
    ),
    "chart.days": ("{n} ngày", "{n} days"),
    "chart.hour": ("Giờ", "Hour"),
    "chart.hours": ("{n} giờ", "{n} h"),
    "chart.hours.title": ("Tải xuống theo giờ trong ngày", "Downlink by hour of day"),
    "chart.hours.note": (
        "Trung vị Mbit/s; màu như trên bản đồ; chấm: chưa đủ {n} mẫu.",
        "Median Mbit/s; colours as on the map; a dot: fewer than {n} samples.",
    ),
    "chart.timeline": ("Trạng thái từng giờ, 7 ngày", "State of each hour, 7 days"),
    "chart.sinr": ("SINR trước lần đo, dB", "SINR before the test, dB"),
    "board.coarse": (
        "Vị trí xóm được làm tròn khoảng 1 km.",
        "Positions of hamlets are rounded to about 1 km.",
    ),
}
