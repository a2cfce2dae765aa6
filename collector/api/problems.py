"""What can go wrong in `/api/v1`: one table of words, each with its status, its title, and what to do, vi and en.

Source: RFC 9457.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.api.shapes import Problem
from collector.core.view import Language


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem; `{...}` in a text is filled with what the request said."""

    status: int
    title: tuple[str, str]
    detail: tuple[str, str]


KINDS: dict[str, Kind] = {
    "parameter": Kind(
        400,
        ("Tham số sai", "Parameter does not fit"),
        ("{parameter}: viết theo dạng {expected}.", "{parameter}: write it as {expected}."),
    ),
    "unknown_parameter": Kind(
        400,
        ("Không có tham số này", "No such parameter"),
        (
            "{parameter}: bỏ đi hoặc sửa tên; ở đây có: {expected}.",
            "{parameter}: leave it out or correct its name; here are: {expected}.",
        ),
    ),
    "parameter_twice": Kind(
        400,
        ("Tham số lặp lại", "Parameter given twice"),
        ("{parameter}: chỉ ghi một lần.", "{parameter}: give it once."),
    ),
    "token_missing": Kind(
        401,
        ("Cần mã truy cập", "A token is needed"),
        (
            "Gửi Authorization: Bearer MÃ; người vận hành tạo mã bằng dosong-collector token create.",
            "Send Authorization: Bearer TOKEN; an operator makes one with dosong-collector token create.",
        ),
    ),
    "token_unknown": Kind(
        401,
        ("Mã truy cập không đúng", "This token is not known"),
        (
            "Kiểm tra mã đã sao chép đủ chưa; nếu mất, xin người vận hành mã mới.",
            "Check that all of it was copied; if it was lost, ask an operator for a new one.",
        ),
    ),
    "token_expired": Kind(
        401,
        ("Mã truy cập đã hết hạn", "This token has expired"),
        ("Xin người vận hành mã mới.", "Ask an operator for a new one."),
    ),
    "token_revoked": Kind(
        401,
        ("Mã truy cập đã bị thu hồi", "This token was revoked"),
        ("Xin người vận hành mã mới.", "Ask an operator for a new one."),
    ),
    "forbidden": Kind(
        403,
        ("Vai trò này không được xem", "Not for this role"),
        ("Dành cho: {roles}. Xin mã của vai trò đó.", "For: {roles}. Ask for a token of such a role."),
    ),
    "not_found": Kind(
        404,
        ("Không tìm thấy", "Not found"),
        (
            "Không có gì ở địa chỉ này, hoặc nằm ngoài phạm vi của mã; /api/v1/openapi.json ghi mọi địa chỉ.",
            "Nothing is here, or it lies outside the token's scope; /api/v1/openapi.json lists every address.",
        ),
    ),
    "method": Kind(
        405,
        ("Phương thức không dùng được", "Method not allowed"),
        ("Giao diện này chỉ đọc: dùng GET.", "This interface only reads: use GET."),
    ),
    "request": Kind(
        400,
        ("Yêu cầu không đọc được", "Request cannot be read"),
        ("Sửa yêu cầu theo /api/v1/openapi.json.", "Correct the request by /api/v1/openapi.json."),
    ),
    "rate": Kind(
        429,
        ("Hỏi quá nhanh", "Too many requests"),
        ("Chờ {seconds} giây rồi hỏi lại.", "Wait {seconds} seconds, then ask again."),
    ),
    "busy": Kind(
        503,
        ("Đang có nhiều lượt tải lớn", "Too many bulk downloads at once"),
        (
            "Chờ {seconds} giây rồi tải tiếp từ con trỏ cuối cùng.",
            "Wait {seconds} seconds, then go on from the last cursor.",
        ),
    ),
    "unavailable": Kind(
        503,
        ("Sổ cái tạm thời không đọc được", "The ledger cannot be read just now"),
        (
            "Thử lại sau một phút; nếu vẫn vậy, báo người vận hành xem /readyz.",
            "Try again in a minute; if it stays so, tell an operator to look at /readyz.",
        ),
    ),
    "internal": Kind(
        500,
        ("Lỗi của máy chủ", "A fault of the server"),
        (
            "Không phải do yêu cầu của bạn; báo người vận hành giờ xảy ra lỗi.",
            "Your request is not the cause; tell an operator the time.",
        ),
    ),
}


class Wrong(Exception):
    """A request that gets a problem as its answer. `parts` fill the kind's texts; `wait_s` becomes Retry-After."""

    def __init__(self, word: str, *, wait_s: int | None = None, **parts: str) -> None:
        super().__init__(word)
        self.word = word
        self.wait_s = wait_s
        self.parts = parts


def problem(wrong: Wrong, path: str, language: Language) -> Problem:
    """The answer to a request for `path` that went wrong."""
    kind = KINDS[wrong.word]
    chosen = 0 if language == "vi" else 1
    parts = {**wrong.parts, "seconds": str(wrong.wait_s)}
    return Problem(
        type=f"urn:dosong:problem:{wrong.word}",
        title=kind.title[chosen],
        status=kind.status,
        detail=kind.detail[chosen].format_map(parts),
        instance=path,
        word=wrong.word,
        parameter=wrong.parts.get("parameter"),
    )


def word_of_status(code: int) -> str:
    """The word for what the web framework refuses by a status of its own."""
    known = {404: "not_found", 405: "method", 429: "rate", 503: "unavailable"}
    return known.get(code, "request" if code < 500 else "internal")
