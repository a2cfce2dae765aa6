"""A card's first boot: cut off anywhere it goes on, and what it leaves is what the daemon reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from probe import firstboot
from probe.settings import load
from tests.provisioning.identity_kit import Office, make_office, until
from wire.enrolment import Claim
from wire.errors import Misconfigured
from wire.note import Signer

pytestmark = [pytest.mark.services, pytest.mark.xdist_group("firstboot")]
STATION = '[engine]\nserver = "http://127.0.0.1:9"\n[recovery]\nrescue = "/run/dosong-rescue.sock"\n'


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> object:
    made = make_office(tmp_path_factory.mktemp("office"))
    made.start("provisioning", "ca", "serve", "--dir", str(made.where.root))
    made.start("collector", "enrol", "--config", str(made.where.collector / "collector.toml"))
    until((made.where.ca / "ca.sock").exists, what="the authority")
    yield made
    made.close()


def _card(tmp_path: Path, office: Office, probe: str, station: str = STATION) -> tuple[Path, Path, Path]:
    (tmp_path / "station.toml").write_text(station)
    return office.claim(probe), tmp_path / "station.toml", tmp_path / "etc"


def test_a_claim_becomes_settings_that_load(tmp_path: Path, office: Office) -> None:
    claim, station, folder = _card(tmp_path, office, "p-first")
    ready = firstboot.first_boot(claim, station, folder, 60)
    assert ready.is_new
    assert ready.probe == "p-first"
    settings = load(folder / "probe.toml")
    assert (settings.probe, settings.site, settings.state_dir) == ("p-first", "s-one", "/var/lib/dosong-probe")
    assert settings.modem[0].usb == "auto"
    assert settings.broker is not None
    assert settings.recovery.rescue == "/run/dosong-rescue.sock"
    assert settings.log_vkey == office.where.public_key("log")
    assert not claim.exists(), "the claim is wiped"
    again = firstboot.first_boot(claim, None, folder, 0)
    assert not again.is_new
    assert again.fingerprint == ready.fingerprint


def test_a_claim_of_an_older_office_enrols_without_the_logs_key(tmp_path: Path, office: Office) -> None:
    claim, station, folder = _card(tmp_path, office, "p-older")
    lines = claim.read_text().splitlines(keepends=True)
    claim.write_text("".join(line for line in lines if not line.startswith("# log_vkey")))
    assert firstboot.first_boot(claim, station, folder, 60).is_new
    assert load(folder / "probe.toml").log_vkey is None


def test_an_older_probe_reads_a_claim_of_today(office: Office) -> None:
    """What version 1 reads of it has no field more than the frozen one."""
    text = office.claim("p-newer", armed=False).read_text()
    assert "# log_vkey = " in text
    assert msgspec.convert(tomllib.loads(text), Claim).probe == "p-newer"


@pytest.mark.parametrize("change", ["twice", "other purpose", "other origin", "no key"])
def test_a_log_key_that_is_not_this_logs_is_told_before_the_claim_is_used(
    tmp_path: Path, office: Office, change: str
) -> None:
    claim, station, folder = _card(tmp_path, office, f"p-{change.replace(' ', '-')}")
    (line,) = (one for one in claim.read_text().splitlines(keepends=True) if one.startswith("# log_vkey"))
    others = {
        "twice": line * 2,
        "other purpose": f'# log_vkey = "{office.where.public_key("ack")}"\n',
        "other origin": f'# log_vkey = "{Signer.generate("other.example/log").verifier.vkey}"\n',
        "no key": '# log_vkey = "nothing"\n',
    }
    claim.write_text(claim.read_text().replace(line, others[change]))
    with pytest.raises(Misconfigured, match="log_vkey"):
        firstboot.first_boot(claim, station, folder, 0)
    assert claim.exists()
    assert not (folder / "record.key").exists()


def test_what_was_enrolled_before_the_power_went_gets_its_settings_without_a_claim(
    tmp_path: Path, office: Office
) -> None:
    claim, station, folder = _card(tmp_path, office, "p-cut")
    first = firstboot.first_boot(claim, station, folder, 60)
    (folder / "probe.toml").unlink()
    again = firstboot.first_boot(claim, tmp_path / "none", folder, 0)
    assert (again.probe, again.fingerprint, again.is_new) == (first.probe, first.fingerprint, True)
    assert load(folder / "probe.toml").site == "s-one"


def test_settings_that_would_not_do_are_told_by_the_file_that_a_person_changes(tmp_path: Path, office: Office) -> None:
    claim, station, folder = _card(tmp_path, office, "p-no-server", "# nothing yet\n")
    with pytest.raises(Misconfigured, match=r"station\.toml.*engine"):
        firstboot.first_boot(claim, station, folder, 60)
    assert not (folder / "probe.toml").exists()
    (folder / "station.toml").write_text(STATION)
    assert firstboot.first_boot(claim, None, folder, 0).is_new


def test_what_systemd_gives_for_a_missing_file_is_no_claim(tmp_path: Path) -> None:
    (tmp_path / "claim").write_text("#")
    with pytest.raises(Misconfigured, match="claim"):
        firstboot.first_boot(tmp_path / "claim", tmp_path / "claim", tmp_path / "etc", 0)


def test_every_probe_draws_a_seed_of_its_own_until_the_plan_comes() -> None:
    texts = [firstboot.settings_text("", "", STATION, "", "") for _ in range(2)]
    seeds = {tomllib.loads(text)["schedule"]["seed"] for text in texts}
    assert len(seeds) == 2
    with pytest.raises(Misconfigured, match="TOML"):
        firstboot.settings_text("", "", "[engine", "", "")
