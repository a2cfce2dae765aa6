"""What two people decided is signed with the registry's key, once, and the log takes it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from collector.core.dispute import Step, Subject
from collector.disputes import Disputes
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.settings import read_settings
from collector.statements import statements_of
from provisioning import config, deployment
from provisioning.__main__ import cli
from provisioning.deployment import Plan
from provisioning.wishes import Clerk
from tests.provisioning.identity_kit import UNITS
from wire import notes
from wire.note import Signer, parse_vkey

LEAF = base64.b64encode(bytes(32)).decode()
NOW_MS = 1_790_000_400_000


def said(what: str, actor: str, **more: object) -> Step:
    return Step(what, actor, "official", NOW_MS, "Mã giới thiệu\nđã được sửa.", **more)  # type: ignore[arg-type]


def decide(store: Disputes, seq: int, *, second: bool = True) -> None:
    subject = Subject("sample", "19", "05755", "h-one", "45204", "p-one", 1, seq, LEAF, counted=False)
    case = store.open_case(subject, said("opened", "lan"))
    store.add(case.n, said("proposed", "lan", verdict="counted"))
    if second:
        store.add(case.n, said("confirmed", "b.hoa"))


def test_each_decision_is_signed_once_and_the_ledger_takes_it(tmp_path: Path) -> None:
    plan = Plan("dosong.example", "127.0.0.1", 8883, "127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1:8086", "dosong",
                "root", demo=False)  # fmt: skip
    where = deployment.init(tmp_path / "d", plan, datetime.now(UTC))
    store = Disputes(where.registry.with_name("dispute.db"))
    decide(store, 4)
    decide(store, 5, second=False)
    store.close()

    def run() -> str:
        return CliRunner().invoke(cli, ["sign-reviews", "--dir", str(where.root)], catch_exceptions=False).output

    assert run() == "case 1: p-one 1 4 counted\n"
    assert run() == "nothing to sign\n"
    (held,) = [one for one in Identities(where.registry).notes() if one.type == "review"]
    row = statements_of(read_settings(where.collector / "collector.toml")).open(held.raw, NOW_MS)
    assert (row.type, row.subject) == ("review", "p-one")
    verifier = deployment.load(where.root).public_key("registry")
    opened = notes.open_note(held.raw, notes.Review, "dosong.example", parse_vkey(verifier))
    assert (opened.actor, opened.second_actor, opened.seq) == ("lan", "b-hoa", 4)
    assert opened.reason == "[1] Mã giới thiệu đã được sửa."


def test_an_approved_allotment_becomes_the_probes_signed_configuration(tmp_path: Path) -> None:
    plan = Plan("dosong.example", "127.0.0.1", 8883, "127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1:8086", "dosong",
                "root", demo=False)  # fmt: skip
    where = deployment.init(tmp_path / "d", plan, datetime.now(UTC))
    registry, identities = Registry(where.registry), Identities(where.registry)
    key = Signer.generate("dosong.example/probe/p-one")
    registry.load({**UNITS, "probes": [{"id": "p-one", "vkey": key.verifier.vkey, "site": "s-one"}]})
    identities.wish("slots", "p-one", "van-hanh", '{"commune":"05755","slots":{"m1":311,"m2":40}}', NOW_MS)
    identities.wish("slots", "p-nobody", "van-hanh", '{"commune":"05755","slots":{"m1":1}}', NOW_MS)
    assert Clerk(where, registry, identities, lambda: datetime.now(UTC)).turn() == 2
    made = config.read(where, "p-one")
    assert made is not None
    assert {name: one.slots for name, one in made.modems.items()} == {"m1": 311, "m2": 40}
    assert [one.refused for one in identities.wishes("p-one")] == [None]
    assert identities.wishes("p-nobody")[0].refused is not None
    registry.close()
    identities.close()
