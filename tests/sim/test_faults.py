"""Each fault of a site begins, is what it says, and is over again; nothing of it stays behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import serial

from sim import clocks, fault_table, ns, site, state
from sim.dns_answer import answer
from sim.operator_net import Policy, changed, rules
from tests.sim.kit import inside, until
from wire.errors import Misconfigured, Unavailable


def needs_root(test):
    """Marks a test that makes namespaces."""
    return pytest.mark.netns(pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")(test))


PING = ("ping", "-c1", "-W0.5", "198.18.0.1")
_LOOK_UP = (
    "import sys; sys.path[0] = sys.argv[3]\n"
    + """
import socket, struct
name, server = sys.argv[1], sys.argv[2]
labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"cell0")
s.sendto(struct.pack("!6H", 7, 256, 1, 0, 0, 0) + labels + b"\\0\\0\\1\\0\\1", (server, 53))
try:
    said = s.recv(512)
except TimeoutError:
    print("silence")
else:
    code = said[3] & 15
    print(code, socket.inet_ntoa(said[-4:]) if code == 0 and said[7] else "-")
"""
)
_GET = """
import sys, http.client
c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=2)
try:
    c.request("GET", "/", headers={"Host": "point.dosong.test"})
    r = c.getresponse()
    print(r.status, r.getheader("Location"))
except OSError as error:
    print(type(error).__name__)
"""
_SERVE = """
import http.server, sys
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204); self.end_headers()
    def log_message(self, *words): pass
s = http.server.HTTPServer(("198.18.0.1", int(sys.argv[1])), Quiet)
print("up", flush=True)
s.serve_forever()
"""


@pytest.fixture
def up(run):
    """A site with a card of its own."""
    return site.up(run, state.Spec("a", card_mb=8, attached=True))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A site for the tests that leave it as it was."""
    directory = state.run_dir(f"t{os.getpid()}-shared", tmp_path_factory.mktemp("shared") / "run")
    yield directory, site.up(directory, state.Spec("a", attached=True))
    site.all_down(directory)


def said(up, command):
    """What the modem answers to one command."""
    with serial.Serial(up.modem, timeout=0.1) as port:
        heard = b""
        for line in ("ATE0", "AT+CMEE=1", command):
            heard = b""
            port.write(line.encode() + b"\r")
            for _ in range(20):
                heard += port.read(256)
                if b"OK\r\n" in heard or b"ERROR" in heard:
                    break
        return heard.decode().strip()


def look_up(up, name="point.dosong.test"):
    return inside(up, sys.executable, "-c", _LOOK_UP, name, up.gateway, "/").strip()


def get(up, port):
    return inside(up, sys.executable, "-c", _GET, "198.18.0.1", str(port)).strip()


@pytest.fixture
def page(up):
    """A server in the core that answers 204, on port 80 and on another."""
    servers = [
        ns.popen(up.core_pid, [sys.executable, "-c", _SERVE, port], stdout=subprocess.PIPE, text=True)
        for port in ("80", "9000")
    ]
    assert [server.stdout.readline() for server in servers] == ["up\n", "up\n"]
    yield up
    for server in servers:
        server.kill()
        server.communicate()


class TestPure:
    """Bytes and rules, without a site."""

    QUERY = b"\0\7\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1"

    def test_a_name_that_is_known_has_its_address(self):
        text = answer(self.QUERY, lambda name: "198.18.0.1" if name == "a.test" else None)
        assert (text[:2], text[3] & 15, text[-4:]) == (b"\0\7", 0, socket.inet_aton("198.18.0.1"))

    def test_a_name_that_is_not_known_does_not_exist(self):
        text = answer(self.QUERY, lambda _: None)
        assert (text[3] & 15, text[6:8], len(text)) == (3, b"\0\0", len(self.QUERY))

    def test_an_ipv6_question_is_answered_without_an_address(self):
        text = answer(self.QUERY[:-4] + b"\0\x1c\0\1", lambda _: "198.18.0.1")
        assert (text[3] & 15, text[6:8]) == (0, b"\0\0")

    @pytest.mark.parametrize("cut", range(len(QUERY)))
    def test_a_cut_question_is_none(self, cut):
        assert answer(self.QUERY[:cut], lambda _: "198.18.0.1") is None

    def test_a_quiet_operator_has_no_rules(self):
        assert rules(7, "198.18.7.1", Policy()) == "table ip dosong_7\ndelete table ip dosong_7\n"

    def test_words_that_are_none_are_refused(self):
        for words in ({"dns": "off"}, {"nothing": "ok"}):
            with pytest.raises(ValueError, match="nothing that an operator does"):
                changed(Policy(), words)

    def test_every_fault_is_said_in_both_languages(self):
        assert all(fault.en and fault.vi and fault.en != fault.vi for fault in fault_table.FAULTS.values())


