"""Settings of the point: defaults, an optional TOML file, then the command line.

Raises Misconfigured with the key, the value and the limit for anything that is not a setting.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from wire.errors import Misconfigured

_LIMITS: dict[str, tuple[int, int]] = {
    "port": (0, 65535),
    "udp_port": (0, 65535),
    "tls_port": (0, 65535),
    "max_connections": (1, 100_000),
    "idle_timeout_s": (1, 3600),
    "request_timeout_s": (1, 3600),
    "max_upload_bytes": (1 << 20, 1 << 40),
    "capacity_bps": (1_000_000, 1_000_000_000_000),
    "max_tests": (1, 10_000),
    "tests_of_a_source": (1, 10_000),
    "test_bytes": (1 << 20, 4_000_000_000),
    "test_s": (1, 60),
    "ticket_s": (1, 120),
    "rest_s": (1, 120),
    "mini_requests_s": (1, 100_000),
    "echoes_s": (1, 100_000),
}
_TEXTS: dict[str, tuple[str, str]] = {
    "bind": (r".+", "give an address such as 0.0.0.0 or ::"),
    "origin": (r"[a-z0-9][a-z0-9.-]{0,63}", "give the deployment's name, such as dosong.example"),
    "point": (r"[A-Za-z0-9_-]{1,32}", "give this point's code: 1 to 32 letters, digits, _ or -"),
    "key_file": (r".+", "give the path of the point's key, relative to this file"),
    "state_dir": (r".+", "give a folder, relative to this file"),
    "tls_cert_file": (r".+", "give the path of a PEM certificate with its chain, relative to this file"),
    "tls_key_file": (r".+", "give the path of the certificate's key, relative to this file"),
}
_SIGNING = ("origin", "point", "key_file")
_TLS = ("tls_port", "tls_cert_file", "tls_key_file")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the point listens on and its limits.

    `udp_port` None means the number of the TCP port. `request_timeout_s` bounds the reading of a head,
    `idle_timeout_s` the time in which no byte moves. With `origin`, `point` and `key_file` (all or none) the point
    speaks the measuring protocol and signs as `<origin>/point/<point>`. A ticket is valid for `ticket_s` and holds
    its place while it does not rest longer than `rest_s`; a test is limited to `test_s` and `test_bytes` a direction,
    and there are at most `max_tests` at once (`tests_of_a_source` of one address) within `capacity_bps` of the link.
    `mini_requests_s` and `echoes_s` are the lasting rates of one address; twenty, and ten, seconds' worth may come at
    once. With `tls_port`, `tls_cert_file` and `tls_key_file` (all or none) a second port serves the same over TLS.
    `state_dir` keeps the health history; None keeps it in memory only.
    """

    bind: str = "0.0.0.0"
    port: int = 7480
    udp_port: int | None = None
    max_connections: int = 512
    idle_timeout_s: int = 15
    request_timeout_s: int = 10
    max_upload_bytes: int = 1 << 30
    origin: str | None = None
    point: str | None = None
    key_file: str | None = None
    state_dir: str | None = None
    tls_port: int | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    capacity_bps: int = 1_000_000_000
    max_tests: int = 32
    tests_of_a_source: int = 16
    test_bytes: int = 400_000_000
    test_s: int = 12
    ticket_s: int = 120
    rest_s: int = 10
    mini_requests_s: int = 20
    echoes_s: int = 100


def load(path: Path | None) -> Settings:
    """Read the table `[point]` of a TOML file; None gives the defaults. Raises Misconfigured if it is unusable."""
    if path is None:
        return Settings()
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"cannot read the settings file {path}: {error.strerror}; correct --config") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}; correct that line") from error
    table = document.get("point", {})
    if set(document) - {"point"} or not isinstance(table, dict):
        raise Misconfigured(f"{path}: the only table known here is [point]; remove the others")
    settings = override(Settings(), table)
    for purpose, keys in (("signing", _SIGNING), ("TLS", _TLS)):
        missing = [key for key in keys if getattr(settings, key) is None]
        if missing and len(missing) < len(keys):
            raise Misconfigured(f"{path}: point.{missing[0]} is missing; {purpose} needs {', '.join(keys)}")
    return replace(
        settings,
        key_file=_beside(path, settings.key_file),
        state_dir=_beside(path, settings.state_dir),
        tls_cert_file=_beside(path, settings.tls_cert_file),
        tls_key_file=_beside(path, settings.tls_key_file),
    )


def _beside(path: Path, name: str | None) -> str | None:
    return None if name is None else str(path.parent / name)


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
    if key in _TEXTS:
        pattern, remedy = _TEXTS[key]
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise Misconfigured(f"point.{key} = {value!r}: {remedy}")
        return
    low, high = _LIMITS[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Misconfigured(f"point.{key} = {value!r}: give a whole number from {low} to {high}")
