"""Settings of a probe: one TOML file to a frozen tree, once, before any device is opened.

An unknown key, a wrong type or a value out of range is Misconfigured (exit status 78), in one sentence with the path,
the value, the limit and what to do. Secrets are never here: keys are files that are named here.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from probe.settings_modem import Interface, Modem, Name, Table, check_modems
from probe.settings_page import Page, check_page
from probe.settings_recovery import Recovery
from probe.settings_tls import check_tls
from wire.errors import Misconfigured
from wire.keyfile import read_verifier
from wire.records import Code, LatE7, LonE7, ProbeId

Port = Annotated[int, Meta(ge=1, le=65535)]
Seed = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_PLAIN = {
    "probe": "3 to 32 of a-z 0-9 -, for example p-dong-chuoi",
    "origin": "a domain name such as dosong.example",
    "id": "m1, m2, m3 or m4",
    "interface": "an interface's name such as cell0, at most 15 characters",
    "ways": "an interface's name such as wlan0, at most 15 characters",
    "plmn": "5 or 6 digits such as 45204",
    "seed": "64 hexadecimal digits",
    "sim": "16 hexadecimal digits",
    "usb": 'auto, or a USB path such as "1-1.2"',
    "url": "http://HOST or http://HOST:PORT",
    "enrol_url": "https://HOST or https://HOST:PORT",
    "site": "at most 32 of A-Z a-z 0-9 _ -",
    "referral": "at most 32 of A-Z a-z 0-9 _ -",
    "server": "http://HOST:PORT, https://HOST:PORT or http://HOST:PORT/speedtest/upload.php",
}
"""What stands for a regular expression in a message, by the last part of the key."""
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


class Surveyed(Table, frozen=True, kw_only=True):
    """`[position]`: the site's surveyed position, WGS 84."""

    lat_e7: LatE7
    lon_e7: LonE7


class Broker(Table, frozen=True, kw_only=True):
    """`[broker]`: where records go. `interface`: bind the connection to it; None leaves it to the routes.

    `ways`: interfaces by which records may leave, best first, such as the modem's and then the hall's Wi-Fi; when one
    fails the next is tried, and the first one again after an hour. Tests always go by the modem.

    `others`: "host:port" of further brokers of the same cluster: one that cannot be reached, or that lets go, is
    followed by the next. They stand for each other, so each probe begins at one of its own.

    `retry_low_s`, `retry_high_s`: first and longest wait between connections. `resend_low_s`: how long without an ACK
    until records are sent again, doubling up to `resend_high_s`.
    """

    host: Name
    port: Port = 8883
    others: Annotated[tuple[str, ...], Meta(max_length=8)] = ()
    ca_file: str
    cert_file: str
    tls_key_file: str
    keepalive_s: Annotated[int, Meta(ge=5, le=1200)] = 120
    interface: Interface | None = None
    ways: Annotated[tuple[Interface, ...], Meta(max_length=6)] = ()
    retry_low_s: Annotated[float, Meta(ge=0.1, le=600)] = 5.0
    retry_high_s: Annotated[float, Meta(ge=0.1, le=3600)] = 600.0
    resend_low_s: Annotated[float, Meta(ge=0.5, le=600)] = 15.0
    resend_high_s: Annotated[float, Meta(ge=0.5, le=3600)] = 600.0

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Host and port of every broker. Raises ValueError if one of `others` is not written so."""
        return ((self.host, self.port), *(_place(text) for text in self.others))


class Schedule(Table, frozen=True, kw_only=True):
    """`[schedule]`: the slot's length, and the secret from which each slot's instant is drawn."""

    slot_s: Annotated[int, Meta(ge=10, le=86_400)]
    seed: Seed
    catch_up: bool = False


class Coverage(Table, frozen=True, kw_only=True):
    """`[coverage]`: steps of `step_s`, `steps` of them a record, a poll of the modem every `poll_s`."""

    step_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    steps: Annotated[int, Meta(ge=1, le=60)] = 60
    poll_s: Annotated[int, Meta(ge=1, le=600)] = 10
    degraded_echo: bool = True


class Reachability(Table, frozen=True, kw_only=True):
    """`[reachability]`: what else is asked when the echo is lost, so that our own server is not taken for the network.

    `others`: "address:port" of independent targets that take TCP connections; empty: none is asked. `looks`: False
    leaves it at the lost echo.
    """

    others: tuple[str, ...] = ("1.1.1.1:443", "8.8.8.8:443")
    looks: bool = True

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Address and port of each of `others`. Raises ValueError if one is not written so."""
        return tuple(_literal(text) for text in self.others)


class Gps(Table, frozen=True, kw_only=True):
    """`[gps]`: where gpsd listens."""

    host: Name = "127.0.0.1"
    port: Port = 2947


