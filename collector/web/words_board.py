"""Words of the live board: map and list of country, provinces, communes; and a hamlet's charts."""

from __future__ import annotations

BOARD_WORDS: dict[str, tuple[str, str]] = {
    "nav.board": ("Bản đồ", "Map"),
    "livemap.title": ("Bản đồ sóng 4G: {name}", "4G map: {name}"),
    "livemap.country": ("Việt Nam", "Việt Nam"),
    "livemap.lead": (
        "Tháng {month}, từ mẫu được tính của trạm đo; tình trạng là lúc này.",
        "Month {month}, from stations' counted samples; states are as of now.",
    ),
    "livemap.map": ("Bản đồ", "Map"),
    "livemap.noscript": (
        "Bản đồ cần JavaScript; danh sách có đủ mọi số liệu.",
        "The map needs JavaScript; the list holds all figures.",
    ),
    "livemap.list.country": ("Tỉnh, thành phố", "Provinces"),
    "livemap.list.province": ("Xã, phường", "Communes"),
    "livemap.list.commune": ("Thôn, xóm", "Hamlets"),
    "livemap.unit.country": ("Tỉnh", "Province"),
    "livemap.unit.province": ("Xã", "Commune"),
    "livemap.unit.commune": ("Xóm", "Hamlet"),
    "livemap.now": ("Lúc này", "Now"),
    "livemap.evidence": ("Xóm có mẫu", "Hamlets with samples"),
    "livemap.counted": ("Mẫu được tính", "Counted samples"),
    "livemap.probes": ("Trạm", "Stations"),
    "livemap.ill": ("{n} cần xem", "{n} to look at"),
    "livemap.none": ("Chưa có xóm nào trong danh bạ.", "No hamlet is registered yet."),
    "livemap.upto": ("đến {n} Mbit/s", "up to {n} Mbit/s"),
    "livemap.over": ("trên {n} Mbit/s", "over {n} Mbit/s"),
    "livemap.note": (
        "Khoảng màu như bản đồ i-Speed của VNNIC, nhưng số liệu là mẫu trạm đo, không phải mẫu i-Speed; chỉ 4G.",
        "Colour classes as on VNNIC's i-Speed map, but figures are stations' samples, not i-Speed samples; 4G only.",
    ),
    "health.judge": ("Tháng chờ kết luận", "Months waiting for a verdict"),
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
    "livemap.coarse": (
        "Vị trí xóm được làm tròn khoảng 1 km.",
        "Positions of hamlets are rounded to about 1 km.",
    ),
}
