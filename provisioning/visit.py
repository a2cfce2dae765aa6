"""What a technician's visit needs beside a probe's keys: the page's key, the access point, and codes, each given once.

In the probe's folder: page.key and page.toml go on its card with identity.toml; hostapd.conf and 70-dosong-ap.network
make its access point; page.count stays in the office and says how many codes were given.
Source: hostapd.conf(5); systemd.network(5); RFC 4226.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from wire import visit
from wire.errors import Misconfigured

ADDRESS, PORT, INTERFACE = "192.168.50.1", 8080, "wlan0"
PSK_LETTERS = 12
MOST_SSID_BYTES = 32


@dataclass(frozen=True, slots=True)
class Access:
    """How a phone reaches the page."""

    ssid: str
    psk: str
    url: str


def prepare(directory: Path, probe: str, *, is_claimed: bool = False) -> Access:
    """Make the page's files in a probe's folder if they are not there yet; return how the page is reached.

    `is_claimed`: the probe makes its keys itself, so the folder need hold none.

    Raises Misconfigured if the folder is none of a probe, or a file in it was cut off.
    """
    if is_claimed:
        directory.mkdir(parents=True, exist_ok=True)
    elif not (directory / "identity.toml").exists():
        raise Misconfigured(f"{directory} holds no probe; make it first: dosong-provision add-probe")
    if not (directory / "page.key").exists():
        _write(directory / "page.key", secrets.token_hex(32) + "\n")
    psk_file = directory / "page.psk"
    if not psk_file.exists():
        _write(psk_file, "".join(secrets.choice(visit.ALPHABET.lower()) for _ in range(PSK_LETTERS)) + "\n")
    psk, ssid = psk_file.read_text().strip(), f"dosong-{probe}"[:MOST_SSID_BYTES]
    if len(psk) != PSK_LETTERS:
        raise Misconfigured(f"{psk_file} is damaged; delete it and print the label anew")
    _write(directory / "page.toml", _PAGE)
    _write(directory / "hostapd.conf", _HOSTAPD.format(interface=INTERFACE, ssid=ssid, psk=psk))
    _write(directory / "70-dosong-ap.network", _NETWORK)
    return Access(ssid, psk, f"http://{ADDRESS}:{PORT}")


def next_code(directory: Path) -> tuple[int, str]:
    """Return the number and text of the next pass code, and count it as given. Raises Misconfigured."""
    try:
        key = bytes.fromhex((directory / "page.key").read_text().strip())
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"{directory}/page.key cannot be read; print the probe's label first, that makes it"
        ) from error
    count = directory / "page.count"
    number = (int(count.read_text()) if count.exists() else 0) + 1
    _write(count, f"{number}\n")
    return number, visit.pass_code(key, number)


def _write(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


_PAGE = f"""\
# The technician's page: append this to probe.toml, behind all other tables.
[page]
address = "{ADDRESS}"
interface = "{INTERFACE}"
port = {PORT}
key_file = "page.key"
"""
_HOSTAPD = """\
# The technician's access point: /etc/hostapd/hostapd.conf. No way leads from it to the modem's link.
interface={interface}
ssid={ssid}
country_code=VN
hw_mode=g
channel=6
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={psk}
max_num_sta=4
ap_isolate=1
"""
_NETWORK = f"""\
# The technician's access point: /etc/systemd/network/70-dosong-ap.network. Neither router nor name server is offered,
# so a phone keeps its own internet and spends nothing of the SIM's.
[Match]
Name={INTERFACE}

[Network]
Address={ADDRESS}/24
DHCPServer=yes
IPv6AcceptRA=no
LinkLocalAddressing=no

[DHCPServer]
PoolOffset=10
PoolSize=20
EmitDNS=no
EmitRouter=no
"""
