"""A probe enrols by its claim, once, whatever is cut off on the way; a stolen, old or reused claim gets nothing."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from collector import ca_line
from collector.ingest import Ingest, Message
from collector.ledger_write import SqliteLedger
from collector.registry_identity import Identities
from probe import carried, compose, enrol, renew, rotation
from probe.devices import tls_key
from probe.settings import load
from probe.spool import Spool
from provisioning import authority, config, identity, pki, replacement
from provisioning.issuer import Denied, Issuer
from tests.collector.kit import FakeProbe
from tests.provisioning.identity_kit import ORIGIN, Office, make_office, serving
from wire import bundle, codec, enrolment, keyfile, note, notes, topics
from wire.errors import Refused, Unavailable

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("enrolment")]
STEPS = ("claim", "record key", "tls key", "granted", "certificate", "identity", "wiped")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with serving(tmp_path_factory.mktemp("office")) as made:
        yield made


class Cut(Exception):
    """The power went."""


def _cut_at(wanted: str) -> Callable[[str], None]:
    def step(name: str) -> None:
        if name == wanted:
            raise Cut(name)

    return step


@pytest.mark.parametrize("step", STEPS)
def test_a_probe_that_is_cut_off_at_any_step_goes_on_with_the_same_keys(
    office: Office, tmp_path: Path, step: str
) -> None:
    probe = f"p-cut-{STEPS.index(step)}"
    claim = office.claim(probe)
    folder = tmp_path / "identity"
    with pytest.raises(Cut):
        enrol.enrol(claim, folder, step=_cut_at(step))
    before = {path.name: path.read_bytes() for path in folder.glob("*.key")}
    done = enrol.enrol(claim, folder)
    assert done == enrol.Enrolled(probe, enrol.fingerprint(folder)[1], True)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not claim.exists()
    assert not (folder / "claim.toml").exists()
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    with office.desk() as desk:
        entry = desk.entry(probe)
        assert (entry.state, entry.site) == ("quarantine", "s-one")
        assert entry.vkey == keyfile.read_signer(folder / "record.key").verifier.vkey
        assert len(desk.identities.certificates(probe)) == 1
    assert "claim_reused" not in office.alarms() or probe not in _alarmed(office, "claim_reused")


def _alarmed(office: Office, kind: str) -> set[str]:
    with closing(Identities(office.where.registry)) as identities:
        return {one.probe for one in identities.alarms() if one.kind == kind}


def test_certificate_names_the_probe_and_chains_to_the_root_it_was_given(office: Office, tmp_path: Path) -> None:
    folder = office.enrolled("p-chain", tmp_path / "p")
    chain = x509.load_pem_x509_certificates((folder / "tls.crt").read_bytes())
    root = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    assert chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "p-chain"
    chain[0].verify_directly_issued_by(chain[1])
    chain[1].verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1


def test_stolen_claim_gets_nothing_after_the_probe_and_shows(office: Office, tmp_path: Path) -> None:
    claim = office.claim("p-stolen")
    copy = tmp_path / "copy.toml"
    copy.write_bytes(claim.read_bytes())
    enrol.enrol(claim, tmp_path / "honest")
    with pytest.raises(Refused, match="another device was enrolled"):
        enrol.enrol(copy, tmp_path / "thief")
    assert not (tmp_path / "thief" / "tls.crt").exists()
    assert "p-stolen" in _alarmed(office, "claim_reused")


def test_thief_who_comes_first_is_found_by_the_digits(office: Office, tmp_path: Path) -> None:
    claim = office.claim("p-first")
    copy = tmp_path / "copy.toml"
    copy.write_bytes(claim.read_bytes())
    enrol.enrol(copy, tmp_path / "thief")
    with pytest.raises(Refused, match="another device was enrolled"):
        enrol.enrol(claim, tmp_path / "honest")
    with office.desk() as desk:
        assert desk.entry("p-first").state == "quarantine", "so nothing of the thief's counts"
        with pytest.raises(Refused, match="not the digits"):
            identity.confirm(desk, "p-first", "000 000")
        assert desk.entry("p-first").state == "quarantine"
    assert "p-first" in _alarmed(office, "wrong_fingerprint")


def test_claim_must_be_armed_and_young_and_the_newest(office: Office, tmp_path: Path) -> None:
    claim = office.claim("p-unarmed", armed=False)
    with pytest.raises(Unavailable, match="arm the claim"):
        enrol.enrol(claim, tmp_path / "a")
    assert claim.exists(), "it is still good"
    office_old = office.claim("p-old", later=timedelta(days=-91))
    with pytest.raises(Refused, match="older than 90 days"):
        enrol.enrol(office_old, tmp_path / "b")
    stale = office.claim("p-armed-long-ago", later=timedelta(hours=-73))
    with pytest.raises(Unavailable, match="arm the claim"):
        enrol.enrol(stale, tmp_path / "c")
    replaced = tmp_path / "replaced.toml"
    replaced.write_bytes(office.claim("p-two").read_bytes())
    office.claim("p-two")
    with pytest.raises(Refused, match="newer claim"):
        enrol.enrol(replaced, tmp_path / "d")
    assert {"unarmed_claim", "expired_claim", "void_claim"} <= office.alarms().keys()


def test_confirmed_probe_counts_and_its_story_is_signed(office: Office, tmp_path: Path) -> None:
    folder = office.enrolled("p-story", tmp_path / "p")
    with office.desk() as desk:
        assert desk.entry("p-story").state == "active"
        identity.revoke(desk, "p-story", "test")
        assert desk.entry("p-story").state == "revoked"
        mine = [one for one in desk.identities.notes() if b"p-story" in one.raw]
        assert [one.type for one in mine] == ["enrol", "assignment", "revoke"]
        signer = keyfile.read_signer(office.where.collector / "registry.key").verifier
        assert notes.open_note(mine[2].raw, notes.Revoke, ORIGIN, signer).reason == "test"
        shown = keyfile.read_signer(folder / "record.key").verifier
        assert notes.open_note(mine[0].raw, notes.Enrol, ORIGIN, shown).probe == "p-story"


def test_revoked_probe_is_not_renewed(office: Office, tmp_path: Path) -> None:
    folder = office.enrolled("p-out", tmp_path / "p")
    settings = load(folder / "probe.toml")
    with office.desk() as desk:
        identity.revoke(desk, "p-out", "lost")
        assert [one.revoked_ms is not None for one in desk.identities.certificates("p-out")] == [True]
    with pytest.raises(Refused, match="revoked"):
        renew.renew(settings, _now_ms(), is_forced=True)
    assert "p-out" in _alarmed(office, "revoked_probe")


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def test_certificate_is_renewed_when_due_and_after_months_of_darkness(office: Office, tmp_path: Path) -> None:
    folder = office.enrolled("p-dark", tmp_path / "p")
    settings = load(folder / "probe.toml")
    first = (folder / "tls.crt").read_bytes()
    assert not renew.renew(settings, _now_ms(), is_forced=False).is_new
    ca = authority.load(office.where.ca)
    public = pki.read_request(tls_key.request((folder / "tls.key").read_bytes(), "p-dark").encode())
    began = pki.Issued(ca.issuing.key, _backdated(ca.issuing))
    expired = pki.pem_of(pki.issue_client(began, public, "p-dark", datetime.now(UTC) - timedelta(days=3 * 365)))
    (folder / "tls.crt").write_bytes(expired)
    done = renew.renew(settings, _now_ms(), is_forced=False)
    assert done.is_new
    assert done.not_after_ms > _now_ms()
    assert (folder / "tls.crt").read_bytes() not in {first, expired}
    assert tls_key.is_of((folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes())


def _backdated(ca: pki.Issued) -> x509.Certificate:
    """The issuing authority's certificate as if it were four years older."""
    old = ca.certificate
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).serial_number(1)
    builder = builder.public_key(ca.key.public_key()).not_valid_after(old.not_valid_after_utc)
    return builder.not_valid_before(datetime.now(UTC) - timedelta(days=4 * 365)).sign(ca.key, hashes.SHA256())


