"""Sticks that speak HTTP, as small real servers on loopback: recorded and documented answers, and their faults."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

DATA = Path(__file__).parents[2] / "sim" / "data" / "at-transcripts.json"


def recorded(name: str) -> list[dict[str, Any]]:
    """The exchanges of one recording."""
    exchanges: list[dict[str, Any]] = next(t for t in json.loads(DATA.read_text()) if t["id"] == name)["exchanges"]
    return exchanges


def error(code: int) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<error>\n<code>{code}</code>\n<message></message>\n</error>\n'


def response(**elements: str) -> str:
    inner = "".join(f"<{key}>{value}</{key}>\n" for key, value in elements.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<response>\n{inner}</response>\n'


SIGNAL_LTE = recorded("hilink-signal-lte")[0]["rx"]
SIGNAL_BLANK, STATUS_BLANK = (exchange["rx"] for exchange in recorded("hilink-signal-blank")[:2])
STATUS_SERVED = response(
    ConnectionStatus="901", ServiceStatus="2", SimStatus="1", CurrentNetworkTypeEx="101", RoamingStatus="0"
)


class Stick:
    """What a fake stick does. `fault`: mute, garbage, error500, slow, dead_half, dribble; None behaves."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.heard: list[str] = []
        self.released = threading.Event()
        self.url = ""

    def reply(self, handler: BaseHTTPRequestHandler, method: str) -> tuple[int, str, str] | None:
        """Status, content type and body; None to say nothing at all."""
        raise NotImplementedError

    def answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        self.heard.append(handler.path)
        if self.fault == "mute":
            self.released.wait(60)
            return
        if self.fault == "slow":
            self.released.wait(0.3)
        if self.fault == "garbage":
            status, kind, body = 200, "text/html", "<html><body>Top up <b>now"
        elif self.fault == "error500":
            status, kind, body = 500, "text/html", "<html><h1>500"
        else:
            status, kind, body = self.reply(handler, method) or (404, "text/html", "<html>404")
        octets = body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(octets)))
        handler.end_headers()
        if self.fault == "dribble":
            for at in range(len(octets)):
                handler.wfile.write(octets[at : at + 1])
                handler.wfile.flush()
            return
        handler.wfile.write(octets[: len(octets) // 2] if self.fault == "dead_half" else octets)


class HilinkStick(Stick):
    """Huawei's API. `password`: None needs no login; `expire_after`: answers until the session is over, once."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = {
            "device/signal": SIGNAL_LTE,
            "monitoring/status": STATUS_SERVED,
            "net/current-plmn": response(State="0", FullName="Viettel", Numeric="45204"),
            "pin/status": response(SimState="257", SimPinTimes="3", SimPukTimes="10"),
            "device/information": response(
                DeviceName="E3372", Imei="490154203237518", Imsi="452040000000000", Iccid="89840400000000000001"
            ),
        }
        self.password: str | None = None
        self.logins: list[bool] = []
        self.expire_after: int | None = None
        self.is_in = False

    def reply(self, handler: BaseHTTPRequestHandler, method: str) -> tuple[int, str, str] | None:
        path = urlsplit(handler.path).path
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        if path == "/":
            self.expire_after = None if self.expire_after is not None and self.expire_after <= 0 else self.expire_after
            return 200, "text/html", '<html><head><meta name="csrf_token" content="abcdef"/></head></html>'
        return 200, "text/xml", self._api(path.removeprefix("/api/"), body, method)

    def _api(self, name: str, body: str, method: str) -> str:
        if name == "user/state-login":
            return response(State="-1", password_type="0")
        if name == "user/login":
            self.is_in = "".join(re.findall(r"<Password>(.*)</Password>", body)) == self.password
            self.logins.append(self.is_in)
            return response().replace("\n", "").replace("<response>", "<response>OK") if self.is_in else error(108002)
        if self.expire_after is not None:
            self.expire_after -= 1
            if self.expire_after < 0:
                return error(125002)
        if self.password is not None and not self.is_in:
            return error(100003)
        if name == "device/control" and method == "POST":
            return '<?xml version="1.0"?><response>OK</response>'
        return self.pages.get(name, error(100002))


class GoformStick(Stick):
    """ZTE's page: blanks without a Referer, and blanks for what it does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, str] = {
            "modem_main_state": "modem_init_complete",
            "network_type": "LTE",
            "simcard_roam": "Home",
            "ppp_status": "ppp_connected",
            "rmcc": "452",
            "rmnc": "4",
            "lte_rsrp": "-97",
            "lte_rsrq": "-10",
            "lte_rssi": "-67",
            "lte_snr": "12.4",
            "lte_pci": "143",
            "cell_id": "2C17802",
            "lac_code": "2495",
            "wan_active_band": "LTE BAND 3",
            "wan_active_channel": "1650",
            "sim_imsi": "452040000000000",
            "sim_iccid": "89840400000000000001",
        }

    def reply(self, handler: BaseHTTPRequestHandler, method: str) -> tuple[int, str, str] | None:
        parts = urlsplit(handler.path)
        if parts.path != "/goform/goform_get_cmd_process":
            return None
        query = parse_qs(parts.query)
        keys = query["cmd"][0].split(",")
        is_ours = (handler.headers.get("Referer") or "").startswith("http://127.0.0.1") and "multi_data" in query
        return 200, "text/html", json.dumps({key: self.told.get(key, "") if is_ours else "" for key in keys})


S = TypeVar("S", bound=Stick)


@contextmanager
def plugged(stick: S) -> Iterator[S]:
    """Have a stick answer at `stick.url`, on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stick.answer(self, "GET")

        def do_POST(self) -> None:
            stick.answer(self, "POST")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is none of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    stick.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stick
    finally:
        stick.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
