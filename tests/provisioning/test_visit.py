"""Labels, codes and what goes on the card: made once, and read back by the probe's own programs."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import segno

from probe.page.session import Porter, read_key
from probe.settings_page import Page, check_page
from provisioning import label, visit
from provisioning.label import Label
from provisioning.visit import Access
from wire.errors import Misconfigured
from wire.visit import ALPHABET, normal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "identity.toml").write_text("")
    return tmp_path


def test_files_are_made_once_and_stay(folder: Path) -> None:
    first = visit.prepare(folder, "p-dong-chuoi")
    key = (folder / "page.key").read_text()
    assert visit.prepare(folder, "p-dong-chuoi") == first
    assert (folder / "page.key").read_text() == key
    for name in ("page.key", "page.psk", "hostapd.conf", "page.toml"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert first.ssid == "dosong-p-dong-chuoi"
    assert set(first.psk) <= set(ALPHABET.lower())
    assert f"wpa_passphrase={first.psk}" in (folder / "hostapd.conf").read_text()
    network = (folder / "70-dosong-ap.network").read_text()
    assert "EmitRouter=no" in network, "a phone must not spend the SIM's data"


def test_page_table_is_one_that_the_probe_takes(folder: Path) -> None:
    import tomllib  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    visit.prepare(folder, "p-x")
    page = msgspec.convert(tomllib.loads((folder / "page.toml").read_text())["page"], Page)
    check_page(folder, page, ["cell0"])
    with pytest.raises(Misconfigured):
        check_page(folder, page, [page.interface])


def test_codes_of_the_office_open_the_page_of_the_probe_each_once_and_in_any_later_order(folder: Path) -> None:
    visit.prepare(folder, "p-x")
    codes = [visit.next_code(folder) for _ in range(3)]
    assert [number for number, _ in codes] == [1, 2, 3]
    porter = Porter(read_key(folder / "page.key"), folder, lambda: 0.0)
    assert porter.open(codes[1][1], "a")
    assert porter.open(codes[0][1], "a") is None, "an older one is void"
    assert porter.open(codes[2][1], "a")
    assert all(normal(code) == code for _, code in codes)


def test_folder_that_is_no_probes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="add-probe"):
        visit.prepare(tmp_path, "p-x")
    with pytest.raises(Misconfigured, match="label"):
        visit.next_code(tmp_path)


def test_wifi_text_escapes_what_cameras_read_as_its_own_signs() -> None:
    assert label.wifi_text(Access('a;b"c', "p\\,:", "")) == 'WIFI:T:WPA;S:a\\;b\\"c;P:p\\\\\\,\\:;;'


def test_label_is_one_svg_with_the_code_the_address_and_the_lights(folder: Path) -> None:
    access = visit.prepare(folder, "p-x")
    root = ET.fromstring(label.svg(Label("p-x", "nvh-<&>", access)))  # noqa: S314 (ours)
    text = " ".join("".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text"))
    assert root.get("width") == "100mm"
    for part in (access.ssid, access.psk, "192.168.50.1:8080", "p-x", "nvh-<&>", "PWR", "ACT", "Modem"):
        assert part in text
    modules = segno.make(label.wifi_text(access), error="m", micro=False).matrix
    assert label.svg(Label("p-x", "s", access)).count("h1v1h-1z") == sum(map(sum, modules))


def test_longest_names_and_every_line_fit_the_label() -> None:
    """A letter is some six tenths of its height wide; a line of lights may have 90 mm at 3 mm."""
    assert all(len(name) + len(text) + 2 <= 62 for name, text in label.LIGHTS)
    longest = Label("p" * 32, "s" * 32, Access("", "", ""))
    height = label._fitting(longest)
    assert height * 0.62 * (1.4 * 32 + 32) <= 90
    assert height >= 1.5


@pytest.mark.parametrize(("kind", "head"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")])
def test_qr_alone_comes_in_the_kind_of_its_name(folder: Path, kind: str, head: bytes) -> None:
    path = folder / f"qr{kind}"
    label.write_qr(visit.prepare(folder, "p-x"), path)
    assert path.read_bytes().startswith(head)
    with pytest.raises(Misconfigured):
        label.write_qr(visit.prepare(folder, "p-x"), folder / "qr.doc")


def test_commands_make_label_and_code(tmp_path: Path) -> None:
    root = tmp_path / "d"

    def call(*words: str) -> str:
        command = [sys.executable, "-m", "provisioning", words[0], "--dir", str(root), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    call("init", "--origin", "x.example", "--host", "127.0.0.1")
    units = Path(__file__).parents[2] / "sim" / "data" / "demo-units.toml"
    call("import", str(units))
    site = next(line.split('"')[1] for line in _after(units.read_text(), "[[sites]]") if line.startswith("code"))
    call("add-probe", "p-label", "--site", site)
    assert "192.168.50.1" in call("label", "p-label", "--out", str(tmp_path / "l.svg"), "--qr", str(tmp_path / "q.png"))
    assert site in (tmp_path / "l.svg").read_text()
    first, second = call("visit-code", "p-label").split()[0], call("visit-code", "p-label").split()[0]
    assert first != second
    assert normal(first) is not None


def _after(text: str, head: str) -> list[str]:
    return text.partition(head)[2].splitlines()
