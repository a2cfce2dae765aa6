# ruff: noqa: E501 (examples are read as they come)
"""Doors of the collector and of provisioning: messages, tables, photos, queries, documents, requests."""

from __future__ import annotations

import atexit
import io
import json
import shutil
import tempfile
import zipfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from PIL import Image

from collector import count_table, photos
from collector.api import params, routes
from collector.core import acceptance, run, view
from collector.ingest import Ingest, Message
from collector.ledger_write import SqliteLedger
from collector.receipts import open_receipt
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.registry_load import decode_document
from collector.settings import read_settings
from collector.submit import Submission
from collector.web import heads
from collector.web.enrol import MAX_BODY_BYTES
from probe.devices import tls_key
from provisioning import authority, csvfile, pki, registry_tables, workbook
from provisioning.core import takeover
from provisioning.core.tables import take
from provisioning.issuer import Denied, Issuer
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from tests.collector.test_receipts import receipt
from tests.fuzz.door import Door
from tests.provisioning.identity_kit import make_office
from wire import bundle, codec, enrolment, notes, topics
from wire.errors import Misconfigured, Refused
from wire.note import Signer

FOLDER = Path(tempfile.mkdtemp(prefix="dosong-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
TODAY = date(2026, 11, 22)


POINT = Signer.from_seed(f"{ORIGIN}/point/ms-1", bytes(range(32)))


class Counter:
    """A ledger that takes what comes, as behind the broker; made at the first knock."""

    def __init__(self) -> None:
        self.probe = FakeProbe(
            "p-one", signer=Signer.from_seed(codec.probe_key_name(ORIGIN, "p-one"), bytes(range(32)))
        )
        self.registry: Registry | None = None
        self._ingest: Ingest | None = None
        self.taken = 0

    def open(self) -> Registry:
        """The registry, with ledger and ingest made if they are not yet."""
        if self.registry is None:
            self.registry = Registry(FOLDER / "registry.db")
            self.registry.load(document(self.probe, points=[{"code": "ms-1", "vkey": POINT.verifier.vkey}]))
            self._ingest = Ingest(SqliteLedger(FOLDER / "ledger.db"), self.registry, ORIGIN)
        return self.registry

    def take(self, given: bytes) -> None:
        """A PUBLISH: topic, a line's end, payload. All is answered, and the next good record is taken after it."""
        topic, _, payload = given.partition(b"\n")
        self.open()
        assert self._ingest is not None
        self._ingest.take([Message(topic.decode("utf-8", "replace"), payload)], T0_MS)
        self.taken += 1
        if self.taken % 8 == 0:
            good = Message(topics.up("p-one"), bundle.encode([self.probe.test()]))
            assert self._ingest.take([good], T0_MS + self.probe.seq * 600_000).accepted == 1

    def receipt(self, given: bytes) -> None:
        open_receipt(given, ORIGIN, self.open(), T0_MS)


COUNTER = Counter()
OTHER = FakeProbe("p-one", epoch=7, signer=COUNTER.probe.signer)
ODD = [OTHER.odd(body) for body in (b"{}", b"[" * 500, b'{"probe":"p-one","epoch":7,"seq":-1,"prev":""}')]
UP = topics.up("p-one").encode() + b"\n"


def _chain(given: bytes) -> None:
    """The quick way of `receive`: of each record that a run proves backwards it says what the slow way says."""
    verifier = COUNTER.probe.signer.verifier
    shape = run.Shape.of(ORIGIN, verifier)
    raws = bundle.decode(given)
    pieces = run.open_backwards(raws, shape, "p-one", verifier.check)
    for place, raw in enumerate(raws):
        opened = pieces.opened(place)
        if opened is not None and pieces.ways[place] == run.SIGNED:
            assert opened == codec.open_record(raw, ORIGIN, "p-one", verifier)


def _counts(given: bytes) -> None:
    count_table.read(given, TODAY)


def _table_file(suffix: str) -> Any:
    def opened(given: bytes) -> None:
        path = FOLDER / f"hamlets{suffix}"
        path.write_bytes(given)
        tables, mark = registry_tables.read_tables(path, None)
        take(tables, mark, lambda code, number: {})

    return opened


def _document(suffix: str) -> Any:
    def opened(given: bytes) -> None:
        path = FOLDER / f"registry{suffix}"
        path.write_bytes(given)
        decode_document(registry_tables.read_document(path) or {})

    return opened


def _query(given: bytes) -> None:
    """Every route of the API reads the same query string."""
    query = parse_qsl(given.decode("utf-8", "replace"), keep_blank_values=True)
    for route in routes.ROUTES:
        with suppress(params.Wrong):
            params.read_all(route.params, query, {})


def _typed(given: bytes) -> None:
    """What people type into single fields."""
    text = given.decode("utf-8", "replace")
    with suppress(ValueError):
        number = heads.read_number(text)
        assert number is None or 0 <= number <= 9_999
    acceptance.read_degrees(text, text)
    view.parse_month(text)
    takeover.read(text)


def _settings(given: bytes) -> None:
    path = FOLDER / "collector.toml"
    path.write_bytes(given)
    read_settings(path)


def _submission(given: bytes) -> None:
    msgspec.msgpack.decode(given, type=Submission)


def _photo(given: bytes) -> None:
    photos.upright(given)


def _picture(kind: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(made, kind)
    return made.getvalue()


def _csr() -> bytes:
    return tls_key.request(tls_key.make(), "p-one").encode()


def _stored(book: bytes) -> bytes:
    """A workbook whose parts are not packed, so that changed bytes reach the XML."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as packed, zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as plain:
        for part in packed.infolist():
            plain.writestr(part.filename, packed.read(part))
    return made.getvalue()


def _book() -> bytes:
    path = FOLDER / "seed.xlsx"
    workbook.write(path, {"hamlets": [["h-one", "Đồng Chuối", "xóm", "05755"]]}, "comma")
    return path.read_bytes()


class Office:
    """The authority behind the enrolment door; made at the first knock."""

    def __init__(self) -> None:
        self._issuer: Issuer | None = None

    def answer(self, given: bytes) -> None:
        """A question: its name, a space, its body."""
        if self._issuer is None:
            made = make_office(FOLDER)
            self._issuer = Issuer(
                made.where.origin, authority.load(made.where.ca), Identities(made.where.registry),
                Registry(made.where.registry), lambda: T0_MS,
            )  # fmt: skip
        what, _, body = given.partition(b" ")
        if len(body) <= MAX_BODY_BYTES:  # the door passes no more on
            self._issuer.answer(what.decode("utf-8", "replace"), body, "198.18.0.1")


OFFICE = Office()
_ENROL = notes.Enrol(
    v=1, signed_ms=1, probe="p-new", record_key=COUNTER.probe.signer.verifier.vkey, tls_key_sha256="A" * 43 + "=",
    token_sha256=enrolment.token_sha256("0" * 32),
)  # fmt: skip
_ASK = enrolment.ClaimAsk(
    token="0" * 32, note=notes.seal(_ENROL, ORIGIN, COUNTER.probe.signer).decode(), request=_csr().decode()
)
OFFICE_SEEDS = [
    b"nonce ", b"claim " + msgspec.json.encode(_ASK),
    b"renew " + msgspec.json.encode(enrolment.RenewAsk(nonce="0" * 32, note=_ASK.note, request=_ASK.request)),
    b"rotate " + msgspec.json.encode(enrolment.RotateAsk(note=_ASK.note)),
]  # fmt: skip
COUNT_ROWS = [("05755", "Xã Phú Xuyên", TODAY), ("h-one", "=1+1", TODAY)]
COUNT_CSV = count_table.empty_csv(COUNT_ROWS).replace(b";;\r\n", b";12;300\r\n")
HAMLETS = FOLDER / "seed.csv"
csvfile.write(HAMLETS, ["Mã", "Tên", "Loại", "Mã xã"], [["h-one", "Đồng Chuối", "xóm", "05755"]], "comma")
TOML = b'origin = "dosong.example"\nstate_dir = "state"\nack_key_file = "a"\n[broker]\nsocket = "c"\n[influx]\nurl = "http://x:1"\ndatabase = "d"\n'

DOORS = (
    Door("ingest", COUNTER.take, (), [UP + bundle.encode(ODD), UP + bundle.encode([OTHER.test()]), UP, b"x\n", UP + b"\xff" * 99], 80_000),
    Door("receipt", COUNTER.receipt, (Refused,), [receipt("downlink", POINT, point="ms-1"), OTHER.test()]),
    Door("run", _chain, (Refused,), [bundle.encode([OTHER.test() for _ in range(4)])]),
    Door("counts-csv", _counts, (), [COUNT_CSV, COUNT_CSV.replace(b"300", b"9" * 5_000)]),
    Door("counts-xlsx", _counts, (), [_stored(count_table.empty_xlsx(COUNT_ROWS)), count_table.empty_xlsx(COUNT_ROWS)]),
    Door("tables-csv", _table_file(".csv"), (Refused,), [HAMLETS.read_bytes()]),
    Door("tables-xlsx", _table_file(".xlsx"), (Refused,), [_stored(_book()), _book()]),
    Door("registry-json", _document(".json"), (Refused,), [json.dumps(document(OTHER)).encode()]),
    Door("registry-toml", _document(".toml"), (Refused,), [b'[[provinces]]\ncode = "19"\nname = "Th\xc3\xa1i"\n']),
    Door("query", _query, (), [b"hamlet=h-one&from=2026-11-01&limit=5", b"cursor=1.2.3&probe=p-one&epoch=1&seq=0"]),
    Door("typed", _typed, (), [b"1.234", b"2026-11", b"21,6712", b"1695: New client connected from 10.0.0.1 as p-one (p2, c1, k60, u'p-one')."]),
    Door("collector-settings", _settings, (Misconfigured,), [TOML]),
    Door("submission", _submission, (ValueError, RecursionError), [msgspec.msgpack.encode(Submission((("t", b"x"),)))]),
    Door("photo", _photo, (Refused,), [_picture("JPEG"), _picture("PNG"), _picture("WEBP")]),
    Door("request", pki.read_request, (Refused,), [_csr()]),
    Door("issuer", OFFICE.answer, (Denied,), OFFICE_SEEDS),
)  # fmt: skip
