"""An unsafe broker is not started: each line that matters is taken out or changed, and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioning import broker_check
from provisioning.broker import BrokerFiles
from tests.provisioning.identity_kit import make_office

NOW = datetime.now(UTC)


@pytest.fixture
def files(tmp_path: Path) -> BrokerFiles:
    return make_office(tmp_path).where.broker


def _faults(files: BrokerFiles, later: timedelta = timedelta(0)) -> list[str]:
    return [one.text for one in broker_check.check(files.config, NOW + later) if one.is_fatal]


def test_the_generated_broker_may_start(files: BrokerFiles) -> None:
    assert broker_check.check(files.config, NOW) == []


LINES = {
    "per_listener_settings true": "per_listener_settings false",
    "persistence false": "persistence true",
    "max_packet_size 65536": "",
    "memory_limit 500000000": "",
    "require_certificate true": "require_certificate false",
    "use_identity_as_username true": "",
    "use_username_as_clientid true": "",
    "allow_anonymous false": "allow_anonymous true",
    "tls_version tlsv1.3": "",
    "max_connections 12000": "",
    "crlfile": "#",
    "acl_file": "#",
    "cafile": "#",
}


@pytest.mark.parametrize("line", LINES)
def test_each_line_that_matters_is_missed(files: BrokerFiles, line: str) -> None:
    text = files.config.read_text()
    assert text.count(line) >= 1
    files.config.write_text(text.replace(line, LINES[line]))
    assert _faults(files) != []


def _append(text: str) -> Callable[[BrokerFiles], None]:
    return lambda files: files.config.write_text(files.config.read_text() + text)


def _acl(text: str) -> Callable[[BrokerFiles], None]:
    return lambda files: files.acl.write_text(files.acl.read_text() + text)


def _no_local(files: BrokerFiles) -> None:
    text = files.config.read_text()
    files.config.write_text(text.replace(f"listener 0 {files.socket}\n", ""))


BREAKS: dict[str, tuple[Callable[[BrokerFiles], None], str]] = {
    "an open listener more": (_append("\nlistener 1883\nallow_anonymous true\n"), "anybody could speak"),
    "a password file": (_append("\npassword_file /x\n"), "another way in"),
    "a wider access list": (_acl("pattern readwrite #\n"), "other lines than ours"),
    "no door for the collector": (_no_local, "listener of its own"),
    "a readable key": (lambda files: (files.directory / "server.key").chmod(0o644), "read by others"),
    "no revocation list": (lambda files: files.crl.unlink(), "crlfile"),
    "a foreign revocation list": (lambda files: files.crl.write_text("x"), "no list of a trusted authority"),
    "a broken certificate": (lambda files: (files.directory / "server.crt").write_text("x"), "certfile"),
    "no configuration": (lambda files: files.config.unlink(), "cannot read"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_named(files: BrokerFiles, name: str) -> None:
    breaks, says = BREAKS[name]
    breaks(files)
    assert [text for text in _faults(files) if says in text], _faults(files)


def test_what_runs_out_is_told_before_it_stops_the_broker(files: BrokerFiles) -> None:
    soon = broker_check.check(files.config, NOW + timedelta(days=70))
    assert [(one.is_fatal, "revocation list" in one.text) for one in soon] == [(False, True)]
    assert "every probe is refused" in _faults(files, timedelta(days=91))[0]
    assert [text for text in _faults(files, timedelta(days=3 * 365)) if "certificate ends" in text]


def test_revoked_probes_do_not_make_the_access_list_ours_no_more(files: BrokerFiles) -> None:
    files.acl.write_text(files.acl.read_text() + "# Revoked\nuser p-out\ntopic deny dosong/v1/#\n")
    assert _faults(files) == []
