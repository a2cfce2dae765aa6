"""`dosong-collector token`: make, list and revoke tokens of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, get_args

import click

from collector.command import with_config
from collector.core.view import iso
from collector.health import now_ms
from collector.registry_rows import Role
from collector.settings import Settings
from collector.tokens import MAX_DAYS, Token, TokenStore
from wire.errors import Refused

EXAMPLES = """\b
Examples:
  dosong-collector token create --config collector.toml --role official --scope 05755 --label "UBND xã Phú Xuyên"
  dosong-collector token list --config collector.toml
  dosong-collector token revoke --config collector.toml k3xq7ab2
"""


@contextmanager
def _store(settings: Settings) -> Iterator[TokenStore]:
    store = TokenStore(settings.registry)
    try:
        yield store
    finally:
        store.close()


@click.group(epilog=EXAMPLES)
def token() -> None:
    """Tokens of /api/v1: who may ask what, until when."""


@token.command()
@with_config
@click.option("--label", required=True, help="Whose token it is.")
@click.option("--role", required=True, type=click.Choice(get_args(Role)), help="What it may see; see docs/api.md.")
@click.option("--scope", default="", help="Code of a province, commune or hamlet that it is limited to; none: all.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, MAX_DAYS), help="How long it lives.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def create(settings: Settings, label: str, role: Role, scope: str, days: int, as_json: bool) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    with _store(settings) as store:
        text, made = store.create(label, role, scope, days, now_ms())
    if as_json:
        click.echo(json.dumps({"token": text, **_row(made)}))
        return
    click.echo(text)
    click.echo(f"id {made.id}, role {role}, for {scope or 'all units'}, until {iso(made.expires_ms)}.", err=True)
    click.echo("It is not shown again: put it where it is used, or revoke it and make another.", err=True)


@token.command("list")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_all(settings: Settings, as_json: bool) -> None:
    """All tokens, oldest first; never their secrets."""
    with _store(settings) as store:
        found = store.tokens()
    for one in found:
        row = _row(one)
        if as_json:
            click.echo(json.dumps(row))
            continue
        used = f"last used {row['last_used']}" if row["last_used"] else "never used"
        click.echo(f"{one.id} {row['standing']:7} {one.role:10} {one.scope or '*':12} until {row['expires']}, {used}: {one.label}")  # fmt: skip  # noqa: E501


@token.command()
@with_config
@click.argument("identity", metavar="ID")
def revoke(settings: Settings, identity: str) -> None:
    """End a token at once. Exit 1 if none with this ID is alive."""
    with _store(settings) as store:
        if not store.revoke(identity, now_ms()):
            raise Refused("not_found", f"no living token has the id {identity!r}; see dosong-collector token list")
    click.echo(f"revoked {identity}")


def _row(one: Token) -> dict[str, Any]:
    times = {name: getattr(one, f"{name}_ms") for name in ("created", "expires", "revoked", "last_used")}
    return {
        **asdict(one),
        **{name: None if t_ms is None else iso(t_ms) for name, t_ms in times.items()},
        "standing": one.standing(now_ms()),
    }


COMMANDS = (token,)
"""What `dosong-collector` offers of these."""
