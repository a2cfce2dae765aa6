"""Words of the closed vocabularies as boards print them, Vietnamese and English, with the colour of each.

Boards never print a word of the wire: `no_service` becomes "Mất sóng". A test holds these tables against
`wire.failure`. Colours are Wong's set, told apart by colour-blind readers, and never stand without their word.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")

GOOD, MIDDLE, BAD, NONE = "#009E73", "#E69F00", "#D55E00", "#999999"
BLUE, SKY, PINK = "#0072B2", "#56B4E9", "#CC79A7"
PALETTE = frozenset((GOOD, MIDDLE, BAD, NONE, BLUE, SKY, PINK))

Pair = tuple[str, str]

OUTCOMES: dict[str, tuple[Pair, str]] = {
    "ok": (("✓ Thành công", "✓ Ok"), GOOD),
    "partial": (("◐ Một phần", "◐ Partial"), MIDDLE),
    "failed": (("✗ Thất bại", "✗ Failed"), BAD),
    "skipped": (("– Bỏ qua", "– Skipped"), NONE),
}
STATES: dict[str, tuple[Pair, str]] = {
    "3": (("Có sóng", "Covered"), GOOD),
    "2": (("Sóng yếu, chập chờn", "Degraded"), MIDDLE),
    "1": (("Mất sóng", "No service"), BAD),
    "0": (("Không rõ", "Unknown"), NONE),
}
PATHS: dict[str, tuple[Pair, str]] = {
    "ok": (("✓ qua 4G", "✓ over 4G"), GOOD),
    "invalid_path": (("✗ không qua 4G", "✗ not over 4G"), BAD),
    "invalid_isolation": (("✗ lẫn đường khác", "✗ other traffic"), MIDDLE),
}
COUNTED: dict[str, tuple[Pair, str]] = {
    "1": (("✓ được tính", "✓ counted"), GOOD),
    "0": (("– không đếm", "– not counted"), NONE),
}
SIMULATED: dict[str, tuple[Pair, str]] = {
    "1": (("MÔ PHỎNG", "SIMULATED"), BAD),
    "0": (("Đo thật", "Measured"), GOOD),
}
STAGES: dict[str, Pair] = {
    "schedule": ("Lịch đo", "Schedule"),
    "host": ("Máy trạm đo", "Probe host"),
    "modem": ("Modem", "Modem"),
    "sim": ("Thẻ SIM", "SIM card"),
    "registration": ("Đăng ký mạng", "Registration"),
    "pdn": ("Kết nối dữ liệu", "Data session"),
    "path": ("Đường truyền", "Path"),
    "dns": ("Phân giải tên", "Name resolution"),
    "connect": ("Kết nối máy chủ", "Connection"),
    "portal": ("Cổng chặn", "Portal"),
    "latency": ("Đo độ trễ", "Delay test"),
    "downlink": ("Đo tải xuống", "Downlink test"),
    "uplink": ("Đo tải lên", "Uplink test"),
    "receipt": ("Biên nhận", "Receipt"),
    "unknown": ("Không rõ", "Unknown"),
}
CAUSES: dict[str, Pair] = {
    "no_modem": ("Không thấy modem", "No modem"),
    "modem_mute": ("Modem không trả lời", "Modem does not answer"),
    "modem_error": ("Modem báo lỗi", "Modem error"),
    "no_sim": ("Không có SIM", "No SIM"),
    "sim_locked": ("SIM bị khóa PIN", "SIM locked"),
    "sim_puk": ("SIM đòi mã PUK", "SIM wants PUK"),
    "wrong_sim": ("Sai SIM", "Wrong SIM"),
    "denied": ("Nhà mạng từ chối", "Registration denied"),
    "searching": ("Đang dò mạng", "Searching"),
    "not_registered": ("Không đăng ký được mạng", "Not registered"),
    "limited_service": ("Chỉ gọi khẩn cấp", "Emergency only"),
    "not_lte": ("Không phải 4G", "Not on LTE"),
    "no_pdp": ("Không mở được kết nối dữ liệu", "No data session"),
    "no_interface": ("Mất giao diện mạng", "No interface"),
    "no_dns": ("Không phân giải được tên", "No DNS"),
    "no_ipv4": ("Không có địa chỉ IPv4", "No IPv4"),
    "captive": ("Bị cổng chặn", "Captive portal"),
    "plan_expired": ("Gói cước hết hạn", "Plan expired"),
    "plan_throttled": ("Gói cước bị hạ tốc độ", "Plan throttled"),
    "data_exhausted": ("Hết dung lượng", "Data used up"),
    "budget_spent": ("Hết hạn mức dữ liệu", "Budget spent"),
    "no_internet": ("Không ra được Internet", "No Internet"),
    "server_unreachable": ("Không tới được điểm đo", "Point unreachable"),
    "server_busy": ("Điểm đo bận", "Point busy"),
    "server_error": ("Điểm đo báo lỗi", "Point error"),
    "server_down": ("Điểm đo ngừng", "Point down"),
    "ticket_refused": ("Vé đo bị từ chối", "Ticket refused"),
    "timeout": ("Quá thời gian", "Timed out"),
    "cut_off": ("Đứt giữa chừng", "Cut off"),
    "reset": ("Kết nối bị ngắt", "Connection reset"),
    "bytes_missing": ("Thiếu dữ liệu", "Bytes missing"),
    "echo_lost": ("Mất gói thử", "Echo lost"),
    "broker_unreachable": ("Không tới được máy chủ thu", "Broker unreachable"),
    "clock": ("Đồng hồ chưa tin cậy", "Clock untrusted"),
    "power": ("Mất điện", "Power cut"),
    "probe_off": ("Trạm đo tắt", "Probe off"),
    "overheated": ("Quá nóng", "Overheated"),
    "low_memory": ("Thiếu bộ nhớ", "Low memory"),
    "low_disk": ("Đầy đĩa", "Disk full"),
    "disk_error": ("Lỗi thẻ nhớ", "Disk error"),
    "host_limited": ("Trạm đo quá tải", "Probe overloaded"),
    "engine_error": ("Chương trình đo lỗi", "Engine error"),
    "engine_killed": ("Chương trình đo bị dừng", "Engine killed"),
    "overlap": ("Trùng lần đo khác", "Overlapping run"),
    "slot_passed": ("Lỡ lịch", "Slot passed"),
    "not_configured": ("Chưa cấu hình", "Not configured"),
    "stopped": ("Bị dừng", "Stopped"),
    "unknown": ("Không rõ", "Unknown"),
}


def say(language: Language, pair: Pair) -> str:
    """Pick one language of a pair (vi, en)."""
    return pair[LANGUAGES.index(language)]