def test_stranger_cannot_renew_for_a_probe(office: Office, tmp_path: Path) -> None:
    folder = office.enrolled("p-mine", tmp_path / "p")
    settings = load(folder / "probe.toml")
    (folder / "record.key").unlink()
    keyfile.write_signer(folder / "record.key", note.Signer.generate(codec.probe_key_name(ORIGIN, "p-mine")))
    with pytest.raises(Refused):
        renew.renew(settings, _now_ms(), is_forced=True)
    assert "p-mine" in _alarmed(office, "foreign_key")


def test_record_key_is_rotated_and_a_cut_off_rotation_is_carried_to_its_end(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = office.enrolled("p-turn", tmp_path / "p")
    settings = load(folder / "probe.toml")
    old = keyfile.read_signer(folder / "record.key")
    with compose.opened(settings, has_coverage=False) as made:
        made.recorder.event("stopping")
        with monkeypatch.context() as cut:
            cut.setattr(rotation, "settle", lambda *_: (_ for _ in ()).throw(Cut()))
            with pytest.raises(Cut):
                rotation.rotate(settings, made.spool, made.recorder)
    assert keyfile.read_signer(folder / "record.key").verifier == old.verifier
    with compose.opened(settings, has_coverage=False) as made:
        kept = made.recorder.event("stopping")
    fresh = keyfile.read_signer(folder / "record.key")
    assert fresh.verifier != old.verifier
    assert (kept.epoch, kept.seq) == (2, 1)
    assert codec.open_record(kept.raw, ORIGIN, "p-turn", fresh.verifier).head is not None
    with office.desk() as desk:
        assert desk.identities.keys("p-turn") == [(0, old.verifier.vkey), (2, fresh.verifier.vkey)]
        assert desk.entry("p-turn").vkey == fresh.verifier.vkey
    assert {path.name for path in folder.glob("*key*")} == {"record.key", "tls.key"}
    with closing(Spool(folder / "state", 1 << 20)) as spool:
        assert spool.place().epoch == 2


def test_replaced_probe_is_out_and_its_successor_goes_on(office: Office, tmp_path: Path) -> None:
    """Revoked with its cause, the same site and plan, the SIM's used data counted on, label and numbers to call."""
    folder = office.enrolled("p-lost", tmp_path / "old")
    _keep_test_record(office, keyfile.read_signer(folder / "record.key"))
    with office.desk() as desk:
        wish = config.Wish(slots=100, plmn="45204", limit_bytes=10**9, referral="TN1", billing_day=1)
        config.make(office.where, desk.registry, "p-lost", wish, desk.now)
        done = replacement.take_over(desk, "p-lost", "p-next", "stolen", keeps_sim=True)
        assert desk.entry("p-lost").state == "revoked"
        said = [one for one in desk.identities.notes() if b'"p-lost"' in one.raw or b"/p-lost" in one.raw]
        assert [one.type for one in said][-2:] == ["revoke", "assignment"]
        assert b"replaced by p-next: stolen" in said[-2].raw
        plan = config.read(office.where, "p-next")
        assert plan is not None
        assert (plan.probe, plan.rev, plan.modems["m1"].slots) == ("p-next", 1, 100)
    assert done.hotlines == {"Viettel": ("18008098", "198")}
    assert "p-next" in done.label.read_text()
    assert done.carried["m1"].used_bytes == 123_456_789
    enrol.enrol(done.claim, tmp_path / "new")
    with office.desk() as desk:
        assert desk.entry("p-next").site == "s-one"
        with pytest.raises(Refused, match="no other had"):
            replacement.take_over(desk, "p-next", "p-lost", "again", keeps_sim=False)
    office.write_settings("p-next", tmp_path / "new")
    held = carried.account(tmp_path / "new" / carried.FILE, "m1")
    assert held is not None
    assert msgspec.json.decode(held)["used_bytes"] == 123_456_789
    with compose.opened(load(tmp_path / "new" / "probe.toml"), has_coverage=False) as made:
        purse = made._parts["m1"][1]._account
        assert purse is not None
        assert purse.used_bytes >= 123_456_789, "the SIM's data counts on"


def _keep_test_record(office: Office, signer: note.Signer) -> None:
    """A test record of the lost probe in the ledger, with its SIM's account."""
    lost = FakeProbe("p-lost", signer=signer, origin=ORIGIN)
    budget = {"period_start_ms": 1_790_000_000_000, "used_bytes": 123_456_789}
    raw = lost.test(budget=budget)
    with closing(SqliteLedger(office.where.collector / "state" / "ledger.db")) as ledger, office.desk() as desk:
        done = Ingest(ledger, desk.registry, ORIGIN).take([Message(topics.up("p-lost"), bundle.encode([raw]))], 1)
    assert done.accepted == 1


# Below no process: the authority's own decisions.


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[tuple[Office, Issuer]]:
    made = make_office(tmp_path)
    with made.desk() as desk:
        yield made, Issuer(ORIGIN, authority.load(made.where.ca), desk.identities, desk.registry, _now_ms)


def _ask(office: Office, probe: str, **changes: str) -> enrolment.ClaimAsk:
    claim = tomllib.loads(office.claim(probe).read_text())
    signer = note.Signer.generate(codec.probe_key_name(ORIGIN, changes.get("key_of", probe)))
    key = tls_key.make()
    signed = notes.Enrol(
        v=1, signed_ms=1, probe=changes.get("says", probe), record_key=signer.verifier.vkey,
        tls_key_sha256=tls_key.key_sha256(tls_key.make() if "other_tls" in changes else key),
        token_sha256=enrolment.token_sha256(changes.get("token", claim["token"])),
    )  # fmt: skip
    request = changes.get("request") or tls_key.request(key, changes.get("cn", probe))
    return enrolment.ClaimAsk(token=claim["token"], note=notes.seal(signed, ORIGIN, signer).decode(), request=request)


def test_name_in_a_request_is_not_even_read(issuer: tuple[Office, Issuer]) -> None:
    office, one = issuer
    granted = one.answer("claim", msgspec.json.encode(_ask(office, "p-cn", cn="collector.dosong")), "")
    assert isinstance(granted, enrolment.Granted)
    assert pki.facts(granted.certificate.encode()).subject == "p-cn"


def _rsa_request() -> str:
    key = rsa.generate_private_key(65537, 2048)
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"says": "p-other"}, {"key_of": "p-other"}, {"other_tls": "1"}, {"token": "0" * 32}, {"request": "nonsense"},
        {"request": _rsa_request()},
    ],
    ids=["note of another", "key of another", "two tls keys", "another token", "no request", "RSA"],
)  # fmt: skip
def test_note_and_request_must_fit_the_claim(issuer: tuple[Office, Issuer], changes: dict[str, str]) -> None:
    office, one = issuer
    with pytest.raises(Denied):
        one.answer("claim", msgspec.json.encode(_ask(office, "p-fit", **changes)), "")
    with office.desk() as desk:
        assert desk.registry.probe("p-fit") is None


