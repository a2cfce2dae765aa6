"""Settings of the point: defaults, an optional TOML file, then the command line.

Raises Misconfigured with the key, the value and the limit for anything that is not a setting.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from wire.errors import Misconfigured

_LIMITS: dict[str, tuple[int, int]] = {
    "port": (0, 65535),
    "udp_port": (0, 65535),
    "max_connections": (1, 100_000),
    "idle_timeout_s": (1, 3600),
    "request_timeout_s": (1, 3600),
    "max_upload_bytes": (1 << 20, 1 << 40),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the point listens on and its limits.

    `udp_port` None means the number of the TCP port. `request_timeout_s` bounds the reading of a head,
    `idle_timeout_s` the time in which no byte moves.
    """

    bind: str = "0.0.0.0"
    port: int = 7480
    udp_port: int | None = None
    max_connections: int = 512
    idle_timeout_s: int = 15
    request_timeout_s: int = 10
    max_upload_bytes: int = 1 << 30


def load(path: Path | None) -> Settings:
    """Read the table `[point]` of a TOML file; None gives the defaults. Raises Misconfigured if it is unusable."""
    if path is None:
        return Settings()
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"cannot read the settings file {path}: {error}") from error
    table = document.get("point", {})
    if set(document) - {"point"} or not isinstance(table, dict):
        raise Misconfigured(f"{path}: the only table known here is [point]; remove the others")
    return override(Settings(), table)


def override(settings: Settings, values: dict[str, object]) -> Settings:
    """Replace the given keys; values that are None are left out. Raises Misconfigured for a bad key or value."""
    known = {field.name for field in fields(Settings)}
    given = {key: value for key, value in values.items() if value is not None}
    for key, value in given.items():
        if key not in known:
            raise Misconfigured(f"point.{key} is no setting; known are {', '.join(sorted(known))}")
        _check(key, value)
    return replace(settings, **given)  # type: ignore[arg-type]


def _check(key: str, value: object) -> None:
    if key == "bind":
        if not isinstance(value, str) or not value:
            raise Misconfigured(f"point.bind = {value!r}: give an address such as 0.0.0.0 or ::")
        return
    low, high = _LIMITS[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Misconfigured(f"point.{key} = {value!r}: give a whole number from {low} to {high}")