class Engine(Table, frozen=True, kw_only=True):
    """`[engine]`: what measures, against which server, within which limits.

    `server`: URL of a measurement point; speedtest-cli takes any mini server. `echo`: "address:port" of a UDP echo, a
    literal address. `dns`: addresses of the link's own name servers, needed if the server is a name. `portal_check`:
    the server is a measurement point of ours.
    For the engine dosong: it stops when it is precise, at most `downlink_s`, `uplink_s` and 5 s (`saver`: 3 s) after
    the ramp. `busy_wait_s`, `quiet_wait_s`: how long a busy point or others on the link are waited for in the slot.
    `compare`: run the other engine too, in the same slot, as a record that is never counted.
    """

    name: Literal["dosong", "speedtest-cli"] = "dosong"
    server: Annotated[str, Meta(pattern=r"^https?://[^/?#]+(/speedtest/upload\.php)?\Z")]
    ca_file: Name | None = None
    echo: Name | None = None
    downlink_s: Annotated[int, Meta(ge=0, le=60)] = 10
    uplink_s: Annotated[int, Meta(ge=0, le=60)] = 10
    max_downlink_bytes: Annotated[int, Meta(ge=100_000)] | None = None
    max_uplink_bytes: Annotated[int, Meta(ge=100_000)] | None = None
    dns: tuple[str, ...] = ()
    time_limit_s: Annotated[int, Meta(ge=5, le=600)] = 90
    portal_check: bool = True
    saver: bool = False
    compare: bool = False
    busy_wait_s: Annotated[int, Meta(ge=0, le=300)] = 20
    quiet_wait_s: Annotated[int, Meta(ge=0, le=300)] = 10

    @property
    def server_address(self) -> tuple[str, int]:
        """Host and port of the server."""
        parts = urlsplit(self.server)
        return parts.hostname or "", parts.port or (443 if self.is_tls else 80)

    @property
    def is_tls(self) -> bool:
        """Whether the server is asked over TLS."""
        return self.server.startswith("https://")

    @property
    def echo_address(self) -> tuple[str, int] | None:
        """Address and port of the echo; None if none is set."""
        return None if self.echo is None else _literal(self.echo)


class Budget(Table, frozen=True, kw_only=True):
    """`[budget]`: bytes that one SIM may move in a billing period, which begins on `billing_day` of each month.

    `vnd_per_gb`: what a gigabyte (10^9 bytes) costs in đồng, for forecasts; None: no price is shown.
    """

    limit_bytes: Annotated[int, Meta(ge=1_000_000)]
    billing_day: Annotated[int, Meta(ge=1, le=28)] = 1
    vnd_per_gb: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None


class Clock(Table, frozen=True, kw_only=True):
    """`[clock]`: "adjtimex" believes the wall clock once the kernel bounds its error; "always" believes the host.

    "always" is for containers and demonstrations, where another system keeps the host's clock.
    """

    trust: Literal["adjtimex", "always"] = "adjtimex"


class Spool(Table, frozen=True, kw_only=True):
    """`[spool]`: bytes of records that may be held, and for how long acknowledged ones are kept."""

    limit_bytes: Annotated[int, Meta(ge=65_536, le=1 << 36)] = 64_000_000
    keep_acked_days: Annotated[int, Meta(ge=0, le=60)] = 7


class Settings(Table, frozen=True, kw_only=True):
    """The whole file. File names are relative to the file itself; `folder`, `file`: where that is.

    `log_vkey`: the key of the log, whose checkpoints records name; None: they name none.
    """

    probe: ProbeId
    origin: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.-]{1,64}\Z")]
    state_dir: Name
    key_file: Name
    ack_vkey: Name
    site: Code
    engine: Engine
    schedule: Schedule
    modem: Annotated[tuple[Modem, ...], Meta(min_length=1, max_length=4)]
    config_vkey: Name | None = None
    log_vkey: Name | None = None
    enrol_url: Annotated[str, Meta(pattern=r"^https://\S+\Z")] | None = None
    simulated: bool = False
    referral: Code | None = None
    position: Surveyed | None = None
    broker: Broker | None = None
    coverage: Coverage = Coverage()
    reachability: Reachability = Reachability()
    gps: Gps | None = None
    budget: Budget | None = None
    clock: Clock = Clock()
    recovery: Recovery = Recovery()
    spool: Spool = Spool()
    page: Page | None = None
    folder: str = "."
    file: str = "probe.toml"

    @property
    def engine_ca_file(self) -> str | None:
        """Where the file lies that vouches for the engine's server; None without TLS."""
        return None if self.engine.ca_file is None else str(self.path(self.engine.ca_file))

    def path(self, name: str) -> Path:
        """Resolve a file name of this file."""
        return Path(self.folder) / name


