"""The letterhead of an office that has entered none: by its level and its name, as the papers of 2024 and 2025 have it.

Superior, signer and recipients differ from place to place: whoever reports enters their own, and this is only what a
first draft begins with. Source: facts note 01 §4 (bodies), §5; documents A and B.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from collector.core.report_model import Letterhead


@dataclass(frozen=True, slots=True)
class Office:
    """What an office entered: its letterhead, and where reminders go (addresses of the person who reports)."""

    head: Letterhead
    emails: tuple[str, ...] = ()
    webhook: str = ""


_TYPES = ("Thành phố", "Đặc khu", "Phường", "Tỉnh", "Xã")


def bare(name: str) -> str:
    """A unit's name without its type: "Xã Phú Xuyên" is "Phú Xuyên"."""
    return next((name[len(one) + 1 :] for one in _TYPES if name.startswith(f"{one} ")), name)


def small(name: str) -> str:
    """A unit's name inside a sentence: "xã Phú Xuyên"."""
    return f"{name[:1].lower()}{name[1:]}" if bare(name) != name else name


def default_head(level: str, name: str, within: str, recipients: Iterable[str]) -> Letterhead:
    """The letterhead of a commune's people's committee, or of a province's department of science and technology."""
    to = tuple(dict.fromkeys(recipients))
    if level == "province":
        return Letterhead(
            superior=f"ỦY BAN NHÂN DÂN {_province(name).upper()}", issuer=("SỞ KHOA HỌC VÀ CÔNG NGHỆ",),
            issuer_name=f"Sở Khoa học và Công nghệ {_province(name)}", place=bare(name), symbol="BC-SKHCN",
            addressed=to or ("Cục Viễn thông, Bộ Khoa học và Công nghệ",),
            recipients=("Như trên;", f"Ủy ban nhân dân {_province(name)} (b/c);"), authority="", signer="GIÁM ĐỐC",
        )  # fmt: skip
    return Letterhead(
        superior="", issuer=("ỦY BAN NHÂN DÂN", name.upper()), issuer_name=f"Ủy ban nhân dân {small(name)}",
        place=bare(name), addressed=to or (f"Sở Khoa học và Công nghệ {_province(within)}".rstrip(),),
        recipients=("Như trên;", "TT Đảng ủy, TT HĐND (b/c);", "Chủ tịch, các PCT UBND;"),
    )  # fmt: skip


def _province(name: str) -> str:
    return small(name) if bare(name) != name or not name else f"tỉnh {name}"
