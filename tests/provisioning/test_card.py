"""A card: real FAT images and partition tables; the generated scripts run in a scratch root against a real office."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from provisioning import card, card_target
from provisioning.card_command import card_
from tests.provisioning.identity_kit import Office, make_office, serving
from wire.errors import Refused

CMDLINE = (
    b"console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait quiet\n"
)
CONFIG = b"# For more options see http://rptl.io/configtxt\ndtparam=audio=on\n[all]\n"
BOOT = {"cmdline.txt": CMDLINE, "config.txt": CONFIG}
BOOKWORM = {**BOOT, "issue.txt": b"Raspberry Pi reference 2024-11-19\nGenerated using pi-gen\n"}
TRIXIE = {**BOOT, "user-data": b"#cloud-config\n", "meta-data": b"", "network-config": b""}
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjUTtX9l7f8pDTX2qbKW office@example"
SECTOR = 512


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with serving(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.fixture(scope="module")
def claim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_office(tmp_path_factory.mktemp("quiet")).claim("p-card")


def _tool(*words: str, **more: object) -> bytes:
    return subprocess.run(
        words,
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        **more,
    ).stdout  # type: ignore[call-overload,no-any-return]


def _fat(path: Path, offset: int, sectors: int, held: dict[str, bytes]) -> None:
    """A FAT32 partition at an offset of an image, with files in it."""
    _tool("mkfs.vfat", "-F", "32", "--offset", str(offset // SECTOR), str(path), str(sectors // 2))
    for name, content in held.items():
        source = path.with_name("one")
        source.write_bytes(content)
        _tool("mcopy", "-i", f"{path}@@{offset}", "-o", str(source), f"::/{name}")


def image(folder: Path, held: dict[str, bytes], label: str = "dos") -> Path:
    """An image as Raspberry Pi OS has it: a small FAT32 partition, and a Linux one that must not be touched."""
    path = folder / f"{label}.img"
    with path.open("wb") as file:
        file.truncate(96 * 2**20)
    kinds = ("c", "83") if label == "dos" else ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "L")
    table = f"label: {label}\n8192,131072,{kinds[0]}\n139264,40960,{kinds[1]}\n"
    _tool("sfdisk", "-q", str(path), input=table.encode())
    _fat(path, 8192 * SECTOR, 131072, held)
    with path.open("r+b") as file:
        file.seek(139264 * SECTOR)
        file.write(b"\xa5" * 4096)
    return path


def boot(folder: Path, held: dict[str, bytes]) -> Path:
    """A boot partition as a mounted folder."""
    for name, content in held.items():
        (folder / name).write_bytes(content)
    return folder


def run(target: Path, claim_file: Path, *words: str) -> Result:
    """The command, whole."""
    return CliRunner().invoke(card_, ["--claim", str(claim_file), *words, str(target)], standalone_mode=False)


@pytest.mark.parametrize("label", ["dos", "gpt"])
def test_an_image_is_written_at_its_partition_and_nowhere_else(tmp_path: Path, claim: Path, label: str) -> None:
    path = image(tmp_path, BOOKWORM, label)
    done = run(path, claim)
    assert done.exception is None, done.exception
    assert "bookworm" in done.output
    found = card_target.find(path)
    assert found.read(card.CLAIM) == claim.read_bytes()
    assert found.read("issue.txt") == BOOKWORM["issue.txt"]
    raw = path.read_bytes()
    assert raw[139264 * SECTOR :][:4096] == b"\xa5" * 4096
    _tool("fsck.vfat", "-n", *_cut(path, tmp_path))
    again = run(path, claim)
    assert again.exception is None, "written twice, it is the same"
    assert (found.read("cmdline.txt") or b"").count(b"systemd.run=") == 1


def _cut(path: Path, folder: Path) -> list[str]:
    part = folder / "part"
    part.write_bytes(path.read_bytes()[8192 * SECTOR :][: 131072 * SECTOR])
    return [str(part)]


def test_bookworm_runs_our_script_once_and_trixie_reads_cloud_init(tmp_path: Path, claim: Path) -> None:
    for name, held in (("bookworm", BOOKWORM), ("trixie", TRIXIE)):
        folder = boot(Path(_made(tmp_path / name)), held)
        assert run(folder, claim).exception is None
        lines = (folder / "cmdline.txt").read_text().splitlines()
        assert len(lines) == 1
        assert ("systemd.run=/boot/firmware/firstrun.sh" in lines[0]) == (name == "bookworm")
        assert "root=PARTUUID=4e639091-02" in lines[0]
        assert (folder / "config.txt").read_text().count("dtoverlay=disable-wifi") == 1
    said = yaml.safe_load((tmp_path / "trixie" / "user-data").read_text())
    assert said["hostname"] == "p-card"
    assert said["timezone"] == "Asia/Ho_Chi_Minh"
    assert "ssh_authorized_keys" not in said["users"][0]
    assert said["runcmd"][-1] == ["sh", "/boot/firmware/dosong-setup.sh", "enrol"]
    assert yaml.safe_load((tmp_path / "trixie" / "meta-data").read_text())["instance-id"].startswith("dosong-p-card-")
    assert "wifis" not in yaml.safe_load((tmp_path / "trixie" / "network-config").read_text())["network"]
    token = next(line for line in claim.read_text().splitlines() if line.startswith("token")).split('"')[1]
    holders = [one.name for one in (tmp_path / "trixie").iterdir() if token in one.read_text()]
    assert holders == [card.CLAIM], "the one secret stands in the file that is wiped, in no other"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_pages_get_the_claim_without_its_token(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    text = office.claim("p-web").read_text()
    head = (office.where.collector / "claims" / "p-web.head").read_text()
    token = text.split('token = "')[1].split('"')[0]
    assert token not in head
    assert head.replace("@token@", token) == text


def test_what_was_wished_is_there(tmp_path: Path, claim: Path) -> None:
    folder = boot(_made(tmp_path / "boot"), TRIXIE)
    (tmp_path / "key.pub").write_text(f"{SSH}\n")
    (tmp_path / "station.toml").write_text('[engine]\nserver = "http://127.0.0.1:9"\n')
    words = ("--ssh-key", tmp_path / "key.pub", "--hostname", "tram-1", "--locale", "vi_VN.UTF-8", "--timezone", "UTC")
    done = run(folder, claim, *map(str, words), "--station", str(tmp_path / "station.toml"))
    assert done.exception is None, done.exception
    said = yaml.safe_load((folder / "user-data").read_text())
    assert (said["hostname"], said["locale"], said["timezone"]) == ("tram-1", "vi_VN.UTF-8", "UTC")
    assert said["users"][0]["ssh_authorized_keys"] == [SSH]
    assert (folder / card.STATION).exists()


def test_a_dry_run_writes_nothing(tmp_path: Path, claim: Path) -> None:
    path = image(tmp_path, TRIXIE)
    before = path.read_bytes()
    done = run(path, claim, "--dry-run")
    assert "nothing was written" in done.output
    assert "user-data" in done.output
    assert path.read_bytes() == before


WRONG: list[tuple[str, Callable[[Path], Path], tuple[str, ...], str]] = [
    ("an empty folder", lambda t: _made(t / "x"), (), "no boot partition"),
    ("this machine", lambda _: Path("/"), (), "this machine's own system"),
    ("a text", lambda t: _text(t / "x"), (), "no boot partition"),
    ("another system", lambda t: image(t, {"readme.txt": b"camera"}), (), "no FAT partition with cmdline.txt"),
    ("a device of ours", lambda _: Path("/dev/null"), (), "neither a folder, an image file nor a device"),
    ("an unknown system", lambda t: boot(_made(t / "x"), BOOT), (), "--os bookworm"),
    ("an old one", lambda t: boot(_made(t / "x"), {**BOOT, "issue.txt": b"2021-05-07"}), (), "2023-10-10 or later"),
    ("a bad name", lambda t: boot(_made(t / "x"), TRIXIE), ("--hostname", "a b;reboot"), "--hostname"),
    ("a bad zone", lambda t: boot(_made(t / "x"), TRIXIE), ("--timezone", "../../etc"), "--timezone"),
    ("no deployment", lambda t: boot(_made(t / "x"), TRIXIE), ("--page",), "--dir"),
]  # fmt: skip


def _text(path: Path) -> Path:
    path.write_text("not an image")
    return path


@pytest.mark.parametrize(("_what", "make", "words", "sentence"), WRONG, ids=[one[0] for one in WRONG])
def test_a_wrong_target_is_refused_in_a_sentence(
    tmp_path: Path, claim: Path, _what: str, make: Callable[[Path], Path], words: tuple[str, ...], sentence: str
) -> None:
    target = make(tmp_path)
    before = sorted(one.name for one in target.iterdir()) if target.is_dir() and str(target) != "/" else None
    done = run(target, claim, *words)
    assert sentence in str(done.exception), done.exception
    assert before is None or sorted(one.name for one in target.iterdir()) == before


def test_a_card_of_another_probe_is_not_taken_by_mistake(tmp_path: Path, claim: Path) -> None:
    folder = boot(_made(tmp_path / "boot"), {**TRIXIE, card.CLAIM: b'probe = "p-other"\n'})
    assert "p-other" in str(run(folder, claim).exception)
    assert run(folder, claim, "--force").exception is None
    (folder / "not-a-claim").write_text("probe = 1")
    assert "no claim file" in str(run(folder, folder / "not-a-claim").exception)


def test_what_the_card_did_not_keep_is_found(tmp_path: Path, claim: Path) -> None:
    class Forgetful(card_target.Folder):
        __slots__ = ()

        def write(self, name: str, content: bytes) -> None:
            super().write(name, content[:-1] if name == card.CLAIM else content)

    folder = boot(_made(tmp_path / "boot"), TRIXIE)
    made = {"a": b"a", card.CLAIM: claim.read_bytes()}
    with pytest.raises(Refused, match=card.CLAIM):
        card_target.write_all(Forgetful(folder), made)
    path = image(tmp_path, TRIXIE)
    with pytest.raises(Refused, match="cannot be written"):
        card_target.write_all(card_target.find(path), {"big": bytes(80 * 2**20)})


def _scratch(tmp_path: Path, held: dict[str, bytes]) -> tuple[Path, dict[str, str]]:
    """A scratch root with a boot partition in it, and the surroundings in which its scripts run."""
    root = tmp_path / "root"
    for folder in ("boot/firmware", "etc", "bin"):
        (root / folder).mkdir(parents=True)
    boot(root / "boot" / "firmware", held)
    (root / "etc" / "hosts").write_text("127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n")
    shim = root / "bin" / "dosong-probe"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m probe "$@"\n')
    shim.chmod(0o755)
    surroundings = {"DOSONG_ROOT": str(root), "DOSONG_WAIT": "0", "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    return root, {**os.environ, **surroundings}


@pytest.mark.services
@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_the_first_boot_enrols_and_leaves_no_claim(tmp_path: Path, office: Office, system: str) -> None:
    probe = f"p-{system}"
    path = office.claim(probe, armed=False)
    root, surroundings = _scratch(tmp_path, BOOKWORM if system == "bookworm" else TRIXIE)
    where = root / "boot" / "firmware"
    (tmp_path / "station.toml").write_text('[engine]\nserver = "http://127.0.0.1:9"\n')
    words = ("--dir", str(office.where.root), "--page", "--station", str(tmp_path / "station.toml"))
    assert run(where, path, *words).exception is None

    def do(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", *words], env=surroundings, capture_output=True, timeout=60, check=False)

    if system == "bookworm":
        assert do(str(where / "firstrun.sh")).returncode == 0
        assert not (where / "firstrun.sh").exists()
        assert b"systemd.run" not in (where / "cmdline.txt").read_bytes()
        assert b"kernel-command-line" not in (where / "cmdline.txt").read_bytes()
        assert (root / "etc" / "hostname").read_text() == f"{probe}\n"
        assert "raspberrypi" not in (root / "etc" / "hosts").read_text()
        wanted = root / "etc/systemd/system/multi-user.target.wants/dosong-card.service"
        assert "dosong-setup enrol" in wanted.read_text()
    else:
        *early, last = yaml.safe_load((where / "user-data").read_text())["runcmd"]
        for words in early:
            assert do(*(word.replace("/boot/firmware", str(where)) for word in words[1:])).returncode == 0
        assert last[-1] == "enrol"
    enrol = (str(where / "dosong-setup.sh"), "enrol")
    assert do(*enrol).returncode == 1, "not armed yet: it is tried again, and the claim stays"
    assert "claim_not_armed" in (where / "dosong-setup.log").read_text()
    with office.desk() as desk:
        from provisioning import identity  # noqa: PLC0415

        identity.arm(desk, probe)
    done = do(*enrol)
    assert done.returncode == 0, done.stderr
    with office.desk() as desk:
        identity.confirm(desk, probe, (where / "dosong-fingerprint.txt").read_text().rsplit(":", 1)[1])
        assert desk.entry(probe).state == "active"
    for left in (where / card.CLAIM, where / card.PAGE_FOLDER, root / "etc/dosong/claim.toml"):
        assert not left.exists(), left
    assert 'site = "s-one"' in (root / "etc/dosong/probe.toml").read_text(), "whole settings, not only an identity"
    assert stat.S_IMODE((root / "etc/dosong/page.key").stat().st_mode) == 0o600
    assert do(*enrol).returncode == 0, "once more does nothing"


def test_the_packages_own_unit_goes_first(tmp_path: Path, claim: Path) -> None:
    root, surroundings = _scratch(tmp_path, BOOKWORM)
    where = root / "boot" / "firmware"
    assert run(where, claim).exception is None
    (root / "lib/systemd/system").mkdir(parents=True)
    (root / "lib/systemd/system/dosong-firstboot.service").write_text("[Unit]\n")
    for words in (["firstrun.sh"], ["dosong-setup.sh", "enrol"]):
        done = subprocess.run(["sh", str(where / words[0]), *words[1:]], env=surroundings, check=False, timeout=60)
        assert done.returncode == 0
    assert not (root / "etc/systemd/system/dosong-card.service").exists()
    assert (where / card.CLAIM).exists(), "that unit reads it, and wipes it"
