"""The page's door in namespaces: it answers on the access point, never by the modem's link, and comes back with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.probe.kit import ACK_KEY, KEY, wait_until
from wire.errors import EXIT_OK
from wire.keyfile import write_signer

pytestmark = pytest.mark.netns
_SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
site = "nvh-thu"
[schedule]
slot_s = 86400
seed = "{seed}"
[engine]
server = "http://198.18.9.1:9"
[[modem]]
id = "m1"
port = "/dev/no-modem-here"
interface = "cell0"
[page]
address = "{address}"
interface = "{interface}"
"""
AP, MODEM = "192.168.50.1", "198.18.9.2"


@contextmanager
def _namespace() -> Iterator[int]:
    """A network of its own; yields the pid that holds it."""
    child = subprocess.Popen(["unshare", "-n", "--", "sh", "-c", "ip link set lo up; echo; exec sleep 300"], stdout=-1)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def inside(pid: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nsenter", "-t", str(pid), "-n", "--", *words], capture_output=True, text=True, check=False)


@dataclass(slots=True)
class Place:
    """A probe with an access point and a modem's link, a phone on the one, a stranger on the other."""

    folder: Path
    probe: int
    phone: int
    stranger: int

    def reaches(self, pid: int, address: str) -> bool:
        """Whether the page answers there."""
        code = (
            "import http.client,sys;"
            f"c=http.client.HTTPConnection({address!r},8080,timeout=4);c.request('GET','/vi',headers={{'Host':'{AP}:8080'}});"
            "sys.exit(c.getresponse().status!=200)"
        )
        return inside(pid, sys.executable, "-c", code).returncode == 0

    @contextmanager
    def daemon(self, address: str = AP, interface: str = "ap0") -> Iterator[subprocess.Popen[str]]:
        named = {"ack": ACK_KEY.verifier.vkey, "seed": "5" * 64, "address": address, "interface": interface}
        (self.folder / "probe.toml").write_text(_SETTINGS.format(**named))
        command = [sys.executable, "-m", "probe", "run", "--config", str(self.folder / "probe.toml")]
        with (self.folder / "log").open("w") as log:
            child = subprocess.Popen(["nsenter", "-t", str(self.probe), "-n", "--", *command], stderr=log, text=True)
        try:
            yield child
        finally:
            child.terminate()
            assert child.wait(40) == EXIT_OK

    def says(self, text: str) -> bool:
        return text in (self.folder / "log").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    write_signer(tmp_path / "record.key", KEY)
    (tmp_path / "page.key").write_text("00" * 32)
    with ExitStack() as stack:
        probe, phone, stranger = (stack.enter_context(_namespace()) for _ in range(3))
        for name, far, pid, near, other in (
            ("ap0", "sta0", phone, f"{AP}/24", "192.168.50.20/24"),
            ("cell0", "core0", stranger, f"{MODEM}/24", "198.18.9.1/24"),
        ):
            inside(probe, "ip", "link", "add", name, "type", "veth", "peer", "name", far, "netns", str(pid))
            inside(probe, "ip", "addr", "add", near, "dev", name)
            inside(probe, "ip", "link", "set", name, "up")
            inside(pid, "ip", "addr", "add", other, "dev", far)
            inside(pid, "ip", "link", "set", far, "up")
        inside(stranger, "ip", "route", "add", f"{AP}/32", "via", MODEM)
        yield Place(tmp_path, probe, phone, stranger)


def test_page_answers_the_phone_and_not_whoever_comes_by_the_modems_link(place: Place) -> None:
    with place.daemon():
        wait_until(lambda: place.says("page=open"), 60, "the door is open")
        wait_until(lambda: place.reaches(place.phone, AP), 60, "the phone sees the page")
        assert not place.reaches(place.stranger, AP), "the access point's address by the modem's link"
        assert not place.reaches(place.stranger, MODEM)


def test_page_never_stands_on_the_modems_own_address(place: Place) -> None:
    with place.daemon(address=MODEM):
        wait_until(lambda: place.says("is the modem's link"), 60, "it says why")
        assert not place.reaches(place.stranger, MODEM)
        assert not place.says("page=open")


def test_access_point_that_comes_up_late_is_waited_for(place: Place) -> None:
    inside(place.probe, "ip", "addr", "del", f"{AP}/24", "dev", "ap0")
    with place.daemon():
        wait_until(lambda: place.says("page=closed"), 60, "it says that it waits")
        inside(place.probe, "ip", "addr", "add", f"{AP}/24", "dev", "ap0")
        wait_until(lambda: place.reaches(place.phone, AP), 60, "the page is there once the access point is")