def load(path: Path) -> Settings:
    """Read and check the settings file. Raises Misconfigured."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}; make it with dosong-provision") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}; correct that line") from error
    for name in {"folder", "file"} & document.keys():
        raise Misconfigured(f"{path}: {name} is not a setting; remove the line")
    try:
        settings = msgspec.convert(document | {"folder": str(path.parent), "file": path.name}, Settings)
    except msgspec.ValidationError as error:
        raise Misconfigured(_explain(path, document, str(error))) from error
    _check(path, settings)
    return settings


def _explain(path: Path, document: dict[str, Any], text: str) -> str:
    """Turn "Expected `int` <= 65535 - at `$.broker.port`" into a sentence with file, key, value, limit and remedy."""
    match = _PATH.search(text)
    where = match["path"] if match else ""
    rule = text[: match.start()] if match else text
    if "unknown field" in rule:
        return f"{path}: {_at(where)}{rule.lower()}; remove it or correct its spelling"
    if "missing required field" in rule:
        return f"{path}: {_at(where)}{rule[0].lower()}{rule[1:]}; add it"
    key = where.rpartition(".")[2].partition("[")[0]
    if "matching regex" in rule and key in _PLAIN:
        rule = f"expected {_PLAIN[key]}"
    shown = "(not shown)" if key == "seed" else repr(_value(document, where))
    return f"{path}: {where} = {shown} is not allowed ({rule[0].lower()}{rule[1:]}); correct it"


def _at(where: str) -> str:
    return f"[{where}] " if where else ""


def _value(document: Any, where: str) -> Any:
    for step in re.findall(r"[^.\[\]]+", where):
        try:
            document = document[int(step)] if isinstance(document, list | tuple) else document[step]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return document


def _check(path: Path, settings: Settings) -> None:
    """Rules that no single field can state."""
    for attribute in ("id", "port", "interface", "usb"):
        found = [value for modem in settings.modem if (value := getattr(modem, attribute)) is not None]
        if len(set(found)) != len(found):
            raise Misconfigured(f"{path}: two [[modem]] tables have the same {attribute} {found}; give each its own")
    if settings.coverage.poll_s > settings.coverage.step_s:
        limit = settings.coverage.step_s
        raise Misconfigured(
            f"{path}: coverage.poll_s = {settings.coverage.poll_s} is longer than coverage.step_s = {limit}; lower it"
        )
    check_modems(path, settings.modem)
    _check_engine(path, settings.engine)
    check_tls(path, settings.engine, settings.path)
    check_page(path, settings.page, [modem.interface for modem in settings.modem if modem.interface is not None])
    _check_others(path, settings.reachability)
    _check_ways(path, settings.broker)
    _check_brokers(path, settings.broker)
    for name, purpose in (("ack_vkey", "ack"), ("config_vkey", "config"), ("log_vkey", "log")):
        if (text := getattr(settings, name)) is not None:
            _check_vkey(f"{path}: {name}", text, f"{settings.origin}/{purpose}")


def _check_vkey(where: str, text: str, wanted: str) -> None:
    """A key of another purpose would have every answer of the collector refused for ever: stop at once instead."""
    try:
        found = read_verifier(text, where).name
    except Misconfigured as error:
        raise Misconfigured(f"{error}; copy the line from identity.toml") from error
    if found != wanted:
        raise Misconfigured(f"{where} is the key of {found}; put that of {wanted} there (it is in identity.toml)")


def _check_engine(path: Path, engine: Engine) -> None:
    try:
        host, _port = engine.server_address
    except ValueError as error:
        raise Misconfigured(f"{path}: engine.server = {engine.server!r}: {error}; give http://host:port/...") from error
    if not _is_address(host) and not engine.dns:
        raise Misconfigured(f"{path}: engine.server names {host!r} but engine.dns is empty; list the link's servers")
    for server in engine.dns:
        if not _is_address(server):
            raise Misconfigured(f"{path}: engine.dns holds {server!r}; give addresses, not names")
    try:
        echo = engine.echo_address
    except ValueError:
        echo = ("", 0)
    if echo is not None and (not _is_address(echo[0]) or not 1 <= echo[1] <= 65535):
        raise Misconfigured(f"{path}: engine.echo = {engine.echo!r}; give address:port, for example 198.51.100.7:7480")


def _place(text: str) -> tuple[str, int]:
    host, port = _literal(text)
    if not host or not 1 <= port <= 65535:
        raise ValueError(text)
    return host, port


def _check_brokers(path: Path, broker: Broker | None) -> None:
    try:
        _ = broker.places if broker is not None else ()
    except ValueError as error:
        raise Misconfigured(
            f"{path}: broker.others: {error}; give host:port of each, such as mq2.example:8883"
        ) from error


def _check_ways(path: Path, broker: Broker | None) -> None:
    if broker is not None and broker.ways and broker.interface is not None:
        raise Misconfigured(f"{path}: broker.interface and broker.ways are both set; put the interface first in ways")
    if broker is not None and len(set(broker.ways)) != len(broker.ways):
        raise Misconfigured(f"{path}: broker.ways names an interface twice: {list(broker.ways)}; name each once")


def _check_others(path: Path, reachability: Reachability) -> None:
    for text in reachability.others:
        try:
            host, port = _literal(text)
        except ValueError:
            host, port = "", 0
        if not _is_address(host) or not 1 <= port <= 65535:
            example = 'address:port, for example "1.1.1.1:443"'
            raise Misconfigured(f"{path}: reachability.others holds {text!r}; give {example}")


def _literal(text: str) -> tuple[str, int]:
    """Address and port of "address:port". Raises ValueError if the port is no number."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
