"""Why a minute had no service, in words that fit into a cell: the cause letters of the minute ledger."""

from __future__ import annotations

from collections.abc import Callable

from collector.core.view import Language
from wire.failure import COVERAGE_CAUSES

_OURS = {"-": ("không có trạm", "no station there"), "?": ("chưa nhận được", "not received yet"), ".": ("", "")}
_WORDS = {
    "power": ("mất điện", "power cut"),
    "probe_off": ("trạm tắt", "station off"),
    "searching": ("không tìm thấy sóng", "no signal found"),
    "not_registered": ("không đăng ký được mạng", "not registered"),
    "denied": ("mạng từ chối", "network refused"),
    "limited_service": ("chỉ gọi khẩn cấp", "limited service"),
    "not_lte": ("không phải LTE", "not LTE"),
    "echo_lost": ("gói tin mất", "packet lost"),
    "no_sim": ("không có SIM", "no SIM"),
    "wrong_sim": ("sai SIM", "wrong SIM"),
    "plan_expired": ("gói cước hết hạn", "plan expired"),
    "plan_throttled": ("bị bóp băng thông", "throttled"),
    "data_exhausted": ("hết dữ liệu", "data exhausted"),
    "server_down": ("máy chủ không trả lời", "server down"),
    "no_pdp": ("không mở được kết nối dữ liệu", "no data connection"),
    "captive": ("trang chặn của nhà mạng", "captive portal"),
    "sim_locked": ("SIM khóa PIN", "SIM locked"),
    "sim_puk": ("SIM khóa PUK", "SIM needs PUK"),
    "no_modem": ("không thấy modem", "no modem"),
    "modem_mute": ("modem không trả lời", "modem mute"),
    "modem_error": ("modem báo lỗi", "modem error"),
    "clock": ("đồng hồ chưa tin cậy", "clock not trusted"),
    "unknown": ("không rõ", "unknown"),
}


def cause_words(language: Language) -> Callable[[str], str]:
    """What turns a cause letter into words; a cause that has none here is told by its name."""
    at = 0 if language == "vi" else 1

    def words(letter: str) -> str:
        cause = COVERAGE_CAUSES.get(letter)
        name = letter if cause is None else str(cause.value)
        return (_OURS.get(letter) or _WORDS.get(name) or (name, name))[at]

    return words
