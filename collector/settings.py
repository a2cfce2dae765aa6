"""The collector's settings: one TOML file, read once, into a frozen tree. Every mistake is one sentence.

Relative paths are taken from the folder of the settings file. Secrets stand in files that the settings name.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, structs

from collector.ledger_place import LedgerPlace, Remote
from wire import topics
from wire.errors import Misconfigured

Text = Annotated[str, Meta(min_length=1, max_length=400)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Origin = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}\Z")]
Bind = Annotated[str, Meta(pattern=r"^(\S+:[0-9]{1,5}|unix:\S+)\Z")]
Url = Annotated[str, Meta(pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/\S*)?\Z")]


_PLAIN = {
    "origin": "a name in small letters, as dosong-provision init was given, such as dosong.example",
    "broker.client_id": "letters, digits, . _ and -, with a . in it: no probe's id has one",
    "broker.others[...]": "HOST:PORT, such as mq2.sokhcn.example:8883",
    "influx.url": "http://HOST:PORT, such as http://127.0.0.1:8086",
    "influx.database": "letters, digits, _ and -, such as dosong",
    "web.bind": "HOST:PORT such as 127.0.0.1:8080, or unix:PATH",
    "ledger.url": "postgresql://ROLE@HOST/DATABASE; the password stands in ledger.password_file",
    "ledger.worker": "letters, digits, _ and -, such as w1",
    "web.grafana_url": "a web address such as https://grafana.example",
}
"""What stands for a regular expression in a message."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables: unknown keys are mistakes."""


class BrokerSettings(Table, frozen=True, kw_only=True):
    """Where mosquitto listens for the collector: a unix socket, or host and port with TLS files (all three or none).

    `others`: HOST:PORT of further brokers of the same cluster, tried in turn. `records_qos`: how records are asked for;
    0 where the broker would make a queue with a consensus of its own at each connection (decision 0042).
    """

    socket: Text | None = None
    host: Text | None = None
    port: Port = 8883
    others: Annotated[tuple[Annotated[str, Meta(pattern=r"^\S+:[0-9]{1,5}\Z")], ...], Meta(max_length=8)] = ()
    ca_file: Text | None = None
    cert_file: Text | None = None
    tls_key_file: Text | None = None
    # With a dot, which no probe's id has: a probe's id is its client id, and the broker throws out an elder namesake.
    client_id: Annotated[str, Meta(pattern=r"^(?=.*\.)[A-Za-z0-9._-]{1,64}\Z")] = "collector.dosong"
    keepalive_s: Annotated[int, Meta(ge=5, le=1200)] = 30
    records_qos: Annotated[int, Meta(ge=0, le=1)] = topics.QOS

    def turn(self, number: int) -> BrokerSettings:
        """The settings of the broker that is tried as the `number`th: each of the cluster in its turn."""
        if not self.others or number % (len(self.others) + 1) == 0:
            return self
        host, _, port = self.others[number % (len(self.others) + 1) - 1].rpartition(":")
        return structs.replace(self, host=host.strip("[]"), port=int(port))


class InfluxSettings(Table, frozen=True, kw_only=True):
    """Where points go. "v1": `/write` (1.6 to 1.8) with `database`; "v2": `/api/v2/write` with `bucket` and `org`.

    `public`: a second database or bucket for what anybody may see (`collector.published`); None: there is none.
    """

    url: Url
    api: Literal["v1", "v2"] = "v1"
    database: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] | None = None
    bucket: Text | None = None
    public: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] | None = None
    org: Text | None = None
    token_file: Text | None = None
    username: Text | None = None
    password_file: Text | None = None


class WebSettings(Table, frozen=True, kw_only=True):
    """Where the pages are served (`host:port` or `unix:path`), and the file that signs sessions."""

    bind: Bind = "127.0.0.1:8080"
    secret_file: Text | None = None
    grafana_url: Url | None = None
    language: Literal["vi", "en"] = "vi"
    threads: Annotated[int, Meta(ge=1, le=64)] = 8
    map_file: Text | None = None
    """GeoJSON of boundaries to draw on the live board, of the deployment's own."""


