"""Every mistake in the settings is one sentence that says what to do, and exit status 78."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.__main__ import main
from collector.settings import read_settings
from tests.collector.kit import Deployment, FakeProbe
from wire.errors import Misconfigured
from wire.topics import PROBE_PATTERN

GOOD = """
origin = "dosong.example"
state_dir = "state"
ack_key_file = "ack.key"
[broker]
socket = "c.sock"
[influx]
url = "http://127.0.0.1:8086"
database = "dosong"
"""
MISTAKES = [
    ("origin", "orgin", "orgin"),
    ('origin = "dosong.example"', "origin = 5", "origin: Expected `str`"),
    ('socket = "c.sock"', 'host = "h"\nport = 70000', "broker.port"),
    ('socket = "c.sock"', "", "either socket or host"),
    ('socket = "c.sock"', 'host = "h"\nca_file = "x"', "all three"),
    ('database = "dosong"', "", "needs database"),
    ('database = "dosong"', 'api = "v2"', "bucket and org"),
    ('database = "dosong"', 'database = "dosong"\nusername = "u"', "password_file"),
    ("[influx]", "[influx", "not TOML"),
    ("http://", "ftp://", "influx.url: expected http://HOST:PORT"),
    ("[broker]", "[broker]\nhots = 1", "unknown key `hots` in [broker]; remove it or correct its spelling"),
    ('socket = "c.sock"', 'socket = "c.sock"\nclient_id = "collector"', "with a . in it"),
    ('state_dir = "state"', "", "missing key `state_dir` at the top level; add it"),
    ("[broker]", 'folder = "/"\n[broker]', "folder"),
]


def test_a_good_file_reads(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(GOOD)
    settings = read_settings(path)
    assert settings.ledger == tmp_path / "state" / "ledger.db"
    assert settings.web.bind == "127.0.0.1:8080"


@pytest.mark.parametrize(("was", "now", "says"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, was: str, now: str, says: str) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(GOOD.replace(was, now, 1))
    with pytest.raises(Misconfigured) as told:
        read_settings(path)
    assert says in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value).split("line")[0]


def test_no_probe_can_take_the_collectors_place_at_the_broker(tmp_path: Path) -> None:
    """A probe's id is its client id, and a broker ends the session of an elder namesake."""
    path = tmp_path / "collector.toml"
    path.write_text(GOOD)
    assert re.fullmatch(PROBE_PATTERN, read_settings(path).broker.client_id) is None


def _without_key(deployment: Deployment) -> None:
    (deployment.folder / "ack.key").unlink()


def _open_key(deployment: Deployment) -> None:
    (deployment.folder / "ack.key").chmod(0o644)


def _no_tls(deployment: Deployment) -> None:
    text = deployment.config.read_text().replace(
        'socket = "x"', 'host = "127.0.0.1"\nca_file = "ca.crt"\ncert_file = "c.crt"\ntls_key_file = "c.key"'
    )
    deployment.config.write_text(text)


def _bad_tls(deployment: Deployment) -> None:
    _no_tls(deployment)
    for name in ("ca.crt", "c.crt", "c.key"):
        (deployment.folder / name).write_text("not pem")


BROKEN = [
    (_without_key, "cannot read key file"),
    (_open_key, "chmod 600"),
    (_no_tls, "broker.ca_file"),
    (_bad_tls, "no PEM files"),
]


@pytest.mark.parametrize(("breaks", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_receive_ends_with_78_and_one_sentence(tmp_path: Path, breaks: object, says: str) -> None:
    deployment = Deployment(tmp_path, 'socket = "x"', FakeProbe())
    breaks(deployment)  # type: ignore[operator]
    done = deployment.call("receive")
    assert done.returncode == 78
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_teaches_with_examples() -> None:
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    assert "dosong-collector run --config" in done.output
    assert "78 misconfigured" in done.output
