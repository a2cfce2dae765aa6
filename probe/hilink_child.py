"""The HiLink backend's child process: one JSON request a line on standard input, one JSON answer a line back.

huawei-lte-api and requests weigh 20 MB, so they live here and not in the daemon; the child stays for as long as the
stick is spoken to, and ends when standard input does. Every connection is bound to the stick's interface: all sticks
have the same address. A wrong password is tried once: sticks lock the login after three.

Request: {"op": "poll" | "restart", "wants_card": bool, "within_s": seconds}; what does not fit in time is left out.
Answer: {"kind": "ok", "signal": {...}, "status": {...}, "plmn": {...}, "pin": {...}, "information": {...}}
or {"kind": "gone" | "mute" | "login" | "garbage", "text": "..."}.
Source: facts/05-hardware.md §2.2.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import requests
from huawei_lte_api.Client import Client
from huawei_lte_api.Connection import Connection
from huawei_lte_api.enums.device import ControlModeEnum
from huawei_lte_api.exceptions import (
    LoginErrorInvalidCredentialsException,
    LoginErrorUsernamePasswordOverrunException,
    ResponseErrorException,
    ResponseErrorLoginCsrfException,
    ResponseErrorLoginRequiredException,
    ResponseErrorWrongSessionToken,
)
from requests.adapters import HTTPAdapter

TIMEOUT_S = 2.0
SPARE_S = 0.5
"""An answer that is not needed is only asked for if at least this is left."""
_EXPIRED = (ResponseErrorLoginCsrfException, ResponseErrorWrongSessionToken, ResponseErrorLoginRequiredException)
_WRONG = (LoginErrorInvalidCredentialsException, LoginErrorUsernamePasswordOverrunException)


class BoundAdapter(HTTPAdapter):
    """Connections that leave by one interface, or not at all."""

    def __init__(self, interface: str) -> None:
        self._option = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        """Make the pool with sockets that are bound before they connect."""
        super().init_poolmanager(*args, **named, socket_options=[self._option])


class Stick:
    """One stick: a session that is made anew once when it has expired."""

    def __init__(self, url: str, interface: str, user: str, password: str | None) -> None:
        self._url, self._interface, self._user, self._password = url, interface, user, password
        self._connection: Connection | None = None
        self._session: requests.Session | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked. Every fault of stick or network is an answer."""
        try:
            try:
                return self._do(request)
            except _EXPIRED:
                self._drop()
                return self._do(request)
        except ResponseErrorLoginRequiredException:
            return self._failed("login", "the stick wants a login; set user and password_file")
        except requests.Timeout:
            return self._failed("mute", "the stick does not answer in time")
        except requests.ConnectionError as error:
            return self._failed("gone", f"no connection ({type(error).__name__})")
        except Exception as error:
            return self._failed("garbage", type(error).__name__)

    def _failed(self, kind: str, text: str) -> dict[str, Any]:
        self._drop()
        return {"kind": kind, "text": text}

    def _drop(self) -> None:
        session, self._session, self._connection = self._session, None, None
        if session is not None:
            session.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            self._session = requests.Session()
            self._session.trust_env = False  # no proxy of the host
            self._session.mount("http://", BoundAdapter(self._interface))
            user = self._user if self._password is not None else None
            try:
                self._connection = Connection(
                    self._url, user, self._password, timeout=TIMEOUT_S, requests_session=self._session
                )
            except _WRONG:
                self._password = None
                raise ResponseErrorLoginRequiredException("wrong password", 0) from None
        return self._connection

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        until_s = time.monotonic() + float(request.get("within_s", 2 * TIMEOUT_S))
        connection = self._opened()
        client = Client(connection)
        if request["op"] == "restart":
            client.device.set_control(ControlModeEnum.REBOOT)
            return {"kind": "ok"}
        answers = {"status": _texts(client.monitoring.status()), "signal": _texts(client.device.signal())}
        others = {"plmn": client.net.current_plmn, "pin": client.pin.status}
        if request.get("wants_card"):
            others["information"] = client.device.information
        for name, ask in others.items():
            left_s = until_s - time.monotonic()
            connection.timeout = min(TIMEOUT_S, max(left_s, SPARE_S))
            answers[name] = _optional(ask) if left_s >= SPARE_S else {}
        connection.timeout = TIMEOUT_S
        return {"kind": "ok", "information": {}} | answers


def _optional(ask: Callable[[], Any]) -> dict[str, str]:
    """What not every stick tells, or tells only after a login."""
    try:
        return _texts(ask())
    except (ResponseErrorException, requests.RequestException):
        return {}


def _texts(answer: Any) -> dict[str, str]:
    if not isinstance(answer, dict):
        raise TypeError("no answer of the API")
    return {key: value for key, value in answer.items() if isinstance(value, str)}


def main() -> None:
    """Answer requests until standard input ends; the first line says where the stick is."""
    where = json.loads(sys.stdin.buffer.readline())
    stick = Stick(where["url"], where["interface"], where["user"], where["password"])
    for line in sys.stdin.buffer:
        os.write(1, json.dumps(stick.answer(json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()
