"""`dosong-collector notes` and `used`: the signed notes of the ledger, and what a probe's SIMs have used."""

from __future__ import annotations

import base64
import json
from contextlib import closing

import click

from collector import ledger_notes
from collector.command import with_config
from collector.ledger import LedgerReader
from collector.proofs import Prover
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.settings import Settings
from wire.records import TestRecord

LOOK_BACK = 500


@click.command("notes")
@with_config
@click.option("--type", "type_", help="Only notes of this type, such as enrol, revoke or assignment.")
@click.option("--probe", help="Only notes that name this probe.")
@click.option("--proofs", is_flag=True, help="With each note the proof that the sealed log holds it.")
def notes(settings: Settings, type_: str | None, probe: str | None, proofs: bool) -> None:
    """Enrolments, keys, revocations, assignments as JSON lines, signed bytes included (`raw`)."""
    prover = Prover(SealReader(settings.seal), settings.log_folder) if proofs else None
    for n, received_ms, kind, signer, raw in ledger_notes.read(settings.ledger):
        if (type_ is not None and kind != type_) or (probe is not None and f'"{probe}"'.encode() not in raw):
            continue
        row = {
            "n": n, "received_ms": received_ms, "type": kind, "signer": signer,
            "note": json.loads(raw.split(b"\n", 2)[1]), "raw": base64.b64encode(raw).decode(),
        }  # fmt: skip
        found = prover.proof(n, ledger_notes.TABLE) if prover else None
        if found is not None:
            row["proof"] = found.decode()
        click.echo(json.dumps(row, ensure_ascii=False))


@click.command("used")
@with_config
@click.argument("probe")
def used(settings: Settings, probe: str) -> None:
    """What each SIM of a probe used in its billing period, as its last records say: JSON by modem."""
    found: dict[str, dict[str, int]] = {}
    for sample in LedgerReader(settings.ledger).samples(probe=probe, kind="test", limit=LOOK_BACK):
        record = sample.record
        budget = record.budget if isinstance(record, TestRecord) else None
        if budget is None or not isinstance(record, TestRecord) or record.modem in found:
            continue
        if budget.used_bytes is not None and budget.period_start_ms is not None:
            found[record.modem] = {"period_ms": budget.period_start_ms, "used_bytes": budget.used_bytes}
    click.echo(json.dumps(found))


@click.command("keys")
@with_config
@click.argument("probe", required=False)
def keys(settings: Settings, probe: str | None) -> None:
    """Every record key that probes ever had, one a line: what `dosong-verify` is given."""
    with closing(Registry(settings.registry)) as registry:
        for name in [probe] if probe else [entry.id for entry in registry.probes()]:
            for vkey in registry.keys(name):
                click.echo(vkey)


COMMANDS = (notes, used, keys)
