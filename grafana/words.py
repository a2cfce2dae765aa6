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
    "partial": (("◐ Đo được một phần", "◐ Partial"), MIDDLE),
    "failed": (("✗ Không thành công", "✗ Failed"), BAD),
    "skipped": (("– Bỏ qua", "– Skipped"), NONE),
}
STATES: dict[str, tuple[Pair, str]] = {
    "3": (("Có sóng", "Covered"), GOOD),
    "2": (("Sóng yếu, chập chờn", "Degraded"), MIDDLE),
    "1": (("Mất sóng", "No service"), BAD),
    "0": (("Chưa rõ", "Unknown"), NONE),
}
PATHS: dict[str, tuple[Pair, str]] = {
    "ok": (("✓ qua 4G", "✓ over 4G"), GOOD),
    "invalid_path": (("✗ không qua 4G", "✗ not over 4G"), BAD),
    "invalid_isolation": (("✗ lẫn đường khác", "✗ other traffic"), MIDDLE),
}
COUNTED: dict[str, tuple[Pair, str]] = {
    "1": (("✓ được tính", "✓ counted"), GOOD),
    "0": (("– không tính", "– not counted"), NONE),
}
SIMULATED: dict[str, tuple[Pair, str]] = {
    "1": (("MÔ PHỎNG", "SIMULATED"), BAD),
    "0": (("Đo thật", "Measured"), GOOD),
}
STAGES: dict[str, Pair] = {
    "schedule": ("Lịch đo", "Schedule"),
    "host": ("Máy trạm", "Station computer"),
    "modem": ("Modem", "Modem"),
    "sim": ("SIM", "SIM"),
    "registration": ("Vào mạng di động", "Network registration"),
    "pdn": ("Mở kết nối dữ liệu", "Data connection"),
    "path": ("Đường truyền", "Path"),
    "dns": ("Phân giải tên", "Name resolution"),
    "connect": ("Kết nối máy chủ đo", "Connection to the test server"),
    "portal": ("Trang chặn", "Captive portal"),
    "latency": ("Đo độ trễ", "Delay test"),
    "downlink": ("Đo tải xuống", "Downlink test"),
    "uplink": ("Đo tải lên", "Uplink test"),
    "receipt": ("Biên nhận", "Receipt"),
    "unknown": ("Không rõ giai đoạn", "Unknown stage"),
}
WORST: dict[str, tuple[Pair, str]] = {
    "0": (("Chưa rõ", "Unknown"), NONE),
    "1": (("Có sóng", "Covered"), GOOD),
    "2": (("Sóng yếu, chập chờn", "Degraded"), MIDDLE),
    "3": (("Mất sóng", "No service"), BAD),
}
SILENT: dict[str, tuple[Pair, str]] = {
    "0": (("✓ có liên lạc", "✓ in contact"), GOOD),
    "1": (("✗ im lặng", "✗ silent"), BAD),
}
TRUSTED: dict[str, tuple[Pair, str]] = {
    "1": (("✓ tin cậy", "✓ trusted"), GOOD),
    "0": (("✗ chưa tin cậy", "✗ not trusted"), BAD),
}
SUPPLY: dict[str, tuple[Pair, str]] = {
    "0": (("✓ đủ", "✓ enough"), GOOD),
    "1": (("✗ sụt áp", "✗ undervoltage"), BAD),
}
WORKS: dict[str, tuple[Pair, str]] = {
    "1": (("✓ đang chạy", "✓ running"), GOOD),
    "0": (("✗ dừng hoặc lỗi", "✗ stopped or faulty"), BAD),
}
PROBE_STATES: dict[str, tuple[Pair, str]] = {
    "ok": (("✓ tốt", "✓ well"), GOOD),
    "late": (("◐ chậm", "◐ late"), MIDDLE),
    "silent": (("✗ im lặng", "✗ silent"), BAD),
    "dark": (("✗ mất điện, tắt", "✗ no power, off"), BAD),
    "modem": (("✗ modem", "✗ modem"), BAD),
    "sim": (("✗ SIM", "✗ SIM"), BAD),
    "clock": (("◐ đồng hồ", "◐ clock"), MIDDLE),
    "disk": (("✗ đĩa", "✗ disk"), BAD),
    "network": (("✗ mạng di động", "✗ mobile network"), BAD),
    "server": (("◐ máy chủ đo", "◐ test server"), MIDDLE),
    "path": (("✗ không qua 4G", "✗ not over 4G"), BAD),
    "moved": (("✗ bị dời", "✗ moved"), BAD),
    "backlog": (("◐ tồn bản ghi", "◐ backlog"), MIDDLE),
    "never": (("– chưa từng gửi", "– never heard"), NONE),
    "quarantine": (("– cách ly", "– quarantine"), NONE),
    "revoked": (("– đã thu hồi", "– revoked"), NONE),
    "unheard": (("– bộ thu không nghe được", "– collector is deaf"), NONE),
    "host": (("◐ máy trạm", "◐ station computer"), MIDDLE),
}
SILENCES: dict[str, Pair] = {
    "offline": ("Mất kết nối", "Connection lost"),
    "silent": ("Không có bản ghi", "No records"),
    "power": ("Mất điện", "Power cut"),
    "stopped": ("Trạm đang dừng", "Station stopping"),
    "probe_off": ("Trạm tắt", "Station off"),
    "none": ("–", "–"),
}
"""Why a probe went silent, as `collector.core.liveness` names it."""
OUTLOOKS: dict[str, tuple[Pair, str]] = {
    "reached": (("✓ đã đạt", "✓ reached"), GOOD),
    "will_reach": (("↗ sẽ đạt", "↗ will reach"), GOOD),
    "open": (("◐ chưa chắc", "◐ open"), MIDDLE),
    "will_miss": (("↘ khó đạt", "↘ will miss"), BAD),
    "missed": (("✗ không đạt", "✗ missed"), BAD),
}
VERDICTS: dict[str, tuple[Pair, str]] = {
    "proved": (("Được chứng minh", "Proved"), GOOD),
    "corroborated": (("Được xác nhận", "Corroborated"), BLUE),
    "plausible": (("Hợp lý", "Plausible"), SKY),
    "claimed": (("Lời khai", "Claimed"), NONE),
    "suspect": (("Đáng ngờ", "Suspect"), BAD),
}
RUNGS: dict[str, Pair] = {
    "none": ("–", "–"),
    "reconnect": ("Kết nối lại", "Reconnect"),
    "reregister": ("Đăng ký lại mạng", "Re-register"),
    "modem_restart": ("Khởi động lại modem", "Modem restart"),
    "usb_reauthorise": ("Cấp phép lại USB", "USB re-authorised"),
    "usb_power": ("Ngắt điện cổng USB", "USB port power"),
    "usb_controller": ("Khởi động lại bộ USB", "USB controller"),
    "reboot": ("Khởi động lại trạm", "Reboot"),
}
EVENTS: dict[str, Pair] = {
    "boot": ("Khởi động", "Start"),
    "gap": ("Khai mất bản ghi", "Declared gap"),
    "outage_begin": ("Bắt đầu mất dịch vụ", "Outage begins"),
    "outage_end": ("Hết mất dịch vụ", "Outage ends"),
    "clock_set": ("Chỉnh đồng hồ", "Clock set"),
    "recovery": ("Khôi phục", "Recovery"),
    "sim_changed": ("Đổi SIM", "SIM changed"),
    "modem_changed": ("Đổi modem", "Modem changed"),
    "modem_lost": ("Mất modem", "Modem lost"),
    "modem_back": ("Có lại modem", "Modem back"),
    "probe_moved": ("Trạm bị dời", "Station moved"),
    "config_applied": ("Nhận cấu hình", "Configuration applied"),
    "config_refused": ("Từ chối cấu hình", "Configuration refused"),
    "remote_action": ("Lệnh từ xa", "Remote action"),
    "door_opened": ("Mở cửa kỹ thuật", "Technician's door opened"),
    "stopping": ("Dừng", "Stopping"),
    "disk_error": ("Lỗi đĩa", "Disk error"),
    "undervoltage": ("Sụt áp", "Undervoltage"),
}
REFUSALS: dict[str, Pair] = {
    "wrong_topic": ("Sai chủ đề MQTT", "Wrong topic"),
    "bad_bundle": ("Gói bản ghi vỡ", "Broken bundle"),
    "too_big": ("Quá lớn", "Too big"),
    "not_a_note": ("Không phải bản tin ký", "Not a signed note"),
    "wrong_domain": ("Ký cho mục đích khác", "Signed for something else"),
    "bad_key": ("Khóa hỏng", "Malformed key"),
    "unknown_probe": ("Trạm lạ", "Unknown probe"),
    "unknown_key": ("Khóa lạ", "Unknown key"),
    "revoked_key": ("Khóa đã thu hồi", "Revoked key"),
    "bad_signature": ("Chữ ký sai", "Bad signature"),
    "not_json": ("Không phải JSON", "Not JSON"),
    "not_canonical": ("JSON sai dạng chuẩn", "JSON of another form"),
    "schema": ("Sai quy cách", "Breaks the schema"),
    "wrong_probe": ("Ghi tên trạm khác", "Names another probe"),
    "fork": ("Hai bản ghi một số", "Fork"),
    "broken_chain": ("Đứt chuỗi", "Broken chain"),
}
REASONS: dict[str, Pair] = {
    "not_a_test": ("Không phải lần đo", "Not a test"),
    "fault": ("Sai mẫu", "Breaks the form"),
    "fork": ("Hai bản ghi một số", "Fork"),
    "broken_chain": ("Đứt chuỗi", "Broken chain"),
    "quarantine": ("Trạm đang cách ly", "Probe in quarantine"),
    "simulated": ("Mô phỏng", "Simulated"),
    "outcome": ("Đo không thành công", "Not ok"),
    "invalid_path": ("Không qua 4G", "Not over 4G"),
    "undated": ("Chưa có giờ", "Undated"),
    "clock": ("Đồng hồ nghi vấn", "Clock suspect"),
    "no_place": ("Trạm không đứng ở đâu", "Stands nowhere"),
    "referral": ("Sai mã giới thiệu", "Referral code"),
    "position": ("Vị trí chưa xác nhận", "Position not confirmed"),
    "no_slot": ("Ngoài khung", "No slot"),
    "same_slot": ("Trùng khung", "Same slot"),
    "suspect": ("Đáng ngờ", "Suspect"),
}
CAUSES: dict[str, Pair] = {
    "no_modem": ("Không thấy modem", "No modem found"),
    "modem_mute": ("Modem không trả lời", "Modem does not answer"),
    "modem_error": ("Modem báo lỗi", "Modem reports an error"),
    "no_sim": ("Không có SIM", "No SIM"),
    "sim_locked": ("SIM đòi mã PIN", "SIM asks for its PIN"),
    "sim_puk": ("SIM đòi mã PUK", "SIM asks for its PUK"),
    "wrong_sim": ("SIM của nhà mạng khác", "SIM of another operator"),
    "denied": ("Mạng từ chối", "Network refuses"),
    "searching": ("Đang tìm mạng", "Searching for a network"),
    "not_registered": ("Không vào được mạng", "Not registered"),
    "limited_service": ("Chỉ gọi khẩn cấp", "Emergency calls only"),
    "not_lte": ("Không phải 4G", "Not on 4G"),
    "no_pdp": ("Không mở được kết nối dữ liệu", "No data connection"),
    "no_interface": ("Không thấy cổng mạng của modem", "Modem's network interface is missing"),
    "no_dns": ("Không phân giải được tên", "Names do not resolve"),
    "no_ipv4": ("Không có địa chỉ IPv4", "No IPv4 address"),
    "captive": ("Bị chuyển tới trang đăng nhập", "Caught by a portal"),
    "plan_expired": ("Gói cước hết hạn", "Plan expired"),
    "plan_throttled": ("Gói cước bị bóp băng thông", "Plan throttled"),
    "data_exhausted": ("Hết dung lượng gói cước", "Plan's data used up"),
    "budget_spent": ("Hết hạn mức dữ liệu của trạm", "Station's data budget spent"),
    "no_internet": ("Không ra được Internet", "No Internet"),
    "server_unreachable": ("Không tới được máy chủ đo", "Test server unreachable"),
    "server_busy": ("Máy chủ đo bận", "Test server busy"),
    "server_error": ("Máy chủ đo báo lỗi", "Test server reports an error"),
    "server_down": ("Máy chủ đo ngừng", "Test server down"),
    "ticket_refused": ("Phiếu đo bị từ chối", "Ticket refused"),
    "timeout": ("Quá thời gian", "Timed out"),
    "cut_off": ("Đứt giữa chừng", "Cut off"),
    "reset": ("Kết nối bị ngắt", "Connection reset"),
    "bytes_missing": ("Thiếu byte", "Bytes missing"),
    "echo_lost": ("Mất gói thử", "Echo lost"),
    "broker_unreachable": ("Không tới được máy chủ MQTT", "Broker unreachable"),
    "clock": ("Đồng hồ chưa tin cậy", "Clock not trusted"),
    "power": ("Mất điện", "Power cut"),
    "probe_off": ("Trạm tắt", "Station off"),
    "overheated": ("Quá nóng", "Overheated"),
    "low_memory": ("Thiếu bộ nhớ", "Low memory"),
    "low_disk": ("Thiếu chỗ đĩa", "Low disk"),
    "disk_error": ("Lỗi đĩa", "Disk error"),
    "host_limited": ("Máy trạm quá tải", "Station computer too slow"),
    "engine_error": ("Chương trình đo lỗi", "Engine error"),
    "engine_killed": ("Chương trình đo bị dừng", "Engine killed"),
    "overlap": ("Trùng lần đo khác", "Overlaps another test"),
    "slot_passed": ("Đã qua khung giờ", "Slot has passed"),
    "not_configured": ("Chưa cấu hình", "Not configured"),
    "stopped": ("Trạm đang dừng", "Station stopping"),
    "unknown": ("Không rõ nguyên nhân", "Unknown cause"),
}


def say(language: Language, pair: Pair) -> str:
    """Pick one language of a pair (vi, en)."""
    return pair[LANGUAGES.index(language)]
