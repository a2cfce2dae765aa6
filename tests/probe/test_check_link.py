"""The look at a link, by the real child process in a network namespace, against servers that are made to fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import pytest

from probe import check_link
from probe.core.findings import Findings, LookRequest, Plan, cause_of
from tests.probe import far_end
from tests.probe.kit import make_certificates, wait_until
from wire.failure import Cause

pytestmark = pytest.mark.netns
HERE = "127.0.0.1"


@dataclass(slots=True)
class Far:
    """The servers, and the namespace they run in."""

    child: subprocess.Popen[str]
    folder: Path

    def become(self, **modes: str) -> None:
        """Let servers behave otherwise; what is not named behaves well."""
        usual = {"echo": "on", "web": "exact", "dns": "right", "broker": "own", "other": "on"}
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(usual | modes) + "\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "done\n"

    def look(self, interface: str = "lo", *, stops_early: bool = False, others: bool = True) -> Findings:
        request = LookRequest(
            interface,
            echo=(HERE, far_end.ECHO_PORT),
            web=(HERE, far_end.WEB_PORT),
            dns=(HERE,),
            others=((HERE, far_end.OTHER_PORT),) if others else (),
            broker=(HERE, far_end.BROKER_PORT),
            broker_files=(str(self.folder / "ca.crt"), str(self.folder / "tls.crt"), str(self.folder / "tls.key")),
            stops_early=stops_early,
        )
        command = ["nsenter", "-t", str(self.child.pid), "-n", "--", sys.executable, "-S", "-W", "ignore"]
        child = subprocess.Popen(
            [*command, "-m", "probe.check_link"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(msgspec.json.encode(asdict(request)) + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        return msgspec.json.decode(line, type=Findings)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a network namespace")
    folder, foreign = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("foreign")
    make_certificates(folder, "p-test")
    make_certificates(foreign, "p-test")
    files = [str(folder / "server.crt"), str(folder / "server.key"), str(foreign / "server.crt")]
    program = [sys.executable, "-m", "tests.probe.far_end", HERE, *files, str(foreign / "server.key")]
    child = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        found = Far(child, folder)
        found.become()
        wait_until(lambda: found.look().tls == "ok", what="all servers listen")
        yield found
    finally:
        child.kill()
        child.communicate()


def cause(found: Findings, plan: Plan | None = None) -> Cause | None:
    return cause_of(found, plan or Plan(now_ms=1))


def test_a_link_that_works_has_no_cause_and_one_answered_echo_is_enough(far: Far) -> None:
    far.become()
    assert far.look() == Findings(echo=True, names="right", web="exact", tls="ok", others=True)
    assert far.look(stops_early=True) == Findings(echo=True)
    assert cause(far.look()) is None


def test_an_interface_that_is_gone(far: Far) -> None:
    assert cause(far.look("cell9")) is Cause.NO_INTERFACE


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({"echo": "off", "web": "portal", "broker": "foreign"}, Cause.CAPTIVE),
        ({"web": "portal"}, Cause.CAPTIVE),
        ({"echo": "off", "web": "expired"}, Cause.PLAN_EXPIRED),
        ({"echo": "off", "web": "redirect"}, Cause.DATA_EXHAUSTED),
        ({"echo": "off", "web": "reset", "dns": "lie", "broker": "reset", "other": "off"}, Cause.CAPTIVE),
        ({"dns": "lie"}, None),
        ({"echo": "off", "web": "error"}, Cause.SERVER_DOWN),
        ({"echo": "off"}, Cause.SERVER_DOWN),
        ({"dns": "servfail"}, Cause.NO_DNS),
        ({"broker": "reset"}, Cause.BROKER_UNREACHABLE),
        ({"broker": "foreign"}, Cause.BROKER_UNREACHABLE),
    ],
)
def test_each_fault_has_its_cause(far: Far, modes: dict[str, str], expected: Cause | None) -> None:
    far.become(**modes)
    assert cause(far.look()) == expected


def test_a_dns_that_is_silent(far: Far) -> None:
    far.become(dns="silent")
    assert cause(far.look()) is Cause.NO_DNS


def test_the_plan_that_is_known_goes_before_what_the_page_says(far: Far) -> None:
    far.become(echo="off", web="expired")
    found = far.look()
    assert cause(found, Plan(now_ms=5, data_bytes=100, used_bytes=99)) is Cause.DATA_EXHAUSTED
    assert cause(found, Plan(now_ms=5, ends_ms=5)) is Cause.PLAN_EXPIRED


def test_our_point_that_hangs_is_not_the_network_as_long_as_another_answers(far: Far) -> None:
    far.become(echo="off", web="silent", broker="reset")
    began_s = time.monotonic()
    found = far.look()
    assert found.web == "silent"
    assert found.others
    assert cause(found) is Cause.SERVER_UNREACHABLE
    assert time.monotonic() - began_s < check_link.LIMIT_S


def test_without_a_right_clock_the_brokers_certificate_tells_the_clock(far: Far) -> None:
    found = Findings(echo=True, names="right", web="exact", tls="bad_time")
    assert cause_of(found, Plan()) is Cause.CLOCK
    assert cause_of(found, Plan(now_ms=1)) is Cause.BROKER_UNREACHABLE, "a trusted clock means that it did expire"


def test_what_a_portal_says_is_read_without_marks() -> None:
    assert check_link.plain("Gói cước đã HẾT HẠN") == "goi cuoc da het han"
