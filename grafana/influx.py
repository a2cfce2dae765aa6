"""The one door to InfluxDB of boards' checks and previews: InfluxQL by POST, as Grafana sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from wire.errors import Misconfigured, Refused, Unavailable


@dataclass(frozen=True, slots=True)
class Influx:
    """Where to ask. `token` is for 2.7 (database = the mapped bucket's name), None for 1.x without accounts."""

    url: str
    database: str
    token: str | None = None
    timeout_s: float = 30.0

    def query(self, influxql: str) -> list[dict[str, Any]]:
        """Run one statement; its series, empty if there are none. Times are UTC ms.

        Raises Refused if InfluxDB refuses the statement, Unavailable if it does not answer, Misconfigured if the
        address is no HTTP address.
        """
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise Misconfigured(f"{self.url!r} is no address of InfluxDB: write http://HOST:8086")
        body = urlencode({"db": self.database, "epoch": "ms", "q": influxql}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.token is not None:
            headers["Authorization"] = f"Token {self.token}"
        answer = self._ask(Request(f"{self.url.rstrip('/')}/query", body, headers))  # noqa: S310 (scheme checked)
        result = answer["results"][0]
        if "error" in result:
            raise Refused("influxql", str(result["error"]))
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def _ask(self, request: Request) -> Mapping[str, Any]:
        try:
            with urlopen(request, timeout=self.timeout_s) as response:  # noqa: S310 (scheme checked by the caller)
                found: Mapping[str, Any] = json.load(response)
                return found
        except HTTPError as error:
            detail = error.read(400).decode(errors="replace").strip()
            raise Refused("influxql", f"HTTP {error.code}: {detail}") from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise Unavailable(f"InfluxDB at {self.url} does not answer ({error}): is it running?") from error