@needs_root
@pytest.mark.parametrize(
    ("fault", "command", "answer_is"),
    [
        ("sim-out", "AT+CPIN?", "+CME ERROR: 10"),
        ("sim-pin", "AT+CPIN?", "+CPIN: SIM PIN"),
        ("sim-puk", "AT+CPIN?", "+CPIN: SIM PUK"),
        ("denied", "AT+CEREG?", "+CEREG: 0,3"),
        ("limited", 'AT+QENG="servingcell"', '"LIMSRV"'),
        ("no-service", "AT+CEREG?", "+CEREG: 0,2"),
        ("pdp-lost", "AT+CGPADDR=1", '"0.0.0.0"'),
        ("pdp-refused", "AT+CGACT=1,1", "+CME ERROR: 148"),
        ("wrong-sim", "AT+CIMI", "45202"),
    ],
)
def test_the_modem_says_what_is_wrong_and_no_data_flows(shared, fault, command, answer_is):
    run, up = shared
    before = said(up, command)
    assert answer_is not in before
    site.begin(run, "a", fault)
    assert answer_is in said(up, command)
    assert (" 0% packet loss" in inside(up, *PING)) == (fault == "wrong-sim")
    site.end(run, "a", fault)
    assert said(up, command).partition("+CSQ")[0][:6] == before[:6]
    assert " 0% packet loss" in inside(up, *PING)


@needs_root
def test_another_sim_has_another_number(run, up):
    before = said(up, "AT+QCCID")
    site.begin(run, "a", "wrong-sim")
    other = said(up, "AT+QCCID")
    assert "+QCCID: 8984" in before
    assert "+QCCID: 8984" in other
    assert before != other
    assert "VINAPHONE" in said(up, "AT+COPS?")
    site.end(run, "a", "wrong-sim")
    assert said(up, "AT+QCCID") == before


@needs_root
def test_a_lost_data_connection_comes_back_when_asked_for_and_a_refused_one_does_not(run, up):
    site.begin(run, "a", "pdp-lost")
    assert " 100% packet loss" in inside(up, *PING)
    assert said(up, "AT+CGACT=1,1") == "OK"
    assert " 0% packet loss" in inside(up, *PING)
    site.begin(run, "a", "pdp-refused")
    assert "ERROR" in said(up, "AT+CGACT=1,1")
    assert said(up, "AT+COPS=0") == "OK"
    assert " 100% packet loss" in inside(up, *PING)
    assert site.find(run, "a").bearer == "refused"


@needs_root
def test_names_die_and_come_back(run, up):
    assert look_up(up) == "0 198.18.0.1"
    assert look_up(up, "no-such-name.test") == "3 -"
    site.begin(run, "a", "dns-dead")
    assert look_up(up) == "silence"
    site.end(run, "a", "dns-dead")
    site.begin(run, "a", "dns-nxdomain")
    assert look_up(up) == "3 -"
    site.end(run, "a", "dns-nxdomain")
    assert look_up(up) == "0 198.18.0.1"


@needs_root
@pytest.mark.parametrize(
    ("fault", "told"), [("portal", "200 None"), ("plan-expired", "302 http://napthe.operator.test/topup")]
)
def test_a_portal_answers_for_everybody(run, page, fault, told):
    assert get(page, 80) == get(page, 9000) == "204 None"
    site.begin(run, "a", fault)
    assert get(page, 80) == told
    assert get(page, 9000) == "TimeoutError"
    assert look_up(page, "no-such-name.test") == f"0 {page.gateway}"
    assert " 100% packet loss" in inside(page, *PING)
    site.end(run, "a", fault)
    assert get(page, 80) == get(page, 9000) == "204 None"
    assert look_up(page, "no-such-name.test") == "3 -"


