"""Commands over verdicts: the process that derives them, what came of it, the rules, and deriving all of it again."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time

import click

from collector.command import with_config
from collector.core.verdict import RULE_VERSION, digest
from collector.core.verdict_case import Network
from collector.core.verdict_rules import RULES
from collector.health import now_ms
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.settings import Settings
from collector.submit import submit_marks
from collector.verdict_service import AGAIN, Judge, serve
from collector.verdict_settings import read_network
from collector.verdict_store import VerdictReader, VerdictStore
from wire.errors import EXIT_FAILED, Misconfigured

REBUILD_WITHIN_S = 3600.0


def _judge(settings: Settings, store: VerdictStore) -> Judge:
    return Judge(
        LedgerReader(settings.ledger),
        Registry(settings.registry),
        store,
        network_of(settings),
        lambda marks: submit_marks(settings.state, marks),
        SealReader(settings.seal),
    )


def network_of(settings: Settings) -> Network:
    """What `[verdict]` says of operators and modems. Raises Misconfigured."""
    verdict = settings.verdict
    file = None if verdict.prefixes_file is None else settings.path(verdict.prefixes_file)
    return read_network(file, verdict.lte_category)


@click.command()
@with_config
def judge(settings: Settings) -> None:
    """Ledger to verdicts: which records are proved, plausible, claimed, corroborated or suspect."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop.set, daemon=True).start())
    store = VerdictStore(settings.verdicts)
    try:
        serve(_judge(settings, store), store, settings.state, stop)
    finally:
        store.close()


@click.command()
@with_config
@click.option("--probe", help="Only this probe's records.")
@click.option("--month", help="Only this month of Vietnam, as 2026_11.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def verdicts(settings: Settings, probe: str | None, month: str | None, as_json: bool) -> None:
    """How many records have each verdict, which rules applied, and slots that passed without a record."""
    reader = VerdictReader(settings.verdicts)
    counts, hits, empty = reader.counts(probe, month), reader.hits(probe, month), reader.empty_slots(probe, month)
    if as_json:
        slots = [{"probe": of, "modem": e.modem, "slot_ms": e.slot_ms, "why": e.why} for of, e in empty]
        click.echo(json.dumps({"verdicts": counts, "rules": hits, "empty_slots": slots, "due": reader.due_count()}))
        return
    for verdict, count in counts.items():
        click.echo(f"{count:>9} {verdict}")
    for rule, count in hits.items():
        known = RULES.get(rule)
        click.echo(f"{count:>9} {rule}: {known.en if known else ''}")
    why = {word: sum(one.why == word for _, one in empty) for word in ("power", "gap", "none")}
    click.echo(
        f"{len(empty):>9} slots without a record ({why['power']} power, {why['gap']} gap, {why['none']} unexplained)"
    )


@click.command()
@with_config
def rules(settings: Settings) -> None:
    """The rules of verdicts as a table: id, weight, limits, explanation, and the digest of all of them."""
    network = network_of(settings)
    named = {"prefixes": dict(network.prefixes), "lte_category": network.lte_category}
    click.echo(f"rule set verdict, version {RULE_VERSION}, sha256 {digest(RULES, named)}")
    for rule in RULES.values():
        limits = " ".join(f"{name}={value}" for name, value in rule.limits.items())
        click.echo(f"{rule.id} [{rule.weight}] {limits}\n    vi: {rule.vi}\n    en: {rule.en}")


@click.command("verdicts")
@with_config
def rebuild_verdicts(settings: Settings) -> None:
    """Derive every verdict again, by the running judge or, if none runs, here. `receive` must run."""
    try:
        store = VerdictStore(settings.verdicts)
    except Misconfigured:
        _ask(settings)
    else:
        try:
            store.clear()
            _judge(settings, store).all(now_ms())
        finally:
            store.close()
    for verdict, count in VerdictReader(settings.verdicts).counts().items():
        click.echo(f"{count:>9} {verdict}")


def _ask(settings: Settings) -> None:
    """Have the running judge do it, and wait."""
    asked, reader = settings.state / AGAIN, VerdictReader(settings.verdicts)
    asked.touch()
    deadline = time.monotonic() + REBUILD_WITHIN_S
    newest = LedgerReader(settings.ledger).last_n()
    while asked.exists() or reader.due_count() or int(reader.value("n") or 0) < newest:
        if time.monotonic() > deadline:
            click.echo("judge has not come to an end; see its log", err=True)
            sys.exit(EXIT_FAILED)
        time.sleep(0.2)


COMMANDS = (judge, verdicts, rules)
"""What `dosong-collector` offers of these."""