class WitnessSettings(Table, frozen=True, kw_only=True):
    """A witness of the log: where it takes checkpoints (C2SP tlog-witness), and its public key."""

    url: Url
    vkey: Annotated[str, Meta(max_length=256)]


class LogSettings(Table, frozen=True, kw_only=True):
    """The sealed log: its key, how often a checkpoint is signed when it has grown, and who is asked to cosign it."""

    key_file: Text
    every_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    witnesses: Annotated[tuple[WitnessSettings, ...], Meta(max_length=16)] = ()


class VerdictSettings(Table, frozen=True, kw_only=True):
    """Verdicts: a file of the operators' address ranges, and what the fleet's modems are at best (LTE UE category)."""

    prefixes_file: Text | None = None
    lte_category: Annotated[int, Meta(ge=1, le=99)] = 4


class ApiSettings(Table, frozen=True, kw_only=True):
    """How much programs may ask: requests a minute for each token or login, for each address without one, and how many
    bulk downloads at once (each holds one of the web's threads)."""

    requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 600
    anonymous_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 120
    bulk_at_once: Annotated[int, Meta(ge=1, le=32)] = 2


class LedgerSettings(Table, frozen=True, kw_only=True):
    """A ledger in PostgreSQL instead of a file here. `worker`: what this machine's `receive` is called among others,
    each with a name of its own (None: the machine's name). `registry`: "source" on the one machine where the registry
    is changed, "copy" where it follows that one, "own" where the same documents are loaded by hand."""

    url: Annotated[str, Meta(pattern=r"^postgres(ql)?://\S+\Z", max_length=400)]
    password_file: Text | None = None
    worker: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}\Z")] | None = None
    registry: Literal["own", "source", "copy"] = "own"


class RetentionSettings(Table, frozen=True, kw_only=True):
    """How many days is kept what may go: bytes that were refused, deliveries that brought nothing. Never records."""

    refused_bytes_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    idle_deliveries_days: Annotated[int, Meta(ge=1, le=3650)] = 30


class ReviewSettings(Table, frozen=True, kw_only=True):
    """Cases: within how many working days an answer is due, the office's to a commune and a company's to the office."""

    answer_days: Annotated[int, Meta(ge=1, le=60)] = 5
    company_days: Annotated[int, Meta(ge=1, le=60)] = 10


class ReportSettings(Table, frozen=True, kw_only=True):
    """Reports: the address that QR codes lead to (None: https:// and the origin), and by which mail server reminders
    go (none: no mail). `smtp_tls`: "starttls", "tls" or "none", the last for a server on this machine only."""

    public_url: Url | None = None
    smtp_host: Text | None = None
    smtp_port: Port = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: Text | None = None
    smtp_password_file: Text | None = None
    mail_from: Text | None = None


class EnrolSettings(Table, frozen=True, kw_only=True):
    """The enrolment door: where it is served, who decides behind it, and its TLS files (none behind a proxy)."""

    bind: Bind
    ca_socket: Text
    cert_file: Text | None = None
    tls_key_file: Text | None = None


