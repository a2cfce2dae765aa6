# ruff: noqa: E501 (markup is written as it comes out)
"""The label on a station's box, in Vietnamese: a QR code that joins the access point, the typed address, the lights.

One SVG of 100 x 70 mm that any program prints; the QR code alone also comes as PDF or PNG for label printers.
Source: ISO/IEC 18004 (by segno); the `WIFI:` text as Android's and iOS's cameras read it (zxing, "Barcode Contents").
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from pathlib import Path

import segno

from provisioning.visit import Access
from wire.errors import Misconfigured

WIDTH_MM, HEIGHT_MM = 100, 70
QR_MM = 34
QR_KINDS = (".svg", ".pdf", ".png")
_QUOTED = '\\;,":'
LIGHTS = (
    ("PWR đỏ sáng đều", "đủ điện. Chớp, tắt: thay nguồn 5,1 V – 3 A"),
    ("ACT xanh chớp", "máy chạy. Tắt quá 1 phút: rút điện 10 giây"),
    ("Modem sáng đều", "có mạng. Chớp mãi: mở trang, xem mục đỏ"),
)


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed: which probe and site this is, and how its page is reached."""

    probe: str
    site: str
    access: Access


def wifi_text(access: Access) -> str:
    """The text of a QR code that joins a network."""
    return f"WIFI:T:WPA;S:{_quoted(access.ssid)};P:{_quoted(access.psk)};;"


def svg(label: Label) -> str:
    """The whole label."""
    rows = "".join(_light(place, name, text) for place, (name, text) in enumerate(LIGHTS))
    access = label.access
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm" viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}"'
        ' font-family="Noto Sans, DejaVu Sans, Arial, sans-serif" fill="#000" lang="vi">'
        f'<title>{escape(label.probe)}</title><rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>'
        f'<rect x="1" y="1" width="{WIDTH_MM - 2}" height="{HEIGHT_MM - 2}" rx="2.5" fill="none" stroke="#000" stroke-width=".5"/>'
        f'<text x="5" y="8.4" font-size="{_fitting(label) * 1.4:.2f}" font-weight="700">{escape(label.probe)}</text>'
        f'<text x="{WIDTH_MM - 5}" y="8.4" font-size="{_fitting(label)}" text-anchor="end">{escape(label.site)}</text>'
        '<path d="M5 11h90" stroke="#000" stroke-width=".3"/>'
        f'<g transform="translate(5 13.5)">{_qr(access)}</g>'
        f"{_step(17.5, '1', 'Quét mã để vào Wi-Fi của trạm')}"
        f'<text x="48" y="22.6" font-size="3">Wi-Fi: <tspan font-weight="700">{escape(access.ssid)}</tspan></text>'
        f'<text x="48" y="27" font-size="3">Mật khẩu: <tspan font-weight="700" font-family="DejaVu Sans Mono, monospace">{escape(access.psk)}</tspan></text>'
        f"{_step(33.5, '2', 'Mở trình duyệt, gõ địa chỉ:')}"
        f'<text x="48" y="38.8" font-size="4" font-weight="700" font-family="DejaVu Sans Mono, monospace">{escape(access.url.removeprefix("http://"))}</text>'
        f"{_step(45, '3', 'Nhập mã văn phòng vừa đọc')}"
        f'<path d="M5 50h90" stroke="#000" stroke-width=".3"/>{rows}</svg>\n'
    )


def write_qr(access: Access, path: Path) -> None:
    """Write the QR code alone, 34 mm wide; its kind follows from the file's name. Raises Misconfigured."""
    if path.suffix not in QR_KINDS:
        raise Misconfigured(f"{path.name}: a QR code is written as {', '.join(QR_KINDS)}; choose one of these endings")
    code = _code(access)
    modules = code.symbol_size(border=4)[0]
    points = QR_MM / 25.4 * 72
    scale = 12 if path.suffix == ".png" else points / modules
    code.save(str(path), border=4, scale=scale)


def qr_svg(text: str) -> bytes:
    """A QR code as an SVG picture with its quiet zone."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", border=4, xmldecl=False)
    return out.getvalue()


def _fitting(label: Label) -> float:
    """The site's letters: 3.4 mm high, less if both names would not fit into 90 mm."""
    return round(min(3.4, 84 / (0.62 * (1.5 * len(label.probe) + len(label.site) + 2))), 2)


def _code(access: Access) -> segno.QRCode:
    return segno.make(wifi_text(access), error="m", micro=False)


def _qr(access: Access) -> str:
    """The code as one path, with its quiet zone, 34 mm wide."""
    rows = [bytes(row) for row in _code(access).matrix]
    scale = QR_MM / (len(rows) + 8)
    runs = "".join(f"M{x + 4} {y + 4}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return f'<path transform="scale({scale:.4f})" d="{runs}" shape-rendering="crispEdges"/>'


def _step(y: float, number: str, text: str) -> str:
    return (
        f'<circle cx="44.5" cy="{y - 1.2}" r="2.4"/><text x="44.5" y="{y}" font-size="3.4" fill="#fff" text-anchor="middle" font-weight="700">{number}</text>'
        f'<text x="48" y="{y}" font-size="3.1">{escape(text)}</text>'
    )


def _light(place: int, name: str, text: str) -> str:
    y = 54.8 + place * 5
    return f'<text x="5" y="{y}" font-size="3"><tspan font-weight="700">{escape(name)}:</tspan> {escape(text)}</text>'


def _quoted(text: str) -> str:
    return "".join(f"\\{letter}" if letter in _QUOTED else letter for letter in text)
