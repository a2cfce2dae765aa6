"""`dosong-collector`: joins the parts of the collector, reads the clock, turns errors into exit codes."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector import identity_commands, visit
from collector.account_commands import COMMANDS as ACCOUNT_COMMANDS
from collector.bind import check_bind
from collector.command import sentence, with_config
from collector.export import rows
from collector.forward import Forwarder
from collector.forward_store import forward_memory
from collector.health import now_ms, read_health
from collector.import_export import import_paths
from collector.ingest import Ingest
from collector.ledger import LedgerReader
from collector.ledger_engine import open_ledger
from collector.log_commands import COMMANDS, REBUILDS
from collector.mirrors import beside, judge_by, mirror_of
from collector.opener import Hello
from collector.opener_child import fork
from collector.opener_line import OpenerLine
from collector.pack_command import pack
from collector.partitions import partitions_of
from collector.postgres_commands import COMMANDS as POSTGRES_COMMANDS
from collector.proofs import Prover
from collector.published import fill_new, forward_target
from collector.receive import Receiver
from collector.registry import Registry
from collector.report_commands import COMMANDS as REPORT_COMMANDS
from collector.retention import Sweeper
from collector.retention_commands import COMMANDS as RETENTION_COMMANDS
from collector.seal_service import SealService, log_signer
from collector.seal_store import SealReader
from collector.series_commands import REBUILDS as SERIES_REBUILDS
from collector.series_commands import influx_of, reconcile
from collector.settings import Settings, read_settings
from collector.statements import statements_of
from collector.submit import submit
from collector.supervise import Supervisor
from collector.token_commands import COMMANDS as TOKEN_COMMANDS
from wire.errors import EXIT_FAILED, Misconfigured
from wire.keyfile import read_signer

if TYPE_CHECKING:
    pass

EXAMPLE = """\b
Settings (TOML):
  origin = "dosong.example"
  state_dir = "/srv/dosong/collector/state"
  ack_key_file = "ack.key"
  [broker]
  socket = "/run/mosquitto/collector.sock"
  [influx]
  url = "http://127.0.0.1:8086"
  api = "v1"
  database = "dosong"
  [web]
  bind = "127.0.0.1:8080"
  secret_file = "web.secret"
  [log]
  key_file = "log.key"
\b
Examples:
  dosong-collector run --config collector.toml
  dosong-collector status --config collector.toml --json
  dosong-collector refusals --config collector.toml --limit 20
  dosong-collector import-export --config collector.toml /media/usb/p-dong-chuoi
  dosong-collector visit-code --config collector.toml p-dong-dong AM6K-3FDD
  dosong-collector backup --config collector.toml /backup/2026-11-22
  dosong-collector rebuild influx --config collector.toml
  dosong-collector account add --config collector.toml phuxuyen --role official --scope 05755
  dosong-collector token create --config collector.toml --role official --scope 05755 --label "UBND xã Phú Xuyên"
  dosong-collector export --config collector.toml --hamlet dt-lang-muoi > records.jsonl
\b
Exit codes: 0 ok, 1 failed check, 2 usage, 78 misconfigured (a person must act).
"""


@click.group(epilog=EXAMPLE)
def main() -> None:
    """Collector of dosong: broker to ledger to InfluxDB to pages."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


for _command in (*COMMANDS, *identity_commands.COMMANDS, pack):
    main.add_command(_command)


def _stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set: from another thread, for it may be held by the one that the signal met."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop.set, daemon=True).start())
    return stop


