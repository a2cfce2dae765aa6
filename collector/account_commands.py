"""`dosong-collector account`: who may log in, to what, and from where they are in."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import click

from collector.account_desk import Desk
from collector.accounts import AccountStore, pepper_of
from collector.audit_trail import AuditTrail
from collector.command import with_config
from collector.core.view import iso
from collector.health import now_ms
from collector.registry import Registry
from collector.registry_rows import Role
from collector.sessions import SessionStore
from collector.settings import Settings, read_secret
from wire.errors import Misconfigured, Refused

EXAMPLES = """\b
Examples:
  dosong-collector account add --config collector.toml phuxuyen --role official --scope 05755
  dosong-collector account list --config collector.toml
  dosong-collector account scope --config collector.toml phuxuyen 19
  dosong-collector account reset --config collector.toml phuxuyen
  dosong-collector account sessions --config collector.toml phuxuyen --end
  dosong-collector account audit --config collector.toml --limit 20
"""


class Office:
    """The stores of one command, and the line of the audit trail that it writes before it acts."""

    def __init__(self, settings: Settings) -> None:
        secret = read_secret(settings, "web.secret_file", settings.web.secret_file)
        if secret is None:
            raise Misconfigured("web.secret_file is missing in the settings; accounts are keyed by it")
        pepper = pepper_of(secret)
        self.settings = settings
        self.registry = Registry(settings.registry)
        self.accounts = AccountStore(settings.registry, pepper)
        self.sessions = SessionStore(settings.state / "session.db", pepper)
        self.trail = AuditTrail(settings.registry, settings.origin)
        self.desk = Desk(self.registry, self.accounts, self.sessions, "")

    def note(self, what: str, name: str) -> None:
        """Write down who does what to which account."""
        who = re.sub(r"[^a-z0-9._-]", "", getpass.getuser().lower()) or "somebody"
        self.trail.write(f"cli {who}"[:48], "", f"account.{what}", name, now_ms())

    def link(self, text: str, url: str | None) -> str:
        """The one-time link as it is opened."""
        return f"{(url or f'https://{self.settings.origin}').rstrip('/')}/welcome/{text}"


@contextmanager
def _office(settings: Settings) -> Iterator[Office]:
    made = Office(settings)
    try:
        yield made
    finally:
        for store in (made.registry, made.accounts, made.sessions, made.trail):
            store.close()


url_option = click.option("--url", help="Address of the pages, if it is not https:// and the origin.")


@click.group(epilog=EXAMPLES)
def account() -> None:
    """Logins of the pages: roles, units, one-time links, sessions."""


@account.command()
@with_config
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(get_args(Role)), help="What it may do.")
@click.option("--scope", default="", help="Code of the province, commune or hamlet that it is limited to; none: all.")
@url_option
def add(settings: Settings, name: str, role: str, scope: str, url: str | None) -> None:
    """Make an account and print the link by which its owner sets the password; it works once, for 72 hours."""
    with _office(settings) as office:
        office.note("add", name)
        text = office.desk.add(name, role, scope, now_ms())
        click.echo(office.link(text, url))
    click.echo(f"{name}, {role}, for {scope or 'all units'}. Hand it over in person; it is not shown again.", err=True)


@account.command("list")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_all(settings: Settings, as_json: bool) -> None:
    """All accounts by name; never a hash or a key."""
    with _office(settings) as office:
        for line in office.desk.lines(now_ms()):
            row = {
                "name": line.user.name, "role": line.user.role, "scope": line.user.scope, "state": line.state,
                "second_factor": bool(line.account and line.account.has_totp), "sessions": line.sessions,
            }  # fmt: skip
            plain = f"{line.user.name:20} {line.user.role:10} {line.user.scope or '*':12} {line.state:8}"
            factor = "second factor missing" if line.lacks_totp else ""
            click.echo(json.dumps(row) if as_json else f"{plain} {line.sessions} sessions {factor}".rstrip())


@account.command()
@with_config
@click.argument("name")
@click.argument("scope")
def scope(settings: Settings, name: str, scope: str) -> None:
    """Limit an account to a unit's code; `all` takes the limit away. Holds from the next request on."""
    with _office(settings) as office:
        office.note("scope", name)
        office.desk.set_scope(name, "" if scope == "all" else scope, now_ms())
    click.echo(f"{name}: {scope}")


@account.command()
@with_config
@click.argument("name")
def disable(settings: Settings, name: str) -> None:
    """Close an account and end its sessions."""
    with _office(settings) as office:
        office.note("disable", name)
        office.desk.disable(name, now_ms())
    click.echo(f"{name} is closed")


@account.command()
@with_config
@click.argument("name")
def enable(settings: Settings, name: str) -> None:
    """Open a closed account as it was."""
    with _office(settings) as office:
        office.note("enable", name)
        office.desk.enable(name, now_ms())
    click.echo(f"{name} is open")


@account.command()
@with_config
@click.argument("name")
@url_option
def reset(settings: Settings, name: str, url: str | None) -> None:
    """A new one-time link: password, second factor, recovery codes and sessions of before are void."""
    with _office(settings) as office:
        office.note("reset", name)
        click.echo(office.link(office.desk.reset(name, now_ms()), url))


@account.command()
@with_config
@click.argument("name")
@click.option("--end", is_flag=True, help="End all of them now.")
def sessions(settings: Settings, name: str, end: bool) -> None:
    """Where an account is logged in. Exit 1 if there is no such account."""
    with _office(settings) as office:
        if not office.desk.handles(name):
            raise Refused("unknown", f"no account is called {name!r}; see dosong-collector account list")
        if end:
            office.note("sessions_end", name)
            click.echo(f"{office.desk.end_sessions(name)} ended")
            return
        for one in office.sessions.of(name, "login", now_ms()):
            agent = json.dumps(one.agent, ensure_ascii=True)
            click.echo(f"{one.name} since {iso(one.made_ms)} used {iso(one.seen_ms)} from {one.address} {agent}")


@account.command()
@with_config
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
def audit(settings: Settings, limit: int) -> None:
    """The audit trail, newest first: who did what to what. The same lines are leaves of the log."""
    with _office(settings) as office:
        for one in office.trail.read(limit):
            number = "" if one.number is None else f" ({one.number})"
            click.echo(
                f"{one.n} {iso(one.at_ms)} {one.actor} {one.role or '-'} {one.what} {one.target}{number}".rstrip()
            )


COMMANDS = (account,)
"""What `dosong-collector` offers of these."""
