# ruff: noqa: E501 (examples are read as they come)
"""Doors of the probe and of the measurement point: modems, sticks, gpsd, name servers, the point, files, sockets."""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from point.history import History, Minute, line_of
from point.protocol import BadRequest, parse_head
from point.settings import load as load_point
from point.tcp import parse_info
from probe import enrol, firstboot, settings, slate
from probe.core import at, beacon, dialects, dns, engine_http, goform, hilink, mmcli, sim_card, tpv
from probe.core.engine_echo import number_of
from probe.core.engine_http import NotOurs
from probe.devices.goform import _decoded
from tests.fuzz.door import Door
from tests.wire import make_golden
from wire import note
from wire.errors import Misconfigured, Refused
from wire.note import Signer

DATA = Path(__file__).parents[1] / "data" / "settings"
FOLDER = Path(tempfile.mkdtemp(prefix="dosong-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
LINES = (
    b"+CSQ: 18,99", b"+CESQ: 99,99,255,255,20,45", b"+CEREG: 2,1,\"2AF8\",\"01A2B3C4\",7", b"+COPS: 0,2,\"45204\",7",
    b"^HCSQ:\"LTE\",50,45,120,20", b"^SYSINFOEX:2,3,0,1,,6,\"LTE\",101,\"LTE\"", b"^MONSC: LTE,452,04,1300,1A2B3C4,101,2AF8,-93,-9,-65",
    b"+QENG: \"servingcell\",\"NOCONN\",\"LTE\",\"FDD\",452,04,1A2B3C4,101,1300,3,5,5,2AF8,-93,-9,-65,15,30",
    b"+QCSQ: \"LTE\",-65,-93,140,-9", b"+CPSI: LTE,Online,452-04,0x2AF8,27440068,101,EUTRAN-BAND3,1300,5,5,-93,-930,-650,15",
    b"+XMCI: 4,452,04,\"0x2AF8\",\"0x01A2B3C4\",\"0x0065\",\"0x00000514\",\"0x00004D64\",\"0xFFFFFFFF\",50,25,10,\"0x00\",\"0x00\"",
    b"+GTCCINFO: 1,4,452,04,2AF8,01A2B3C4,514,65,103,20,50,25,10", b"+ZRSSI: -65,-93", b"+CPIN: READY", b"+CME ERROR: 10",
    b"+CGPADDR: 1,\"10.11.12.13\"", b"^NDISSTATQRY: 1,,,\"IPV4\"", b"+CUSD: 1,\"*101#\",15", b"RING", b"^RSSI:18", b"> ",
    b"452041234567890", b"+ICCID: 8984041234567890123", b"Manufacturer: huawei", b"Model: E3372", b"OK", b"ERROR",
)  # fmt: skip
QUERIES = tuple(query for row in dialects.DIALECTS.values() for query in row.queries)


def _at(given: bytes) -> None:
    """Answers and unsolicited lines in pieces: read by every question of every dialect."""
    buffer = at.LineBuffer()
    for place in range(0, len(given), 37):
        buffer.feed(given[place : place + 37])
    lines = buffer.take()
    at.Exchange("AT+CSQ", "+CSQ:", 1.0).feed(lines)
    answer = at.Exchange("ATI", None, 1.0).feed((*lines, "OK"))
    dialects.identify(lines)
    sim_card.read_imsi(lines)
    sim_card.read_iccid(lines)
    if answer is not None:
        for query in QUERIES:
            reading = dialects.read_answer(query, answer)
            assert len(str(reading.raw)) < 10_000


def _gpsd(given: bytes) -> None:
    try:
        report = json.loads(given)
    except (ValueError, RecursionError):
        return
    fix = tpv.parse_poll(report)
    if fix is not None:
        assert abs(fix.lat_e7) <= 900_000_000
        assert abs(fix.lon_e7) <= 1_800_000_000
    tpv.Freshness().after(fix, 1.0)


def _point_answer(given: bytes) -> None:
    head = engine_http.read_head(given)
    if head is None:
        return
    body = given[head.head_bytes :]
    engine_http.read_ticket(head, body, "p-one")


def _receipt(given: bytes) -> None:
    engine_http.read_note(given, "receipt")


ASKED = dns.question("test.example.vn", dns.TYPE_A, 0x1234)


def _dns(given: bytes) -> None:
    assert len(dns.addresses(ASKED[:2] + b"\x81\x80\x00\x01" + given[:2] + ASKED[8:] + given[2:], ASKED)) <= 64


def _goform(given: bytes) -> None:
    told = _decoded(given)
    if told is not None and not goform.is_refused(told):
        goform.read(told)


def _objects(given: bytes, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in given.split(b"\x00")[:count]:
        try:
            one = json.loads(part)
        except (ValueError, RecursionError):
            one = {}
        found.append(one if isinstance(one, dict) else {})
    return found + [{}] * (count - len(found))


def _hilink(given: bytes) -> None:
    """Elements come from the library as texts or None, whatever the page's XML says."""
    texts = [{str(k): v if isinstance(v, str) else None for k, v in one.items()} for one in _objects(given, 4)]
    hilink.read(*texts)  # type: ignore[arg-type]


def _mmcli(given: bytes) -> None:
    modem, signal, place = _objects(given, 3)
    mmcli.read(modem, signal, place)
    mmcli.paths(modem)
    mmcli.link(modem)
    mmcli.card_path(modem)
    mmcli.card(signal)
    mmcli.is_at(modem, usb="1-1.2", names=["ttyUSB2"])


def _in_file(name: str, load: Callable[[Path], object]) -> Callable[[bytes], None]:
    def opened(given: bytes) -> None:
        path = FOLDER / name
        path.write_bytes(given)
        load(path)

    return opened


def _station(given: bytes) -> None:
    firstboot.settings_text("", "", given.decode("utf-8", "replace"), "", "")


def _slate(given: bytes) -> None:
    slate._parsed(given)


def _head(given: bytes) -> None:
    request = parse_head(given, 4_096)
    assert 0 <= (request.body_bytes or 0) <= 1 << 62


def _minutes(given: bytes) -> None:
    History().load(given.decode("utf-8", "replace"), 10**6)


def _echo(given: bytes) -> None:
    number_of(given, "ticket-0123456789", b"k" * 32)


TPV = {
    "class": "POLL", "active": 1,
    "tpv": [{"class": "TPV", "device": "/dev/ttyACM0", "mode": 3, "time": "2026-11-22T03:04:05.000Z", "lat": 21.6,
             "lon": 105.5, "altMSL": 30.1, "eph": 4.2}],
    "sky": [{"class": "SKY", "device": "/dev/ttyACM0", "hdop": 0.9, "uSat": 9, "satellites": [{"PRN": 1, "used": True}]}],
}  # fmt: skip
MMCLI = {
    "modem": {"3gpp": {"registration-state": "home", "operator-code": "45204"}, "generic": {
        "access-technologies": ["lte"], "ports": ["wwan0 (net)", "ttyUSB2 (at)"], "state": "connected",
        "sim": "/org/freedesktop/ModemManager1/SIM/0", "device": "/sys/devices/x/usb1/1-1.2", "signal-quality": {"value": "70"}}},
    "modem-list": ["/org/freedesktop/ModemManager1/Modem/0"],
}  # fmt: skip
SIGNAL = {"modem": {"signal": {"lte": {"rsrp": "-93.00", "rsrq": "-9.00", "snr": "12.0", "rssi": "-65.00"}}},
          "sim": {"properties": {"imsi": "452041234567890", "iccid": "8984041234567890123"}}}  # fmt: skip
PLACE = {
    "modem": {"location": {"3gpp": {"mcc": "452", "mnc": "04", "lac": "2AF8", "cid": "01A2B3C4", "tac": "002AF8"}}}
}
GOFORM = {
    "network_type": "LTE",
    "lte_rsrp": "-93",
    "lte_rsrq": "-9",
    "lte_rssi": "-65",
    "lte_snr": "12",
    "rmcc": "452",
    "rmnc": "04",
    "cell_id": "1A2B3C4",
    "ppp_status": "ppp_connected",
    "modem_main_state": "modem_init_complete",
}
HILINK = ({"rsrp": "-93dBm", "rsrq": "-9dB", "rssi": ">=-51dBm", "sinr": "12dB", "pci": "101", "cell_id": "27440068",
           "band": "3", "earfcn": "DL:1300 UL:19300"}, {"ConnectionStatus": "901", "ServiceStatus": "2", "SimStatus": "1",
          "CurrentNetworkTypeEx": "101"}, {"Numeric": "45204", "Rat": "7"}, {"SimState": "257"})  # fmt: skip
TICKET = b'dosong.example/ticket/v1\n{"probe":"p-one","ticket":"0123456789abcdef0123"}\n\nx'
ANSWER = b"HTTP/1.1 200 OK\r\nX-Echo-Key: " + b"ab" * 32 + b"\r\nContent-Length: 9\r\n\r\n" + TICKET
VKEY = make_golden.signer("ack").verifier.vkey
CLAIM = (
    f'probe = "p-one"\norigin = "dosong.example"\nsite = "s-one"\nurl = "https://x:1"\ntoken = "{"a" * 32}"\n'
    f'ack_vkey = "{VKEY}"\nconfig_vkey = "{VKEY}"\nbroker_host = "x"\nbroker_port = 8883\n'
    'root = "-----BEGIN CERTIFICATE-----\\nAA\\n-----END CERTIFICATE-----\\n"\n'
).encode()
LOG_KEY = make_golden.signer("log")
LOG_LINE = f'# log_vkey = "{LOG_KEY.verifier.vkey}"\n'.encode()
CHECKPOINT = note.sign(
    f"{LOG_KEY.name}/2026\n52\n{base64.b64encode(bytes(32)).decode()}\n".encode(),
    Signer.from_seed(f"{LOG_KEY.name}/2026", LOG_KEY.seed),
)
SETTINGS = [path.read_bytes() for path in sorted(DATA.glob("*.toml"))]


def _texts(*objects: Any) -> bytes:
    return b"\x00".join(json.dumps(one).encode() for one in objects)


def _minute() -> bytes:
    return line_of(Minute(**dict.fromkeys((one.name for one in fields(Minute)), 1))).encode()


def _slate_place() -> bytes:
    packed = zlib.compress(b'{"a":"1"}')
    return slate._HEAD.pack(slate._MAGIC, 3, len(packed), zlib.crc32(packed, 3)) + packed


DOORS = (
    Door("at", _at, (), [b"\r\n".join(LINES), *(b"\r\n" + line + b"\r\n\r\nOK\r\n" for line in LINES)], 3_000),
    Door("gpsd", _gpsd, (), [json.dumps(TPV).encode(), b'{"class":"POLL","active":1,"tpv":[{}],"sky":[1]}']),
    Door("point-answer", _point_answer, (NotOurs,), [ANSWER, TICKET]),
    Door("point-receipt", _receipt, (NotOurs,), [TICKET.replace(b"/ticket/", b"/receipt/")]),
    Door("dns", _dns, (dns.BadAnswer,), [b"\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01"]),
    Door("goform", _goform, (), [json.dumps(GOFORM).encode(), b'{"a":""}']),
    Door("hilink", _hilink, (), [_texts(*HILINK)]),
    Door("mmcli", _mmcli, (), [_texts(MMCLI, SIGNAL, PLACE)]),
    Door("echo", _echo, (), [b"\x00" * 28]),
    Door("probe-settings", _in_file("probe.toml", settings.load), (Misconfigured,), SETTINGS),
    Door("claim", _in_file("claim.toml", enrol.log_key), (Misconfigured,), [CLAIM, CLAIM + LOG_LINE]),
    Door("beacon", lambda given: beacon.read(given, LOG_KEY.verifier) and None, (Refused,), [CHECKPOINT]),
    Door("station", _station, (Misconfigured,), [b'site = "s-one"\n[[modem]]\nid = "m1"\n', *SETTINGS[-2:]]),
    Door("slate", _slate, (), [_slate_place()]),
    Door("point-settings", _in_file("point.toml", load_point), (Misconfigured,), [b"[point]\nport = 8080\n", b"[point]\n"]),
    Door("point-request", _head, (BadRequest,), [b"GET /download?bytes=5 HTTP/1.1\r\nHost: x:80\r\nConnection: close",
        b"POST /upload HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 7\r\nExpect: 100-continue"]),
    Door("point-history", _minutes, (), [_minute()]),
    Door("tcp-info", lambda given: parse_info(given) and None, (), [b"\x00" * 232, b"\xff" * 192]),
)  # fmt: skip
