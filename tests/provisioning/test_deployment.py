"""A deployment's keys are made once, kept secret, and accepted by the strictest TLS there is."""

from __future__ import annotations

import ssl
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from provisioning import deployment
from provisioning.__main__ import cli
from provisioning.broker import ACL
from provisioning.deployment import Plan
from wire import topics
from wire.errors import Misconfigured, Refused
from wire.keyfile import read_signer

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PLAN = Plan(
    origin="d.example", host="mqtt.example", port=8883, bind="127.0.0.1", web_bind="127.0.0.1:8080",
    influx_url="http://127.0.0.1:8086", influx_database="dosong", broker_user="mosquitto", demo=False,
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> deployment.Deployment:
    """A new deployment with one probe."""
    found = deployment.init(tmp_path / "d", PLAN, NOW)
    deployment.add_probe(found, "p-one", NOW)
    return found


def _contexts(root: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client as broker and probe have them, verifying as Python 3.13 does by default."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(root / "broker" / "server.crt", root / "broker" / "server.key")
    server.load_verify_locations(root / "broker" / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=root / "probes" / "p-one" / "ca.crt")
    client.load_cert_chain(root / "probes" / "p-one" / "tls.crt", root / "probes" / "p-one" / "tls.key")
    for context in (server, client):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return server, client


def _shake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Do a handshake in memory; return the server's end. Raises ssl.SSLError if one refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="mqtt.example"),
    )
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].do_handshake()
    return ends[0]


def test_certificates_pass_strict_verification_and_name_the_probe(made: deployment.Deployment) -> None:
    end = _shake(*_contexts(made.root))
    peer = end.getpeercert()
    assert peer is not None
    assert peer["subject"] == ((("commonName", "p-one"),),)
    assert end.version() == "TLSv1.3"


def test_secrets_are_readable_by_their_owner_alone(made: deployment.Deployment) -> None:
    secrets = [*made.root.rglob("*.key"), made.collector / "web.secret"]
    assert len(secrets) >= 8
    assert [path for path in secrets if path.stat().st_mode & 0o077] == []


def test_keys_are_never_made_twice(made: deployment.Deployment) -> None:
    with pytest.raises(Misconfigured, match="already holds"):
        deployment.init(made.root, PLAN, NOW)
    with pytest.raises(Misconfigured, match="exists already"):
        deployment.add_probe(made, "p-one", NOW)


def test_settings_anew_keep_keys_and_origin(made: deployment.Deployment) -> None:
    before = {path: path.read_bytes() for path in made.root.rglob("*.key")}
    plan = Plan(**{**{name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__}, "web_bind": "127.0.0.1:9"})
    deployment.configure(made.root, plan)
    assert 'bind = "127.0.0.1:9"' in (made.collector / "collector.toml").read_text()
    assert {path: path.read_bytes() for path in before} == before
    other = Plan(**{**{name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__}, "origin": "other.example"})
    with pytest.raises(Misconfigured, match="origin"):
        deployment.configure(made.root, other)


def test_identity_names_the_collectors_keys(made: deployment.Deployment) -> None:
    text = (made.probe("p-one") / "identity.toml").read_text()
    assert f'ack_vkey = "{read_signer(made.collector / "ack.key").verifier.vkey}"' in text
    assert f'log_vkey = "{read_signer(made.collector / "log.key").verifier.vkey}"' in text
    assert read_signer(made.probe("p-one") / "record.key").name == "d.example/probe/p-one"


def test_the_line_for_an_older_probe_is_printed(made: deployment.Deployment) -> None:
    told = CliRunner().invoke(cli, ["log-key", "--dir", str(made.root)], catch_exceptions=False)
    assert (told.exit_code, told.output) == (0, f'log_vkey = "{made.public_key("log")}"\n')
    (made.collector / "log.key").unlink()
    with pytest.raises(Refused, match=r"log\.key"):
        CliRunner().invoke(cli, ["log-key", "--dir", str(made.root)], catch_exceptions=False)


def test_a_log_key_that_is_kept_elsewhere_is_left_out(made: deployment.Deployment) -> None:
    (made.collector / "log.key").unlink()
    deployment.add_probe(made, "p-two", NOW)
    text = (made.probe("p-two") / "identity.toml").read_text()
    assert "log_vkey" not in text
    assert "config_vkey" in text


def test_a_point_gets_a_key_of_its_own_purpose_once(made: deployment.Deployment) -> None:
    folder = deployment.add_point(made, "hn-1")
    assert read_signer(folder / "point.key").name == "d.example/point/hn-1"
    assert tomllib.loads((folder / "point.toml").read_text())["point"] == {
        "origin": "d.example",
        "point": "hn-1",
        "key_file": "point.key",
    }
    assert deployment.point_vkey(made, "hn-1") == read_signer(folder / "point.key").verifier.vkey
    assert (folder / "point.key").stat().st_mode & 0o077 == 0
    for code, says in (("hn-1", "exists already"), ("../x", "no point's code")):
        with pytest.raises(Misconfigured, match=says):
            deployment.add_point(made, code)


def test_access_list_lets_a_probe_write_its_own_part_and_nothing_wider() -> None:
    lines = ACL.splitlines()
    assert f"pattern write dosong/v1/up/{topics.part('p-one')}/%u" in lines
    assert not [line for line in lines if "+" in line.partition("#")[0] or line.startswith("topic")]