@needs_root
def test_a_barred_plan_is_registered_and_drops_everything(run, page):
    site.begin(run, "a", "plan-barred")
    assert "+CEREG: 0,1" in said(page, "AT+CEREG?")
    assert get(page, 80) == "TimeoutError"
    assert look_up(page) == "silence"
    site.control(run, "a", "wifi", on=True)
    other = site.control(run, "a", "net", drop="none", dns="silent")
    assert (other.drop, other.dns) == ("none", "silent")
    site.end(run, "a", "plan-barred")
    assert get(page, 80) == "204 None"


@needs_root
def test_a_throttled_plan_gets_its_rate_back(run, up):
    assert site.begin(run, "a", "plan-throttled").downlink_bps == 128_000
    back = site.end(run, "a", "plan-throttled")
    assert (back.downlink_bps, back.uplink_bps) == (up.downlink_bps, up.uplink_bps)


@needs_root
def test_a_mute_modem_keeps_its_port_and_wakes_by_a_reset_of_its_usb(run, up):
    site.begin(run, "a", "modem-mute")
    assert said(up, "AT") == ""
    assert Path(up.modem).exists()
    authorized = Path(up.sysfs) / "bus/usb/devices/1-1/authorized"
    authorized.write_text("0\n")
    assert until(lambda: not Path(up.modem).exists())
    assert authorized.read_text() == "0\n"
    assert until(lambda: not list((Path(up.sysfs) / "class/tty").iterdir()))
    authorized.write_text("1\n")
    assert until(lambda: Path(up.modem).exists())
    assert said(up, "AT") == "OK"


@needs_root
def test_a_modem_that_falls_off_the_bus_comes_back_as_another_tty(run, up):
    def at_port(seen):
        return (Path(seen.dev) / seen.modem_usb).resolve()

    assert up.modem_usb == "ttyUSB2"
    assert at_port(up) == Path(up.modem_tty)
    again = site.begin(run, "a", "modem-renumbered")
    assert again.modem_usb == "ttyUSB3"
    assert at_port(again) == Path(again.modem_tty)
    assert (Path(again.dev) / "ttyUSB2").resolve() != Path(again.modem_tty), "another port of the stick has its name"
    node = Path(again.sysfs) / "class/tty/ttyUSB3"
    device = (node / "device").resolve()
    stick = next(path for path in device.parents if (path / "idVendor").exists())
    assert (stick / "idVendor").read_text() == "2c7c\n"
    assert (device.parent / "bInterfaceNumber").read_text() == "02\n"
    assert inside(up, "readlink", "-f", "/dev/ttyUSB3").strip() == again.modem_tty, "as programs in the site see it"
    assert inside(up, "cat", "/sys/bus/usb/devices/1-1/idProduct").strip() == "0125"
    net = (Path(again.sysfs) / "class/net/cell0/device").resolve()
    assert net.is_relative_to(stick)


@needs_root
def test_gpsd_dies_and_comes_back(run, up):
    assert site.begin(run, "a", "gpsd-killed").gps == "stopped"
    assert "TPV" not in inside(up, "timeout", "3", "gpspipe", "-w", "-n", "1")
    assert site.end(run, "a", "gpsd-killed").gps == "on"
    assert until(lambda: '"TPV"' in inside(up, "gpspipe", "-w", "-n", "6"), 20)


_CLOCK = """
import time
from probe.devices import clock
seen = clock.read("x")
print(seen.wall_ms // 1000, seen.max_error_us, time.monotonic(), flush=True)
input()
seen = clock.read("x")
print(seen.wall_ms // 1000, seen.max_error_us, time.monotonic(), flush=True)
"""


