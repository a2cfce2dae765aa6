"""Labels and the keeper's notice: real PDFs, read back as text; hostile names stay text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provisioning import label_words, labels
from provisioning.label_commands import label, notice
from provisioning.labels import Station
from tests.provisioning.identity_kit import Office, make_office
from wire.errors import Misconfigured

WEB = "https://dosong.sokhcn.example"
NASTY = '<b>Xóm</b> #eval("1") $x$ *y* \\u{41} ="1+1" @a [z]'


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def text_of(path: Path) -> str:
    """What a reader of the PDF reads, blanks made one."""
    done = subprocess.run(["pdftotext", "-raw", str(path), "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().replace("\u200b", "").split())


def pages_of(path: Path) -> int:
    done = subprocess.run(["pdfinfo", str(path)], capture_output=True, check=True, text=True)
    return int(next(line for line in done.stdout.splitlines() if line.startswith("Pages")).split()[1])


def run(command: object, office: Office, *words: str) -> Result:
    return CliRunner().invoke(command, ["--dir", str(office.where.root), *words], standalone_mode=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_sheet_has_a_label_for_each_station_and_opens_its_acceptance_page(office: Office, language: str) -> None:
    for number in range(9):
        office.claim(f"p-label-{number}", armed=False)
    out = office.root / "labels.pdf"
    done = run(label, office, "--web", WEB, "--out", str(out), "--waiting", "--lang", language)
    assert done.exception is None, done.exception
    assert pages_of(out) == 2
    text = text_of(out).replace(" ", "")
    for number in range(9):
        assert f"{WEB}/accept/p-label-{number}" in text
    words = label_words.pick(label_words.LABEL, language)  # type: ignore[arg-type]
    assert words["stay"].replace(" ", "") in text
    assert "XómĐồngChuối" in text or "xómĐồngChuối" in text
    psk = (office.where.probe("p-label-3") / "page.psk").read_text().strip()
    assert psk in text


def test_the_same_label_is_the_same_file() -> None:
    stations = [Station("p-one", NASTY, None)]
    first, again = (labels.sheet(stations, WEB, "2026", "vi", 1_790_000_000_000) for _ in range(2))
    assert first == again


def test_hostile_names_stand_as_they_are(tmp_path: Path) -> None:
    for name, raw in (
        ("sheet", labels.sheet([Station("p-one", NASTY, None)], WEB, "x", "vi", 1)),
        ("notice", labels.notice([Station("p-one", NASTY, None)], "0203 3 123 456", NASTY, "en", 1)),
    ):
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(raw)
        assert NASTY.replace(" ", "") in text_of(path).replace(" ", "")


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_notice_says_four_things_on_one_page_each(office: Office, language: str) -> None:
    office.claim("p-label", armed=False)
    office.claim("p-other", armed=False)
    out = office.root / "notice.pdf"
    words = ("--phone", "0203 3 123 456", "--office", "UBND xã Phú Xuyên", "--lang", language, "--out", str(out))
    assert run(notice, office, *words, "p-label", "p-other").exception is None
    assert pages_of(out) == 2
    text = text_of(out)
    for head, said in label_words.pick_pairs(label_words.POINTS, language):  # type: ignore[arg-type]
        assert head in text
        assert said in text
    assert "0203 3 123 456" in text
    assert "UBND xã Phú Xuyên" in text


def test_what_cannot_be_printed_is_said(office: Office, tmp_path: Path) -> None:
    office.claim("p-label", armed=False)
    out = str(tmp_path / "x.pdf")
    for words, said in (
        (("--out", out, "p-label"), "--web"),
        (("--out", out, "--web", WEB), "no station"),
        (("--out", out, "--web", WEB, "p-nobody"), "p-nobody"),
        (("--out", out, "--web", "javascript:alert(1)", "p-label"), "--web"),
        (("--out", str(tmp_path / "x.svg"), "p-label", "p-nobody"), "p-nobody"),
        (("--out", str(tmp_path / "x.doc"), "p-label"), "x.doc"),
    ):
        assert said in str(run(label, office, *words).exception)
    with pytest.raises(Misconfigured, match="--phone"):
        labels.notice([], "<b>", "", "vi", 1)
    assert run(label, office, "--out", str(tmp_path / "x.svg"), "p-label").exception is None
    assert "p-label" in (tmp_path / "x.svg").read_text()
