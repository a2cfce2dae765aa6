"""The first boot of a card: a claim becomes an identity and whole settings, without anybody at a keyboard.

Each step leaves a file, whole or not at all, so that a power cut anywhere costs nothing: site.toml (what the claim says
of the place), station.toml (what the office says of modem and measurement point), then enrolment as `dosong-probe
enrol` does it, and probe.toml last, put together from them. Once probe.toml is there nothing is touched any more.
Source: facts note 05 §6.1, §6.2; issue of identities, item 4.
"""

from __future__ import annotations

import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from probe import enrol
from probe.enrol import put
from probe.settings import load
from wire.enrolment import Claim
from wire.errors import Misconfigured

DONE = "probe.toml"
SITE = "site.toml"
STATION = "station.toml"
PAGE = "page.toml"
EMPTY = {"", "#"}
"""What systemd gives for a file that is not on the card (`SetCredential` of dosong-firstboot.service)."""
SLOT_S = 7200
_MODEM = '\n[[modem]]\nid = "m1"\nusb = "auto"\n'


@dataclass(frozen=True, slots=True)
class Ready:
    """What a person must know: who this is, the digits for the office, and whether settings were made just now."""

    probe: str
    fingerprint: str
    is_new: bool


def first_boot(claim_file: Path, station_file: Path | None, folder: Path, wait_s: float) -> Ready:
    """Enrol by a claim and write probe.toml. Raises Refused, Unavailable, Misconfigured.

    `station_file`: settings of this station from the office; None, absent or empty: the ones in `folder` hold.
    `wait_s`: how long to try again while the claim is not armed or the door not reached.
    """
    if (folder / DONE).exists():
        return Ready(*enrol.fingerprint(folder), is_new=False)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    given = claim_file if _text(claim_file) is not None else None
    if given is not None:
        put(folder / SITE, _site(enrol.read_claim(given)).encode())
    station = _text(station_file)
    if station is not None:
        put(folder / STATION, station.encode())
    done = enrol.enrol(given, folder, wait_s=wait_s)
    _write_settings(folder)
    return Ready(done.probe, done.fingerprint, is_new=True)


def _text(path: Path | None) -> str | None:
    """What a file of the card says; None if there is none, or nothing in it. Raises Misconfigured."""
    if path is None or not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read ({error}); have the office write the card again") from error
    return None if text.strip() in EMPTY else text


def _site(claim: Claim) -> str:
    simulated = "simulated = true\n" if claim.simulated else ""
    return f'site = "{claim.site}"\n{simulated}'


def _write_settings(folder: Path) -> None:
    """Put probe.toml together, and look at it as the daemon will. Raises Misconfigured."""
    text = settings_text(*(_part(folder, name) for name in (enrol.DONE, SITE, STATION, PAGE, "broker.toml")))
    draft = folder / "probe.toml.draft"
    put(draft, text.encode())
    try:
        load(draft)
    except Misconfigured as error:
        said = str(error).replace(str(draft), str(folder / STATION))
        raise Misconfigured(f"{said}; then: systemctl start dosong-firstboot") from error
    put(folder / DONE, text.encode())
    draft.unlink()


def _part(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def settings_text(identity: str, site: str, station: str, page: str, broker: str) -> str:
    """probe.toml: single keys first, then tables; a slot and a modem of our own where the station says none.

    Raises Misconfigured if the station's settings are no TOML.
    """
    try:
        said = tomllib.loads(station)
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{STATION} is not TOML: {error}; correct that line") from error
    state = "" if "state_dir" in said else 'state_dir = "/var/lib/dosong-probe"\n'
    # Until the office's signed plan arrives, which brings the month's seed.
    schedule = "" if "schedule" in said else f'\n[schedule]\nslot_s = {SLOT_S}\nseed = "{secrets.token_hex(32)}"\n'
    modem = "" if "modem" in said else _MODEM
    return f"{identity}{state}{site}{station.rstrip()}\n{schedule}{modem}\n{page}\n{broker}"