@needs_root
def test_a_clock_that_is_wrong_and_set_while_a_program_runs(run, up):
    site.begin(run, "a", "clock-1970")
    folder = run.folder("a")
    argv = ["env", *clocks.environment(folder), sys.executable, "-c", _CLOCK]
    with ns.popen(up.netns_pid, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        wall_s, error_us, first_mono = child.stdout.readline().split()
        assert 0 <= int(wall_s) < 86_400
        assert int(error_us) == clocks.UNSYNCED_US
        site.end(run, "a", "clock-1970")
        assert (folder / "clock-offset").read_text() == "+0\n"
        child.stdin.write("\n")
        child.stdin.flush()
        wall_s, error_us, mono = child.stdout.readline().split()
    assert int(wall_s) > 1_700_000_000
    assert int(error_us) == clocks.SYNCED_US
    assert 0 < float(mono) - float(first_mono) < 60, "monotonic time knows nothing of it"


def write(up, name, text="x", *, sync=True):
    """Writes a file on the card from inside; says how it went."""
    script = (
        "import os, sys\ntry:\n fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
        " os.write(fd, sys.argv[2].encode())\n os.fsync(fd) if sys.argv[3] == '1' else None\n print('done')\n"
        "except OSError as error: print(error.strerror)"
    )
    path = f"{up.card}/{name}"
    return inside(up, sys.executable, "-c", script, path, text, str(int(sync))).strip()


@needs_root
def test_a_card_fills_up_and_is_emptied(run, up):
    assert write(up, "before") == "done"
    assert site.begin(run, "a", "card-full").card_state == "full"
    assert write(up, "during", "x" * 100_000) == "No space left on device"
    assert site.end(run, "a", "card-full").card_state == "good"
    assert write(up, "after", "x" * 100_000) == "done"
    assert not Path(up.card, "before").exists(), "the card is in the site alone"


@needs_root
def test_a_card_that_fails_is_read_only_for_open_files_too_and_a_new_one_has_what_was_synced(run, up):
    assert write(up, "before") == "done"
    holding = "import os, sys\nf = open(sys.argv[1], 'w')\nprint('open', flush=True)\ninput()\n"
    holding += "try:\n f.write('x'); f.flush(); os.fsync(f.fileno())\nexcept OSError as error: print(error.strerror)"
    argv = [sys.executable, "-c", holding, f"{up.card}/held"]
    with ns.popen(up.netns_pid, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "open\n"
        site.begin(run, "a", "card-read-only")
        assert write(up, "during") == "Read-only file system"
        assert child.communicate("\n")[0].strip() == "Read-only file system"
    assert site.end(run, "a", "card-read-only").card_state == "good"
    assert inside(up, "cat", f"{up.card}/before") == "x"
    assert write(up, "after") == "done"


@needs_root
def test_a_power_cut_kills_everything_forgets_what_was_not_synced_and_begins_another_boot(run, up):
    boot = inside(up, "cat", "/proc/sys/kernel/random/boot_id")
    assert boot != Path("/proc/sys/kernel/random/boot_id").read_text()
    assert write(up, "synced") == "done"
    assert write(up, "not-synced", sync=False) == "done"
    running = ns.popen(up.netns_pid, ["sh", "-c", "sleep 600; true"])
    assert site.begin(run, "a", "power-cut").powered is False
    assert running.wait(10) == -9
    found = site.find(run, "a")
    assert (found.gps, found.plugged) == ("stopped", False)
    found = site.end(run, "a", "power-cut")
    assert (found.gps, found.plugged, found.powered) == ("on", True, True)
    assert inside(up, "ls", up.card).split() == ["lost+found", "synced"]
    assert inside(up, "cat", "/proc/sys/kernel/random/boot_id") != boot
    assert " 0% packet loss" in inside(up, *PING)
    assert said(up, "AT") == "OK"


@needs_root
def test_nothing_of_a_site_with_faults_stays_behind(run):
    up = site.up(run, state.Spec("b", card_mb=8, attached=True))
    site.begin(run, "b", "portal")
    table = ["nft", "list", "tables"]
    core = ns.enter(up.core_pid, table)
    assert "dosong_1" in subprocess.check_output(core, text=True)
    image = f"{run.folder('b')}/card-1.img"
    assert image in subprocess.check_output(["losetup", "-a"], text=True)
    site.down(run, "b")
    assert "dosong_1" not in subprocess.check_output(core, text=True)
    assert until(lambda: image not in subprocess.check_output(["losetup", "-a"], text=True))


@needs_root
def test_faults_that_a_site_cannot_have_are_refused(run):
    site.up(run, state.Spec("c", attached=True))
    with pytest.raises(Unavailable, match="no card of its own"):
        site.begin(run, "c", "card-full")
    with pytest.raises(Misconfigured, match="no fault"):
        site.begin(run, "c", "earthquake")
