"""The log's pages and files: what anybody may follow, what only those may read who may see positions."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import msgspec
import pytest

from collector.core.verdict_case import Network
from collector.core.verdict_rules import RULES
from collector.leaves import LedgerLeaves
from collector.proofs import Prover
from collector.seal import Sealer
from collector.seal_store import SealStore
from collector.settings import LogSettings
from collector.tile_files import TileFiles
from collector.verdict_service import Judge
from collector.verdict_store import VerdictStore
from collector.web import create_app
from tests.collector.kit import ORIGIN
from tests.collector.test_web_world import World, get, world
from wire import bundle, tlog
from wire.note import Signer, parse_vkey

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """Six tests in the ledger, sealed."""
    with world(tmp_path) as made:
        made.tests(6)
        settings = msgspec.structs.replace(made.settings, log=LogSettings(key_file="log.key"))
        store = SealStore(settings.seal)
        leaves = LedgerLeaves(settings.ledger)
        folder = settings.log_folder
        Sealer(store, [leaves], folder, KEY, ORIGIN).round(made.now_ms)
        newest = TileFiles(folder / "2026").published()
        assert newest is not None
        TileFiles(folder).publish(newest)
        TileFiles(folder).put("vkeys", Prover(store, folder).vkeys(KEY.verifier)[0].encode() + b"\n")
        made.app = create_app(
            settings, made.reader, made.registry, health=lambda: made.health, now_ms=lambda: made.now_ms
        )
        yield made
        store.close()
        leaves.close()


def test_anybody_follows_the_log_with_its_files_alone(here: World) -> None:
    client = here.client()
    key = parse_vkey(get(client, "/log/vkeys").text)
    checkpoint = tlog.open_checkpoint(get(client, "/log/checkpoint").data, key)
    assert get(client, "/log/2026/checkpoint").data == get(client, "/log/checkpoint").data
    tile = get(client, "/log/2026/tile/0/000.p/6").data
    assert checkpoint == tlog.Checkpoint(key.name, 6, tlog.root([tile[i : i + 32] for i in range(0, len(tile), 32)]))
    raw = here.reader.sample("p-one", 1, 3)
    assert raw is not None
    proof = get(client, "/samples/p-one/1/3.tlog-proof").data
    assert tlog.check_proof(raw.raw, tlog.parse_proof(proof), key) == checkpoint
    assert tlog.check_proof(raw.raw + b"!", tlog.parse_proof(proof), key) is None


@pytest.mark.parametrize(
    "path",
    [
        "/log/2026/tile/0/000.p/7",
        "/log/2026/tile/9/999",
        "/log/2026/tile/0/../../../ledger.db",
        "/log/2026/tile/0/%2e%2e/%2e%2e/checkpoint",
        "/log/..%2f..%2f/checkpoint",
        "/log/1999/checkpoint",
        "/samples/p-one/1/99.tlog-proof",
    ],
)
def test_what_is_not_a_public_file_is_not_found(here: World, path: str) -> None:
    assert here.client().get(path).status_code in {404, 308}


def test_entries_hold_positions_and_are_for_those_who_may_see_them(here: World) -> None:
    path = "/log/2026/tile/entries/000.p/6"
    assert here.client().get(path).status_code in {302, 303, 401, 403}
    found = get(here.client("official"), path)
    assert found.status_code == 200
    raws = [s.raw for s in reversed(here.reader.samples(limit=10))]
    assert list(bundle.frames(found.data)) == raws
    assert get(here.client("official"), "/log/2026/tile/entries/000.p/7").status_code == 404


def test_the_page_and_the_record_tell_of_the_seal(here: World) -> None:
    client = here.client()
    assert "Sổ niêm phong" in get(client, "/log/").text
    assert KEY.verifier.public.hex() not in get(client, "/log/").text
    page = get(client, "/samples/p-one/1/3").text
    assert "mục 3 của sổ 2026, điểm niêm phong 6" in page
    here.tests(1)
    assert "mỗi phút ký một lần" in get(client, "/samples/p-one/1/6").text


def test_without_a_log_the_pages_do_without(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.tests(1)
        assert made.client().get("/log/checkpoint").status_code == 404
        assert "Chưa có điểm niêm phong" in get(made.client(), "/log/").text
        assert "Niêm phong" not in get(made.client(), "/samples/p-one/1/0").text


def test_the_record_tells_its_verdict_and_why_and_a_page_holds_all_rules(here: World) -> None:
    client = here.client()
    assert "chưa xét" in get(client, "/samples/p-one/1/2").text
    store = VerdictStore(here.settings.verdicts)
    Judge(here.reader, here.registry, store, Network(), len).all(here.now_ms)
    store.close()
    page = get(client, "/samples/p-one/1/2").text
    assert "receipt.none" in page
    assert RULES["receipt.none"].vi in page
    assert RULES["receipt.none"].en in unescape(get(client, "/samples/p-one/1/2?lang=en").text)
    listed = unescape(get(client, "/verdicts?lang=vi").text)
    assert all(rule.id in listed and rule.vi in listed for rule in RULES.values())