def test_nonce_is_good_once(issuer: tuple[Office, Issuer]) -> None:
    _, one = issuer
    asked = enrolment.RenewAsk(nonce="0" * 32, note="x", request="y")
    with pytest.raises(Denied) as denied:
        one.answer("renew", msgspec.json.encode(asked), "")
    assert denied.value.reason == "nonce_unknown"
    given = one.answer("nonce", b"", "")
    assert isinstance(given, enrolment.Nonce)
    for reason in ("bad_request", "nonce_unknown"):
        with pytest.raises(Denied) as denied:
            one.answer("renew", msgspec.json.encode(msgspec.structs.replace(asked, nonce=given.nonce)), "")
        assert denied.value.reason == reason


def test_what_the_door_passes_on_is_not_believed(office: Office) -> None:
    """A web that was taken over can ask no more than a stranger: here it speaks to the authority itself."""
    path = office.where.ca / "ca.sock"
    asked = enrolment.ClaimAsk(token="f" * 32, note="x", request="y")
    answer = msgspec.json.decode(ca_line.ask(path, "claim", msgspec.json.encode(asked), "1.2.3.4"))
    assert answer["error"] == "claim_unknown"
    assert msgspec.json.decode(ca_line.ask(path, "sign", b"{}", ""))["error"] == "bad_request"
    with socket.socket(socket.AF_UNIX) as line, suppress(ConnectionError):
        line.connect(str(path))
        line.settimeout(30)
        line.sendall(b"x" * 500_000)
        assert line.recv(10) == b"", "what is no question is hung up on"
    assert "unknown_claim" in office.alarms()