@main.command()
@with_config
def receive(settings: Settings) -> None:
    """Broker to ledger, with signed acknowledgements."""
    child = fork() if len(os.sched_getaffinity(0)) > 1 else None
    stop = _stop_on_signals()
    signer = read_signer(settings.path(settings.ack_key_file))
    if signer.name != f"{settings.origin}/ack":
        raise Misconfigured(
            f"ack_key_file {settings.path(settings.ack_key_file)} holds the key {signer.name};"
            f" {settings.origin}/ack is needed: name the ack.key that dosong-provision made, or correct origin"
        )
    ledger = open_ledger(settings.ledger)
    registry = Registry(settings.registry)
    ingest = Ingest(ledger, registry, settings.origin)
    ingest.statements = statements_of(settings)
    line = OpenerLine(Hello(settings.origin, ledger.dictionary), child)
    partitions, mirror = None, mirror_of(settings)
    ingest.line = line if child is not None else None
    try:
        receiver = Receiver(settings, ingest, signer, stop)
        sweep = Sweeper(lambda: ledger.let_go(settings.retention, now_ms()))
        receiver.sweep = judge_by(mirror, ledger, ingest.follower, sweep)
        receiver.partitions = partitions = partitions_of(settings, ledger, ingest)
        receiver.run()
    finally:
        if partitions is not None:
            partitions.close()
        if mirror is not None:
            mirror.close()
        line.close()
        ledger.close()
        registry.close()


@main.command()
@with_config
def forward(settings: Settings) -> None:
    """Ledger to InfluxDB."""
    stop = _stop_on_signals()
    writer = forward_target(settings, influx_of)
    store = forward_memory(settings)
    fill_new(store, settings.influx.public)
    registry = Registry(settings.registry)
    try:
        with beside(settings):
            Forwarder(settings, LedgerReader(settings.ledger), registry, store, writer, stop).run()
    finally:
        store.close()
        registry.close()
        writer.close()


@main.command()
@with_config
def seal(settings: Settings) -> None:
    """Ledger to sealed log: indices, tiles, a signed checkpoint every minute."""
    SealService(settings, _stop_on_signals()).run()


@main.command()
@with_config
def web(settings: Settings) -> None:
    """The pages, under gunicorn."""
    from collector.serve import serve  # noqa: PLC0415 (as above)

    serve(settings)


@main.command()
@with_config
def enrol(settings: Settings) -> None:
    """The enrolment door, under gunicorn; dosong-provision ca serve decides behind it."""
    from collector.serve import serve_enrol  # noqa: PLC0415 (as above)

    serve_enrol(settings)


@main.command()
@click.option("--config", "config", required=True, type=click.Path(path_type=Path), help="Settings file (TOML).")
@sentence
def run(config: Path) -> None:
    """Receive, forward, judge, remind, seal and web in one supervised process, for a small deployment."""
    settings = read_settings(config)
    open_ledger(settings.ledger).close()
    check_bind(settings.web.bind)
    words = ("--config", str(config))
    names = ["receive", "forward", "web", "judge", "remind"]
    if settings.log is not None:
        log_signer(settings)
        names.append("seal")
    sys.exit(Supervisor({name: (name, *words) for name in names}, _stop_on_signals()).run())


@main.group()
def rebuild() -> None:
    """Make again what is derived from the ledger."""


for _command in (*REBUILDS, *SERIES_REBUILDS):
    rebuild.add_command(_command)


@main.command()
@with_config
@click.option("--probe", help="Only this probe's records.")
@click.option("--hamlet", help="Only records of this hamlet (code).")
@click.option("--epoch", type=int, help="Only records of this epoch.")
@click.option("--proofs", is_flag=True, help="With each record the proof that the sealed log holds it.")
def export(settings: Settings, probe: str | None, hamlet: str | None, epoch: int | None, proofs: bool) -> None:
    """Records as JSON lines, signed bytes included (`raw`); `dosong-verify` checks them offline."""
    prover = Prover(SealReader(settings.seal), settings.log_folder) if proofs else None
    held = LedgerReader(settings.ledger)
    for row in rows(held, epoch=epoch, probe=probe, hamlet=hamlet, verdicts=settings.verdicts):
        found = prover.proof(row["n"]) if prover else None
        if found is not None:
            row["proof"] = found.decode()
        click.echo(json.dumps(row, ensure_ascii=False))


