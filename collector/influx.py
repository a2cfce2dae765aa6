"""InfluxDB through influxdb-client, synchronous, joined lines: both write APIs, and InfluxQL for counts.

The client's batching mode loses points without an exception, so it is not used; retries are `forward`'s.
`/api/v2/write` (2.x, 3, 1.8, victoria-metrics) is the library's own `write_api`. InfluxDB 1.6 and 1.7, Debian's,
know only `/write`; the library has no method for it, but its generated services are thin calls of
`ApiClient.call_api(path, ...)`, so `/write` and `/query` are called the same way: one connection pool, one set of
time-outs, one kind of exception for both APIs. Precision is nanoseconds, the one name that all versions read alike.
Source: facts note 04 §1d, §3 (versions), §6; influxdb-client 1.50 `WriteService.post_write_with_http_info`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from collector import metricsql
from collector.core.points import MEASUREMENTS
from collector.settings import Settings, read_secret
from wire.errors import Misconfigured, Refused, Unavailable

TIMEOUT_MS = 30_000
NANOSECONDS = "ns"
_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
TAKEN = 204
_REFUSED = frozenset({400, 413, 422})


class NotAllowed(Misconfigured):
    """The login is known, and may not do this."""


class Influx:
    """One InfluxDB. Not safe for several threads."""

    def __init__(self, settings: Settings) -> None:
        """Connects nowhere yet. Raises Misconfigured if a secret file cannot be read."""
        influx = settings.influx
        self._all, self._settings = settings, influx
        self._v2 = influx.api == "v2"
        self._metricsql: bool | None = None
        token = read_secret(settings, "influx.token_file", influx.token_file)
        password = read_secret(settings, "influx.password_file", influx.password_file)
        basic = password is not None
        # The library's types say less than it accepts (token None, precision as text): it is untyped here.
        library: Any = InfluxDBClient
        self._client = library(
            url=influx.url,
            token=f"{influx.username}:{password}" if basic else token,
            org=influx.org or "-",
            timeout=TIMEOUT_MS,
            retries=False,
            auth_basic=basic,
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)

    def twin(self) -> Influx:
        """Another one of the same, for another thread. Raises Misconfigured."""
        return Influx(self._all)

    @property
    def database(self) -> str:
        """What InfluxQL calls the place of our points: the database, or the bucket by its DBRP mapping."""
        return (self._settings.bucket if self._v2 else self._settings.database) or ""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def prepare(self) -> None:
        """Create the database if it is missing (API v1; a bucket is made by whoever owns the organisation).

        A login that may only write is enough if the database exists: whether it does, the first write says.
        Raises Unavailable, or Misconfigured if the login is refused.
        """
        if self._v2:
            return
        try:
            self.query(f'CREATE DATABASE "{self.database}"')
        except NotAllowed:
            return

    def write(self, lines: list[str]) -> None:
        """Write lines, at most 5,000 a call. Returning means that the server said 204.

        Raises Refused("bad_points") if it will never take them all, Unavailable if it may later, Misconfigured if
        it refuses the login or does not know the bucket.
        """
        body = "\n".join(lines).encode()
        if not self._v2:
            self._call("/write", [("db", self.database), ("precision", "n")], body)
        else:
            try:
                self._write_api.write(self.database, self._settings.org, body, write_precision=NANOSECONDS)
            except (ApiException, HTTPError) as error:
                raise self._translated(error) from error
        # Anything else that says "fine" (a proxy, a portal, another program on that port) has taken nothing.
        status = self._client.api_client.last_response.status
        if status != TAKEN:
            raise Misconfigured(self._other_program(f"answers {status} to points, not {TAKEN}"))

    def query(self, influxql: str) -> list[dict[str, Any]]:
        """Run one InfluxQL statement; return its series. Raises like `write`, and Refused if it is wrong."""
        answer = self._call("/query", [("db", self.database), ("epoch", "ns"), ("q", influxql)], b"")
        try:
            result = json.loads(answer)["results"][0]
        except (ValueError, LookupError, TypeError) as error:
            raise Misconfigured(self._other_program("does not answer a query as InfluxDB does")) from error
        if "error" in result:
            raise Refused("bad_query", str(result["error"])[:200])
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def counts(self, measurement: str, field: str) -> dict[str, int]:
        """How many points with `field` each probe has in `measurement`, over all time."""
        if self._speaks_metricsql():
            return metricsql.probe_counts(self._ask, measurement, field)
        found = self.query(
            f'SELECT count("{field}") FROM "{measurement}"'  # noqa: S608 (fixed names)
            " WHERE time >= '1970-01-01T00:00:00Z' AND time < '2262-01-01T00:00:00Z' GROUP BY \"probe\""
        )
        return {series["tags"]["probe"]: int(series["values"][0][1]) for series in found}

    def hour_counts(
        self, measurement: str, field: str, since_ms: int, until_ms: int
    ) -> dict[tuple[str, str, int], int]:
        """How many points with `field` each hamlet and operator ("" for a missing tag) has in each hour (UTC ms)."""
        if self._speaks_metricsql():
            return metricsql.hour_counts(self._ask, measurement, field, since_ms, until_ms)
        found = self.query(
            f'SELECT count("{field}") FROM "{measurement}"'  # noqa: S608 (fixed names)
            f' WHERE time >= {since_ms}ms AND time < {until_ms}ms GROUP BY time(1h), "hamlet", "plmn" fill(none)'
        )
        return {
            (series["tags"]["hamlet"], series["tags"]["plmn"], at_ns // 1_000_000): int(number)
            for series in found
            for at_ns, number in series["values"]
        }

    def _speaks_metricsql(self) -> bool:
        """Whether this is victoria-metrics, which answers any InfluxQL with a list of databases that it has not."""
        if self._metricsql is None:
            found = self.query('SELECT count("none") FROM "none"') if self._v2 else []
            self._metricsql = any(series.get("name") == "databases" for series in found)
        return self._metricsql

    def _ask(self, path: str, parameters: list[tuple[str, str]]) -> bytes:
        return self._call(path, parameters, b"")

    def drop(self) -> None:
        """Delete every point of ours. Raises like `write`."""
        for measurement in MEASUREMENTS:
            if self._speaks_metricsql():
                match = f'{{__name__=~"{measurement}_.+"}}'
                self._ask("/api/v1/admin/tsdb/delete_series", [("match[]", match)])
            elif self._v2:
                self._delete(f'_measurement="{measurement}"', "1970-01-01T00:00:00Z", "2262-01-01T00:00:00Z")
            else:
                self.query(f'DROP MEASUREMENT "{measurement}"')

    def forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None:
        """Delete the points of one tag's code in since <= t < until.

        Raises like `write`; Refused("cannot_delete") where the server cannot: victoria-metrics has no spans, and 2.x no
        way to name a tag that is missing.
        """
        if (self._v2 and not code) or self._speaks_metricsql():
            raise Refused("cannot_delete", f"{measurement} of {tag} {code or 'none'} cannot be deleted by span there")
        if self._v2:
            span = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (since_ms, until_ms))
            self._delete(f'_measurement="{measurement}" AND {tag}="{code}"', *span)
        else:
            where = f"\"{tag}\" = '{code}' AND time >= {since_ms}ms AND time < {until_ms}ms"
            self.query(f'DELETE FROM "{measurement}" WHERE {where}')  # noqa: S608 (codes only)

    def _delete(self, predicate: str, start: str, stop: str) -> None:
        try:
            self._client.delete_api().delete(start, stop, predicate, bucket=self.database, org=self._settings.org)
        except (ApiException, HTTPError) as error:
            raise self._translated(error) from error

    def _call(self, path: str, query: list[tuple[str, str]], body: bytes) -> bytes:
        """POST to a 1.x endpoint through the library's own client."""
        api = self._client.api_client
        headers = dict(_PLAIN)
        if self._client.auth_header_name:
            headers[self._client.auth_header_name] = self._client.auth_header_value
        try:
            answer = api.call_api(
                path,
                "POST",
                query_params=query,
                header_params=headers,
                body=body,
                auth_settings=[],
                _preload_content=False,
                _return_http_data_only=True,
            )
            return bytes(answer.data)
        except (ApiException, HTTPError) as error:
            raise self._translated(error) from error

    def _translated(self, error: ApiException | HTTPError) -> Refused | Unavailable | Misconfigured:
        """Our error for theirs, named for what the caller must do."""
        where = self._settings.url
        status = getattr(error, "status", None)
        if not isinstance(error, ApiException) or not status:
            return Unavailable(
                f"InfluxDB at {where} does not answer ({_reason(error)}); start it or correct influx.url"
            )
        said = _message(error)
        if status in _REFUSED:
            return Refused("bad_points", said)
        if status == 401:
            files = "token_file" if self._v2 else "username and password_file"
            return Misconfigured(f"InfluxDB at {where} refuses the login (401); correct {files} under [influx]")
        if status == 403:
            return NotAllowed(
                f"InfluxDB at {where} does not let this login write to {self.database} (403: {said}); grant it WRITE"
            )
        if status == 404:
            unknown = f"does not know {self.database} or api {self._settings.api}"
            return Misconfigured(
                f"InfluxDB at {where} {unknown} ({said}); create {self.database}, or correct url, api and names"
                " under [influx]"
            )
        return Unavailable(f"InfluxDB at {where} answers {status} ({said}); see its log")

    def _other_program(self, does: str) -> str:
        return f"what listens at {self._settings.url} {does}; is it InfluxDB? correct influx.url"


def _reason(error: Exception) -> str:
    """Why nothing came back, in the system's words if it gave any."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or str(error)[:80] or type(error).__name__


def _message(error: ApiException) -> str:
    """What the server said, short."""
    body = error.body if error.body is not None else getattr(error.response, "data", b"")
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or error.reason)
    try:
        answer = json.loads(text)
        text = str(answer.get("error") or answer.get("message") or text)
    except (ValueError, AttributeError):
        pass
    return text.strip()[:200]