class Settings(Table, frozen=True, kw_only=True):
    """The whole file. `folder` is where it stands (not a key of the file)."""

    origin: Origin
    state_dir: Text
    ack_key_file: Text
    broker: BrokerSettings
    influx: InfluxSettings
    web: WebSettings = WebSettings()
    api: ApiSettings = ApiSettings()
    ledger_at: LedgerSettings | None = msgspec.field(name="ledger", default=None)
    retention: RetentionSettings = RetentionSettings()
    log_format: Literal["text", "json"] = "text"
    log: LogSettings | None = None
    verdict: VerdictSettings = VerdictSettings()
    review: ReviewSettings = ReviewSettings()
    reports: ReportSettings = ReportSettings()
    enrol: EnrolSettings | None = None
    registry_vkey: Text | None = None
    config_vkey: Text | None = None
    demo: bool = False
    folder: str = "."

    def path(self, text: str) -> Path:
        """A path of the settings, from the folder of the settings file."""
        return Path(self.folder) / text

    @property
    def state(self) -> Path:
        """Folder of the databases."""
        return self.path(self.state_dir)

    @property
    def ledger(self) -> LedgerPlace:
        """The system of record; only `receive` writes it. Raises Misconfigured if its password cannot be read."""
        at = self.ledger_at
        if at is None:
            return self.state / "ledger.db"
        return Remote(at.url, read_secret(self, "ledger.password_file", at.password_file))

    @property
    def registry(self) -> Path:
        """Probes, places, units, logins."""
        return self.state / "registry.db"

    @property
    def forward(self) -> Path:
        """Cursor and parked lines of `forward`."""
        return self.state / "forward.db"

    @property
    def seal(self) -> Path:
        """Indices and signed checkpoints; only `seal` writes it."""
        return self.state / "seal.db"

    @property
    def verdicts(self) -> Path:
        """Verdicts on records, derived; only `judge` writes it."""
        return self.state / "verdict.db"

    @property
    def disputes(self) -> Path:
        """What people said of samples, outages and weak spots; the pages write it."""
        return self.state / "dispute.db"

    @property
    def log_folder(self) -> Path:
        """Public files of the log: a folder a shard."""
        return self.state / "log"


def read_settings(path: Path) -> Settings:
    """Read a settings file. Raises Misconfigured with file, path of the key, what is wrong, and a remedy."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"cannot read settings {path}: {error.strerror}; make them with dosong-provision"
        ) from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{path} is not TOML: {error}; correct that line") from error
    if "folder" in document:
        raise Misconfigured(f"{path}: unknown key `folder`; remove it")
    try:
        settings = msgspec.convert({**document, "folder": str(path.parent)}, Settings)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{path}: {_say(str(error))}") from error
    _check(settings, path)
    return settings


def _say(message: str) -> str:
    """Turn msgspec's `... - at `$.broker.port`` round: the key first, then what is wrong, then what to do."""
    what, _, where = message.partition(" - at ")
    key = where.strip("`").removeprefix("$").removeprefix(".")
    if "field" in what and "`" in what:
        unknown = "unknown" in what
        table = f"in [{key}]" if key else "at the top level"
        found, remedy = ("unknown", "remove it or correct its spelling") if unknown else ("missing", "add it")
        return f"{found} key `{what.split('`')[1]}` {table}; {remedy} (dosong-collector --help shows an example)"
    if "matching regex" in what and key in _PLAIN:
        what = f"expected {_PLAIN[key]}"
    return f"{key}: {what}; write such a value (dosong-collector --help shows an example)"


def _check(settings: Settings, path: Path) -> None:
    """Rules over several keys. Raises Misconfigured."""
    broker, influx = settings.broker, settings.influx
    if (broker.socket is None) == (broker.host is None):
        raise Misconfigured(f"{path}: broker: give either socket or host, not both and not none")
    tls = (broker.ca_file, broker.cert_file, broker.tls_key_file)
    if any(tls) and not all(tls):
        raise Misconfigured(f"{path}: broker: ca_file, cert_file and tls_key_file go together; give all three")
    if influx.api == "v1" and influx.database is None:
        raise Misconfigured(f'{path}: influx: api v1 needs database; write for example database = "dosong"')
    if influx.api == "v2" and (influx.bucket is None or influx.org is None):
        raise Misconfigured(f"{path}: influx: api v2 needs bucket and org; write both")
    if settings.enrol is not None and (settings.enrol.cert_file is None) != (settings.enrol.tls_key_file is None):
        raise Misconfigured(f"{path}: enrol: cert_file and tls_key_file go together; give both, or none behind nginx")
    if (influx.username is None) != (influx.password_file is None):
        raise Misconfigured(f"{path}: influx: username and password_file go together; give both or none")


def read_secret(settings: Settings, name: str, text: str | None) -> str | None:
    """Read a one-line secret file; None if the setting is not given. Raises Misconfigured if it cannot be read."""
    if text is None:
        return None
    path = settings.path(text)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{name}: cannot read {path}: {error.strerror}; create it or correct the path") from error
    if not secret:
        raise Misconfigured(f"{name}: {path} is empty; write the secret on its first line")
    return secret
