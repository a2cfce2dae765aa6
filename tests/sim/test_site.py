"""Sites in real namespaces: rates, ways out, and that a kill leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from sim import ns, site, state
from tests.sim.kit import CLIENT, SERVER, children, inside, namespaces, python, transfer, until
from wire.errors import Misconfigured, Unavailable

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]

# Payload of a full TCP segment for its share of the shaped layer-2 rate (timestamps on, no VLAN).
PAYLOAD_SHARE = 1448 / 1514


def counters(up):
    """Bytes received by interface since it was made, as the probe reads them: below /sys, inside the site."""
    names = inside(up, "ls", "/sys/class/net").split()
    return {name: int(inside(up, "cat", f"/sys/class/net/{name}/statistics/rx_bytes")) for name in names}


def fastest(up, way, size):
    """Goodput of up to three transfers: a busy machine makes one slower, a shaper that leaks makes one faster."""
    found = []
    while len(found) < 3 and not (found and max(found) > 0.98 * PAYLOAD_SHARE * up.downlink_bps):
        found.append(transfer(up, way, size))
    return max(found)


@pytest.mark.rates
@pytest.mark.parametrize("way", ["down", "up"])
def test_site_gives_the_shaped_rate(run, way):
    up = site.up(run, state.Spec("a", downlink_bps=20_000_000, uplink_bps=20_000_000, attached=True))
    assert fastest(up, way, 3_000_000) == pytest.approx(20_000_000 * PAYLOAD_SHARE, rel=0.02)


@pytest.mark.rates
@pytest.mark.parametrize("rate_bps", [1_000_000, 50_000_000])
def test_site_gives_slow_and_fast_rates(run, rate_bps):
    up = site.up(run, state.Spec("a", downlink_bps=5_000_000, attached=True))
    up = site.control(run, "a", "rate", downlink_bps=rate_bps)
    assert (up.downlink_bps, up.uplink_bps) == (rate_bps, 8_000_000)
    assert fastest(up, "down", rate_bps // 8) == pytest.approx(rate_bps * PAYLOAD_SHARE, rel=0.02)


def test_unbound_socket_leaves_by_wifi_when_it_is_on_and_bound_one_by_cell0(run):
    up = site.up(run, state.Spec("a", attached=True))
    assert "wlan0" not in inside(up, "ip", "-br", "link")
    up = site.control(run, "a", "wifi", on=True)
    size = 1_000_000
    before = counters(up)
    assert transfer(up, "down", size) > 100_000_000
    unbound = counters(up)
    assert unbound["wlan0"] - before["wlan0"] >= size
    assert unbound["cell0"] - before["cell0"] < size // 50
    assert transfer(up, "down", size, "cell0") < 21_000_000
    bound = counters(up)
    assert bound["cell0"] - unbound["cell0"] >= size
    assert bound["wlan0"] - unbound["wlan0"] < size // 50
    up = site.control(run, "a", "wifi", on=False)
    assert "wlan0" not in inside(up, "ip", "-br", "link")


def test_service_off_drops_both_ways_and_the_modem_searches(run):
    up = site.up(run, state.Spec("a", attached=True))
    ping = ("ping", "-c1", "-W1", "198.18.0.1")
    assert " 0% packet loss" in inside(up, *ping)
    up = site.control(run, "a", "service", on=False)
    assert (up.service, up.modem_state) == (False, "searching")
    assert " 100% packet loss" in inside(up, *ping)
    up = site.control(run, "a", "rate", downlink_bps=2_000_000)
    assert " 100% packet loss" in inside(up, *ping), "a new rate must not bring the service back"
    up = site.control(run, "a", "service", on=True)
    assert (up.service, up.modem_state, up.downlink_bps) == (True, "normal", 2_000_000)
    assert " 0% packet loss" in inside(up, *ping)


def test_unplug_takes_port_and_link_away_and_plug_brings_both_back(run):
    up = site.up(run, state.Spec("a", modem="huawei-e3372", attached=True))
    with serial.Serial(up.modem, timeout=3) as port:
        gone = site.control(run, "a", "unplug")
        assert (gone.plugged, gone.modem_tty, gone.modem_state) == (False, None, "unplugged")
        assert not Path(up.modem).is_symlink()
        with pytest.raises(serial.SerialException):
            list(iter(lambda: port.read(64), b""))  # what it said before may still be read
        assert "unreachable" in inside(up, "ping", "-c1", "-W1", "198.18.0.1")
    back = site.control(run, "a", "plug")
    assert back.plugged
    assert str(Path(back.modem).readlink()) == back.modem_tty
    with serial.Serial(back.modem, timeout=3) as port:
        port.write(b"AT^CURC=0\rAT+CPIN?\r")
        assert port.read_until(b"READY").endswith(b"READY")
    assert " 0% packet loss" in inside(back, "ping", "-c1", "-W1", "198.18.0.1")


def test_modem_state_survives_a_loss_of_service(run):
    site.up(run, state.Spec("a", attached=True))
    assert site.control(run, "a", "modem-state", state="no_sim").modem_state == "no_sim"
    assert site.control(run, "a", "service", on=False).modem_state == "searching"
    assert site.control(run, "a", "service", on=True).modem_state == "no_sim"
    assert site.control(run, "a", "modem-state", state="unplugged").modem_tty is None
    assert site.control(run, "a", "plug").modem_state == "no_sim"
    with pytest.raises(Unavailable, match="no such modem state"):
        site.control(run, "a", "modem-state", state="happy")


def test_kill_9_of_the_holder_leaves_no_process_namespace_or_veth(run):
    up = site.up(run, state.Spec("a", wifi=True, attached=True))
    daemons = children(up.pid)
    network = str(Path(f"/proc/{up.pid}/ns/net").readlink())
    core_links = ["nsenter", "-t", str(up.core_pid), "-n", "ip", "-br", "link"]
    assert len(daemons) == 1, "gpsd"
    # By its first report gpsd has become the user it runs as, which would untie it from its parent.
    assert until(lambda: '"TPV"' in inside(up, "gpspipe", "-w", "-n", "6"))
    assert "cell-1" in subprocess.check_output(core_links, text=True)
    ns.kill(up.pid, up.start_ticks)
    assert until(lambda: ns.start_ticks(up.pid) is None)
    assert until(lambda: all(ns.start_ticks(daemon) is None for daemon in daemons))
    assert until(lambda: network not in namespaces())
    assert until(lambda: "cell-1" not in subprocess.check_output(core_links, text=True))
    assert "wlan-1" not in subprocess.check_output(core_links, text=True)
    assert not Path(up.modem).exists()
    assert run.file("a").exists()
    assert state.sites(run) == []
    assert not run.file("a").exists(), "the list sweeps what a kill left"
    again = site.up(run, state.Spec("a", attached=True))
    assert again.index == 1
    assert " 0% packet loss" in inside(again, "ping", "-c1", "-W1", "198.18.0.1")


def test_kill_9_of_the_starter_ends_an_attached_run(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from sim import site, state\n"
        "d = state.run_dir('x', Path(sys.argv[1])); s = site.up(d, state.Spec('a', attached=True))\n"
        "print(s.pid, s.core_pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    ) as starter:
        pids = [int(word) for word in starter.stdout.readline().split()]
        daemons = children(pids[0])
        starter.kill()
    assert until(lambda: all(ns.start_ticks(pid) is None for pid in pids + daemons))


def test_a_killed_core_takes_its_sites_with_it(run):
    up = site.up(run, state.Spec("a", attached=True))
    daemons = children(up.pid)
    core = state.core(run)
    ns.kill(core.pid, core.start_ticks)
    assert until(lambda: all(ns.start_ticks(pid) is None for pid in [up.pid, *daemons]))
    assert state.sites(run) == []
    assert site.up(run, state.Spec("a", attached=True)).core_pid != core.pid


def test_a_reused_pid_is_never_killed_and_never_listed(run):
    up = site.up(run, state.Spec("a", attached=True))
    ns.kill(up.pid, up.start_ticks + 1)
    assert site.control(run, "a", "state").pid == up.pid, "it still answers"
    stale = json.loads(run.file("a").read_text()) | {"name": "b", "start_ticks": up.start_ticks + 1}
    run.file("b").write_text(json.dumps(stale))
    assert [each.name for each in state.sites(run)] == ["a"]
    assert not run.file("b").exists()


def test_two_runs_with_equal_names_and_addresses_do_not_meet(run, other_run):
    here = site.up(run, state.Spec("a", attached=True))
    there = site.up(other_run, state.Spec("a", attached=True))
    assert (here.address, here.gpsd_port) == (there.address, there.gpsd_port)
    with python(here.core_pid, SERVER, "198.18.0.1", "recv", 1, "cubic") as server:
        port = server.stdout.readline().strip()
        wrong = inside(there, sys.executable, "-c", CLIENT, "198.18.0.1", port, "send", "1", "-", "cubic")
        server.terminate()
    assert "ConnectionRefusedError" in wrong
    site.down(other_run, "a")
    assert [each.name for each in state.sites(run)] == ["a"]


def test_sites_of_one_run_share_the_core_and_get_their_own_numbers(run):
    first = site.up(run, state.Spec("a", attached=True))
    second = site.up(run, state.Spec("b", attached=True))
    assert (first.core_pid, first.index, second.index) == (second.core_pid, 1, 2)
    site.down(run, "a")
    assert site.up(run, state.Spec("c", attached=True)).index == 1
    with pytest.raises(Misconfigured, match="take them down first"):
        site.core_down(run)


def test_sites_started_at_once_get_numbers_of_their_own(run):
    command = [sys.executable, "-m", "sim", "site", "up", "--run", run.run, "--state-dir", str(run.path)]
    started = [subprocess.Popen([*command, name], stdout=subprocess.DEVNULL) for name in ("a", "b", "c")]
    assert [child.wait(30) for child in started] == [0, 0, 0]
    up = state.sites(run)
    assert sorted(each.index for each in up) == [1, 2, 3]
    assert len({each.core_pid for each in up}) == 1
    assert all(" 0% packet loss" in inside(each, "ping", "-c1", "-W1", "198.18.0.1") for each in up)


@pytest.mark.parametrize(
    "changes",
    [{"name": "core"}, {"name": "A b"}, {"modem": "nokia"}, {"plmn": "Viettel"}, {"rsrp_dbm": 85.0}, {"lat": 121.0}],
)
def test_up_refuses_a_site_that_cannot_be(run, changes):
    with pytest.raises(Misconfigured):
        site.up(run, replace(state.Spec("a", attached=True), **changes))
    assert state.sites(run) == []


def test_down_leaves_an_empty_place(run):
    up = site.up(run, state.Spec("a", attached=True))
    daemons = children(up.pid)
    site.all_down(run)
    assert not run.path.exists()
    assert all(ns.start_ticks(pid) is None for pid in [up.pid, up.core_pid, *daemons])


@pytest.mark.rates
def test_a_name_fails_at_once_inside_a_site(run):
    up = site.up(run, state.Spec("a", attached=True))
    started = time.monotonic()
    inside(up, "getent", "hosts", "www.speedtest.net")
    assert time.monotonic() - started < 3


def test_popen_keeps_the_working_directory_and_shows_only_the_sites_interfaces(run, tmp_path):
    up = site.up(run, state.Spec("a", attached=True))
    with ns.popen(
        up.netns_pid, ["sh", "-c", "pwd; ls /sys/class/net"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as sh:
        assert sh.communicate()[0].split() == [str(tmp_path), "cell0", "lo"]


def _cli(*words, **options):
    command = [sys.executable, "-m", "sim", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_command_line_brings_up_changes_lists_and_takes_down(tmp_path):
    where = ["--run", f"t{os.getpid()}cli", "--state-dir", str(tmp_path / "run")]
    try:
        made = _cli("site", "up", "a", "--down", "10mbit", "--up", "2mbit", *where)
        assert made.returncode == 0, made.stderr
        assert "10 down, 2 up Mbit/s" in made.stdout
        assert "198.18.1.2" in _cli("site", "exec", "a", *where, "--", "ip", "-br", "addr").stdout
        assert "no service" in _cli("site", "service", "a", "off", *where).stdout
        listed = json.loads(_cli("site", "list", "--json", *where).stdout)
        assert [(each["name"], each["service"]) for each in listed["sites"]] == [("a", False)]
        assert _cli("site", "rate", "a", "--down", "20", *where).returncode == 2
        refused = _cli("site", "up", "a", *where)
        assert (refused.returncode, "up already" in refused.stderr) == (78, True)
        assert _cli("site", "rate", "a", "--down", "20mbit", *where).returncode == 0
        assert _cli("site", "down", "a", *where).returncode == 0
        assert _cli("site", "down", "a", *where).returncode == 1
    finally:
        assert _cli("core", "down", "--all", *where).returncode == 0


def test_foreground_site_ends_with_its_command(tmp_path):
    where = ["--run", f"t{os.getpid()}fg", "--state-dir", str(tmp_path / "run")]
    command = [sys.executable, "-m", "sim", "site", "up", "a", "--foreground", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stayed:
        try:
            assert "cell0" in stayed.stdout.readline()
            stayed.send_signal(signal.SIGINT)
            assert stayed.wait(10) == 0
            assert not (tmp_path / "run" / "a.json").exists()
        finally:
            stayed.kill()
            _cli("core", "down", "--all", *where)


def test_not_root_is_told_so_in_one_sentence(tmp_path):
    tmp_path.chmod(0o777)
    code = (
        "import os, sys; from sim.__main__ import main\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    )
    words = ["site", "up", "a", "--state-dir", str(tmp_path / "run")]
    told = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 78
    assert told.stderr.count("\n") == 1
    assert "sudo" in told.stderr
    assert "--link loopback" in told.stderr