@main.command("import-export")
@with_config
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE...")
def import_export(settings: Settings, paths: tuple[Path, ...]) -> None:
    """Store the records of a probe's export (files, or its folder) by the running `receive`, each exactly once.

    Exit 1 if a file could not be used or a record was refused.
    """
    done = import_paths(paths, settings.origin, partial(submit, settings.state))
    click.echo(f"files: {done.files}, accepted: {done.accepted}, duplicate: {done.duplicate}, refused: {done.refused}")
    if done.refused:
        reasons = " ".join(sorted(done.refused_as))
        click.echo(f"refused as: {reasons}; see dosong-collector refusals", err=True)
    for fault in done.faults:
        click.echo(f"dosong-collector: {fault}", err=True)
    if done.refused or done.faults:
        sys.exit(EXIT_FAILED)


@main.command("visit-code")
@with_config
@click.argument("probe")
@click.argument("code")
def visit_code(settings: Settings, probe: str, code: str) -> None:
    """What the code says that a technician reads out. Exit 1 if it was not green, or no record of PROBE fits."""
    found = list(visit.meanings(LedgerReader(settings.ledger), probe, code))
    for meaning in found or ():
        click.echo(visit.sentence(meaning))
    if not found:
        click.echo(f"no record of {probe} here fits {code}: not received yet, or another station's code", err=True)
    if not found or found[0].not_green:
        sys.exit(EXIT_FAILED)


@main.command()
@with_config
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def refusals(settings: Settings, limit: int, as_json: bool) -> None:
    """What was refused and why, newest first."""
    for one in LedgerReader(settings.ledger).refusals(limit):
        row = {field: getattr(one, field) for field in one.__dataclass_fields__}
        if as_json:
            click.echo(json.dumps(row))
        else:
            # Topic and detail come from whoever sent it: quoted, so that no control character reaches a terminal.
            quoted = {**row, "topic": json.dumps(one.topic), "detail": json.dumps(one.detail)}
            click.echo("{n} {received_ms} {probe} {reason} {size} B {topic} {detail}".format(**quoted))


@main.command()
@with_config
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def status(settings: Settings, as_json: bool) -> None:
    """How receive and forward feel, and what the ledger holds. Exit 1 if one of them is not well."""
    found = _status(settings)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for key, value in found.items():
            click.echo(f"{key}: {value}")
    if not found["ok"]:
        sys.exit(EXIT_FAILED)


for _more in (*ACCOUNT_COMMANDS, *TOKEN_COMMANDS, *REPORT_COMMANDS, *RETENTION_COMMANDS, *POSTGRES_COMMANDS, reconcile):
    main.add_command(_more)


def _status(settings: Settings) -> dict[str, Any]:
    health = read_health(settings.state, now_ms())
    reader = LedgerReader(settings.ledger)
    deliveries = reader.deliveries()
    receive_state, forward_state = health.receive, health.forward
    well = receive_state is not None and receive_state.broker_connected and receive_state.ledger_error is None
    reached = forward_state is not None and forward_state.influx_error is None
    return {
        "ok": health.receive_alive and health.forward_alive and well and reached,
        "receive_alive": health.receive_alive,
        "forward_alive": health.forward_alive,
        "seal_alive": health.seal_alive,
        "seal_error": health.seal.error if health.seal else None,
        "sealed_size": health.seal.size if health.seal else None,
        "broker_error": receive_state.broker_error if receive_state else None,
        "ledger_error": receive_state.ledger_error if receive_state else None,
        "influx_error": forward_state.influx_error if forward_state else None,
        "last_commit_ms": receive_state.last_commit_ms if receive_state else None,
        "ledger_n": reader.last_n(),
        "forward_lag": forward_state.lag if forward_state else None,
        "parked": forward_state.parked if forward_state else None,
        "accepted": deliveries.accepted,
        "duplicate": deliveries.duplicate,
        "refused": deliveries.refused,
        "refusals_let_go": deliveries.let_go,
        "probes": len(reader.probe_states()),
    }


if __name__ == "__main__":
    main()
