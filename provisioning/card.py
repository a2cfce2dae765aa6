"""What goes on a card's boot partition so that a Pi becomes a probe at its first boot: names and bytes of files.

Raspberry Pi OS Bookworm runs `firstrun.sh` once, named in cmdline.txt; Trixie reads cloud-init's three files. Both then
run `dosong-setup.sh`, which lies beside them. The only secret is the claim, which is wiped when it has been used.
Source: facts note 05 §6.1; raspberrypi-sys-mods (imager_custom, imager_fixup), pi-gen stage2 (cloud-init, NoCloud).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from importlib.resources import files
from typing import Literal, get_args

from wire.errors import Misconfigured, Refused

System = Literal["bookworm", "trixie"]
SYSTEMS: tuple[System, ...] = get_args(System)
CLAIM, SETUP, STATION, PACKAGE = "dosong-claim.toml", "dosong-setup.sh", "dosong-station.toml", "dosong-probe.deb"
PAGE_FOLDER = "dosong-page"
PAGE_FILES = ("page.key", "page.toml", "hostapd.conf", "70-dosong-ap.network")
NEEDED = ("cmdline.txt", "config.txt")
"""What a boot partition of Raspberry Pi OS always has."""
TRIXIE_SINCE = date(2025, 10, 1)
_RUN = (
    "systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target"
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ZONE = re.compile(r"[A-Za-z]+(/[A-Za-z0-9_+-]+){0,2}")
_LOCALE = re.compile(r"(C|[a-z]{2,3}_[A-Z]{2})\.UTF-8")
_SSH = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,1200}={0,2}( [A-Za-z0-9@._-]{1,64})?"
)
_BLOCK = re.compile(r"\n*# dosong: begin\n.*?# dosong: end\n", re.DOTALL)
_BLOCK_OFF = "# dosong: begin\n[all]\ndtoverlay=disable-wifi\ndtoverlay=disable-bt\n# dosong: end\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the office wants on a card. `page`: the page's files by name; without them the radios are switched off.

    `ssh_key` "" lets nobody in by network. `station`: settings of this station; `package`: the program, as a .deb.
    """

    probe: str
    claim: bytes
    hostname: str
    timezone: str = "Asia/Ho_Chi_Minh"
    locale: str = "C.UTF-8"
    ssh_key: str = ""
    page: dict[str, bytes] = field(default_factory=dict)
    station: bytes | None = None
    package: bytes | None = None


def check(wishes: Wishes) -> None:
    """Raise Misconfigured for what a shell or YAML would read as more than one word."""
    told = (
        ("--hostname", _HOST, wishes.hostname, "1 to 63 of a-z 0-9 -, such as p-dong-dong"),
        ("--timezone", _ZONE, wishes.timezone, "a name such as Asia/Ho_Chi_Minh"),
        ("--locale", _LOCALE, wishes.locale, "a name such as C.UTF-8 or vi_VN.UTF-8"),
    )
    for option, pattern, value, remedy in told:
        if pattern.fullmatch(value) is None:
            raise Misconfigured(f"{option} {value!r}: give {remedy}")
    if wishes.ssh_key and _SSH.fullmatch(wishes.ssh_key) is None:
        raise Misconfigured("--ssh-key: the file must hold one public key in one line, such as id_ed25519.pub has")
    if wishes.page and set(wishes.page) != set(PAGE_FILES):
        raise Misconfigured("the page's files are not whole; make them first: dosong-provision label")


def system_of(held: dict[str, bytes]) -> System:
    """Which system a boot partition belongs to, by its files. Raises Refused if that cannot be told."""
    if {"user-data", "meta-data"} & set(held):
        return "trixie"
    found = re.search(rb"(20[0-9]{2})-([01][0-9])-([0-3][0-9])", held.get("issue.txt", b""))
    if found is not None:
        made = date(*(int(part) for part in found.groups()))
        if made >= date(2023, 10, 10):
            return "trixie" if made >= TRIXIE_SINCE else "bookworm"
        raise Refused(
            "bad_file", f"the system on this card is of {made}: write Raspberry Pi OS Lite of 2023-10-10 or later"
        )
    raise Refused("bad_file", "it cannot be told which Raspberry Pi OS this is; say it: --os bookworm, or --os trixie")


def compose(wishes: Wishes, system: System, held: dict[str, bytes]) -> dict[str, bytes]:
    """Every file to write, by its name; `held`: what cmdline.txt and config.txt say now. Raises Misconfigured.

    The claim comes last: a card that was cut off before it enrols nobody.
    """
    check(wishes)
    made = {SETUP: _filled(SETUP, wishes), "config.txt": _config(held["config.txt"], has_page=bool(wishes.page))}
    if system == "bookworm":
        made |= {"firstrun.sh": _filled("firstrun.sh", wishes), "cmdline.txt": _cmdline(held["cmdline.txt"])}
    else:
        named = f"dosong-{wishes.probe}-{sha256(wishes.claim).hexdigest()[:8]}"
        made |= {name: _filled(name, wishes) for name in ("user-data", "network-config")}
        made["meta-data"] = f"instance-id: {named}\nlocal-hostname: {wishes.hostname}\n".encode()
    made |= {f"{PAGE_FOLDER}/{name}": content for name, content in wishes.page.items()}
    for name, content in ((STATION, wishes.station), (PACKAGE, wishes.package)):
        if content is not None:
            made[name] = content
    return {**made, CLAIM: wishes.claim}


def _filled(name: str, wishes: Wishes) -> bytes:
    text = (files("provisioning") / "data" / "card" / name).read_text(encoding="utf-8")
    lines = f"\n  ssh_authorized_keys:\n  - {wishes.ssh_key}" if wishes.ssh_key else ""
    values = {
        "PROBE": wishes.probe,
        "HOSTNAME": wishes.hostname,
        "TIMEZONE": wishes.timezone,
        "LOCALE": wishes.locale,
        "SSH_KEY": wishes.ssh_key,
        "SSH_LINES": lines,
    }
    return re.sub("@([A-Z_]+)@", lambda match: values[match[1]], text).encode()


def _cmdline(held: bytes) -> bytes:
    """The kernel's line with our command at its end, once; what Imager put there before is replaced."""
    words = [word for word in held.decode().split() if not word.startswith(("systemd.run", "systemd.unit="))]
    return f"{' '.join(words)} {_RUN}\n".encode()


def _config(held: bytes, *, has_page: bool) -> bytes:
    """The firmware's settings with our block at the end: radios off, unless the station has a page of its own."""
    text = _BLOCK.sub("\n", held.decode()).rstrip("\n") + "\n"
    return (text if has_page else f"{text}\n{_BLOCK_OFF}").encode()
