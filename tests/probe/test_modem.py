"""AtModem on a real pty pair, against a scripted peer that answers as recorded."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import serial

from probe.core.dialects import DIALECTS
from probe.core.radio import outage_cause
from probe.core.sim_card import CardWatch, Expected, sim_ref
from probe.devices.modem import AtModem, ModemBusy, ModemGone, ModemMute, ModemRefused

EC25 = {
    "ATI": "Quectel\r\nEC25\r\nRevision: EC25EFAR06A06M4G",
    "AT+CEREG?": '+CEREG: 2,1,"2495","2C17802",7',
    "AT+CGREG?": '+CGREG: 2,1,"2495","2C17802",7',
    'AT+QENG="servingcell"': (
        '+QENG: "servingcell","NOCONN","LTE","FDD",452,04,2C17802,407,1650,3,5,5,2495,-97,-10,-67,15,26'
    ),
    "AT+QCSQ": '+QCSQ: "LTE",-66,-94,142,-9',
    "AT+QNWINFO": '+QNWINFO: "FDD LTE","45204","LTE BAND 3",1650',
    "AT+COPS?": '+COPS: 0,2,"45204",7',
    "AT+QTEMP": "+QTEMP: 33,30,29",
    "AT+CPIN?": "+CPIN: READY",
}
E3372 = {
    "ATI": "Manufacturer: huawei\r\n\r\nModel: E3372\r\n\r\nRevision: 22.329.63.00.74\r\n\r\nIMEI: 490154203237518",
    "AT+CEREG?": '+CEREG: 2,5,"792D","04947221",7',
    "AT+CGREG?": '+CGREG: 2,5,"792D","04947221",7',
    "AT^SYSINFOEX": '^SYSINFOEX:2,3,1,1,,6,"LTE",101,"LTE"',
    "AT^HCSQ?": '^HCSQ:"LTE",53,45,181,18',
    "AT^HFREQINFO?": "^HFREQINFO:0,6,1,425,21525,15000,18425,19625,15000",
    "AT+COPS?": '+COPS: 0,2,"52005",7',
    "AT+CPIN?": "+CPIN: READY",
}
SIM7600 = {
    "ATI": "Manufacturer: SIMCOM INCORPORATED\r\nModel: SIMCOM_SIM7600A-H\r\nRevision: SIM7600A-H_V1.1",
    "AT+CEREG?": "+CEREG: 0,5",
    "AT+CGREG?": "+CGREG: 0,5",
    "AT+CPSI?": "+CPSI: LTE,Online,310-260,0x3F29,89815063,125,EUTRAN-BAND12,5035,2,2,-196,-1167,-832,7",
    "AT+COPS?": '+COPS: 0,2,"310260",7',
    "AT+CPMUTEMP": "+CPMUTEMP: 31",
    "AT+CPIN?": "+CPIN: READY",
}
QUIETLY_OK = ("AT", "ATE0", "ATE1", "AT+CMEE=1", "AT^CURC=0", "AT+COPS=3,2", "AT+CFUN=1,1", "AT^RESET")


class Peer:
    """A modem made of a table: echoes until ATE0, answers what it knows, ERROR to the rest.

    `react` may take a command over: it returns the bytes to send instead, or None for the usual answer.
    """

    def __init__(self, table: dict[str, str], link: Path) -> None:
        self.table = table
        self.heard: list[str] = []
        self.react: Callable[[str], bytes | None] = lambda _: None
        self.echo = True
        self.urc = b""
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        self._pulled = threading.Event()
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        rest = b""
        while not self._pulled.is_set():
            ready, _, _ = select.select([self.master, self._wake[0]], [], [])
            if self.master not in ready:
                return
            rest += os.read(self.master, 4096)
            *commands, rest = rest.split(b"\r")
            for command in commands:
                self._answer(command.decode())

    def _answer(self, command: str) -> None:
        self.heard.append(command)
        octets = self.react(command)
        if octets is None:
            octets = self.usual(command)
        if octets:
            os.write(self.master, octets)

    def usual(self, command: str) -> bytes:
        echo = f"{command}\r".encode() if self.echo else b""
        if command == "ATE0":
            self.echo = False
        if command in self.table:
            return echo + b"\r\n" + self.table[command].encode() + b"\r\n\r\nOK\r\n" + self.urc
        is_setting = command in QUIETLY_OK or command.endswith(("REG=2", "REG=0"))
        return echo + (b"\r\nOK\r\n" if is_setting else b"\r\nERROR\r\n") + self.urc

    def pull(self) -> None:
        """Take the stick out: the port dies as a tty does whose device went away."""
        if self._pulled.is_set():
            return
        self._pulled.set()
        os.write(self._wake[1], b"x")
        self._thread.join(5)
        for fd in (self.master, self._slave, *self._wake):
            os.close(fd)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "probe-at"


@pytest.fixture
def plug(link: Path) -> Iterator[Callable[[dict[str, str]], Peer]]:
    peers: list[Peer] = []

    def plug_in(table: dict[str, str]) -> Peer:
        peers.append(Peer(dict(table), link))
        return peers[-1]

    yield plug_in
    for peer in peers:
        peer.pull()


@pytest.fixture
def modem(link: Path) -> Iterator[AtModem]:
    modem = AtModem(str(link))
    yield modem
    modem.close()


Plug = Callable[[dict[str, str]], Peer]


def test_quectel_is_told_and_polled(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    who = modem.identify()
    assert (who.manufacturer, who.model, who.firmware, who.family) == ("Quectel", "EC25", "EC25EFAR06A06M4G", "quectel")
    reading = modem.poll(5.0)
    assert (reading.rat, reading.registration, reading.plmn, reading.sim) == ("LTE", "home", "45204", "ready")
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10, reading.sinr_db_x10) == (-970, -100, 150)
    assert (reading.tac, reading.eci, reading.pci) == (9365, 46233602, 407)
    assert (reading.earfcn, reading.band, reading.temp_c_x10, reading.raw) == (1650, 3, 330, None)
    assert "AT+CSQ" not in peer.heard, "RSSI was known"
    assert peer.heard.index("AT+CEREG=2") + 1 == peer.heard.index("AT+CEREG?") == peer.heard.index("AT+CEREG=0") - 1


def test_huawei_is_told_and_polled(plug: Plug, modem: AtModem) -> None:
    peer = plug(E3372)
    modem.open()
    assert "AT^CURC=0" in peer.heard
    reading = modem.poll(5.0)
    assert (reading.registration, reading.plmn, reading.band, reading.earfcn) == ("roaming", "52005", 1, 425)
    assert (reading.rssi_dbm_x10, reading.rsrp_dbm_x10, reading.sinr_db_x10) == (-680, -960, 160)
    assert (reading.tac, reading.eci) == (31021, 76837409)


def test_simcom_is_told_and_polled(plug: Plug, modem: AtModem) -> None:
    plug(SIM7600)
    modem.open()
    reading = modem.poll(5.0)
    assert (reading.registration, reading.plmn, reading.band) == ("roaming", "310260", 12)
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10, reading.rssi_dbm_x10) == (-1167, -196, -832)
    assert (reading.sinr_db_x10, reading.temp_c_x10) == (None, 310)


def test_unsolicited_lines_between_answers_change_nothing(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    quiet = modem.poll(5.0)
    peer.urc = b'\r\n+CREG: 3\r\n\r\n^RSSI:20\r\n\r\n+QIND: "csq",18,99\r\n'
    assert modem.poll(5.0) == quiet
    assert modem.unsolicited_lines > 0


def test_the_family_can_be_given(plug: Plug, link: Path) -> None:
    peer = plug(EC25)
    modem = AtModem(str(link), family="generic")
    modem.open()
    assert modem.poll(5.0).rsrp_dbm_x10 is None
    assert "ATI" not in peer.heard
    modem.close()


def test_a_late_answer_never_answers_the_next_command(plug: Plug, modem: AtModem) -> None:
    """QCSQ stays unanswered until the next command; then both answers come at once."""
    peer = plug(EC25)
    modem.open()
    held: list[bytes] = []

    def react(command: str) -> bytes | None:
        if command == "AT+QCSQ" and not held:
            held.append(peer.usual(command).replace(b"-94", b"-54"))
            return b""
        if held and held[0]:
            late, held[0] = held[0], b""
            return late + peer.usual(command)
        return None

    peer.react = react
    peer.table.pop('AT+QENG="servingcell"')
    reading = modem.poll(15.0)
    assert held == [b""]
    assert (reading.rsrp_dbm_x10, reading.band, reading.plmn, reading.temp_c_x10) == (None, 3, "45204", 330)
    assert modem.poll(15.0).rsrp_dbm_x10 == -940


def test_an_off_by_one_modem_is_brought_back_into_step(plug: Plug, modem: AtModem) -> None:
    """An OK too many makes every answer come one command late; no time-out would ever tell."""
    peer = plug(EC25)
    modem.open()
    pending = [b"\r\nOK\r\n"]

    def late_by_one(command: str) -> bytes | None:
        if not pending:
            return None
        if command == "AT":  # the drain before it ate the answer that was behind
            pending.clear()
            return None
        octets = pending.pop()
        pending.append(peer.usual(command))
        return octets

    peer.react = late_by_one
    reading = modem.poll(15.0)
    assert reading.raw is None
    assert (reading.plmn, reading.rsrp_dbm_x10, reading.sim) == ("45204", -970, "ready")


@pytest.mark.rates
def test_one_time_out_is_survived_three_in_a_row_are_mute(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    peer.react = lambda command: b"" if command == "AT+QTEMP" else None
    reading = modem.poll(15.0)
    assert (reading.temp_c_x10, reading.sim) == (None, "ready")
    peer.react = lambda _: b""
    began_s = time.monotonic()
    with pytest.raises(ModemMute, match="3 commands unanswered"):
        modem.poll(10.0)
    assert time.monotonic() - began_s < 6
    assert not modem.is_open
    peer.react = lambda _: None
    modem.open()
    assert modem.poll(5.0).sim == "ready"


@pytest.mark.rates
def test_a_poll_ends_at_its_deadline_with_what_it_has(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    peer.react = lambda command: b"" if command.startswith("AT+Q") else None
    began_s = time.monotonic()
    reading = modem.poll(2.5)
    assert time.monotonic() - began_s < 5
    assert (reading.registration, reading.sim) == ("home", None)


def test_a_modem_that_boots_is_waited_for(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    greetings = [b"\r\nRDY\r\n", b"\r\n+CFUN: 1\r\n"]
    peer.react = lambda _: greetings.pop(0) if greetings else None
    modem.open()
    assert modem.identify().family == "quectel"
    assert not greetings


def test_a_late_ok_does_not_pass_for_a_clean_one(plug: Plug, modem: AtModem) -> None:
    """The first AT is answered at the second, and the second a moment later: only the third is in step."""
    peer = plug(EC25)
    peer.echo = False
    late = threading.Timer(0.1, lambda: os.write(peer.master, b"\r\nOK\r\n"))

    def react(_: str) -> bytes | None:
        if len(peer.heard) == 2:
            late.start()
        return b"" if len(peer.heard) == 1 else None

    peer.react = react
    modem.open()
    late.join(5)
    assert peer.heard[:4] == ["AT", "AT", "AT", "ATE0"]


def test_a_pulled_stick_is_gone_and_comes_back_elsewhere(plug: Plug, modem: AtModem, link: Path) -> None:
    peer = plug(EC25)
    modem.open()
    before = link.resolve()
    peer.pull()
    with pytest.raises(ModemGone):
        modem.poll(5.0)
    with pytest.raises(ModemGone, match="not open"):
        modem.poll(5.0)
    link.unlink()
    with pytest.raises(ModemGone, match="cannot open"):
        modem.open()
    blocker, keep = os.openpty()  # so that the number behind the link moves
    plug(EC25)
    assert link.resolve() != before
    modem.open()
    assert modem.poll(5.0).sim == "ready"
    for fd in (blocker, keep):
        os.close(fd)


def test_a_stick_pulled_in_the_middle_of_a_command_is_gone(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    reached = threading.Event()

    def stop_here(command: str) -> bytes | None:
        if command != "AT+QCSQ":
            return None
        reached.set()
        return b""

    peer.react = stop_here
    puller = threading.Thread(target=lambda: reached.wait(10) and peer.pull())
    puller.start()
    with pytest.raises(ModemGone, match="vanished"):
        modem.poll(5.0)
    puller.join(10)


def test_a_plain_file_in_place_of_the_port_is_never_written(modem: AtModem, link: Path) -> None:
    link.write_bytes(b"")
    with pytest.raises(ModemGone, match="plain file"):
        modem.open()
    assert link.read_bytes() == b""


def test_a_missing_port_is_not_made(modem: AtModem, link: Path) -> None:
    with pytest.raises(ModemGone):
        modem.open()
    assert not link.exists()


def test_a_port_that_another_owner_locked_is_busy(plug: Plug, modem: AtModem, link: Path) -> None:
    plug(EC25)
    with serial.Serial(str(link.resolve()), exclusive=True), pytest.raises(ModemBusy):
        modem.open()


def test_a_second_thread_waits_no_longer_than_its_deadline(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    reached, go_on = threading.Event(), threading.Event()

    def stall(command: str) -> bytes | None:
        if command == "AT+QCSQ":
            reached.set()
            go_on.wait(10)
        return None

    peer.react = stall
    first = threading.Thread(target=modem.poll, args=(5.0,))
    first.start()
    assert reached.wait(10)
    with pytest.raises(ModemBusy):
        modem.poll(0.1)
    go_on.set()
    first.join(10)
    assert modem.poll(5.0).sim == "ready"


@pytest.mark.parametrize(("table", "command"), [(EC25, "AT+CFUN=1,1"), (E3372, "AT^RESET"), (SIM7600, "AT+CFUN=1,1")])
def test_restart_says_what_the_family_obeys(plug: Plug, modem: AtModem, table: dict[str, str], command: str) -> None:
    peer = plug(table)
    modem.open()
    modem.restart()
    assert peer.heard[-1] == command
    assert not modem.is_open


def test_a_refused_restart_is_told(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    peer.react = lambda command: b"\r\n+CME ERROR: 100\r\n" if "CFUN" in command else None
    with pytest.raises(ModemRefused, match="CFUN"):
        modem.restart()


def test_no_sim_is_read_from_the_error(plug: Plug, modem: AtModem) -> None:
    peer = plug(EC25)
    modem.open()
    peer.react = lambda command: b"\r\n+CME ERROR: 10\r\n" if "CPIN" in command else None
    assert modem.poll(5.0).sim == "absent"


def test_huawei_without_a_cell_is_polled_without_delay(plug: Plug, modem: AtModem) -> None:
    """`^HFREQINFO?` then answers OK alone, as recorded; the modem is not brought back into step for that."""
    peer = plug(E3372 | {"AT^HFREQINFO?": "", "AT^SYSINFOEX": '^SYSINFOEX:0,0,0,1,,0,"NO SERVICE",0,"NO SERVICE"'})
    modem.open()
    peer.heard.clear()
    assert modem.poll(5.0).registration == "roaming"
    assert "AT" not in peer.heard


def test_huawei_that_says_no_sim_but_asks_for_the_pin_is_locked(plug: Plug, modem: AtModem) -> None:
    locked = {"AT^SYSINFOEX": '^SYSINFOEX:0,0,0,255,,0,"NO SERVICE",0,"NO SERVICE"', "AT+CPIN?": "+CPIN: SIM PIN"}
    plug(E3372 | locked)
    modem.open()
    assert modem.poll(5.0).sim == "pin"


def test_no_two_questions_that_may_be_bare_follow_each_other() -> None:
    for dialect in DIALECTS.values():
        assert not any(one.may_be_bare and other.may_be_bare for one, other in pairwise(dialect.queries))


def test_another_operators_sim_is_told_once_and_its_number_kept_nowhere(plug: Plug, link: Path) -> None:
    table = {**EC25, "AT+CIMI": "452010000000000", "AT+QCCID": "+QCCID: 89840100000000000000"}
    peer = plug(table)
    modem = AtModem(
        str(link),
        card=CardWatch(
            lambda: Expected(plmn="45204", ref=sim_ref("d.example", "89840400000000000001"), origin="d.example")
        ),
    )
    modem.open()
    readings = [modem.poll(5.0), modem.poll(5.0)]
    assert [reading.is_wrong_sim for reading in readings] == [True, True]
    assert (peer.heard.count("AT+CIMI"), peer.heard.count("AT+QCCID")) == (1, 1), "asked once a SIM"
    kept = repr(readings) + repr(vars(modem))
    assert "4520100000" not in kept
    assert "8984010000" not in kept
    peer.table["AT+CPIN?"] = "+CPIN: SIM PIN"
    assert modem.poll(5.0).is_wrong_sim is None, "a SIM that asks for its code may be another one"
    peer.table.update({"AT+CPIN?": "+CPIN: READY", "AT+CIMI": "452040000000000"})
    peer.table["AT+QCCID"] = "+QCCID: 89840400000000000001"
    assert modem.poll(5.0).is_wrong_sim is False
    modem.close()


def test_a_modem_that_hides_its_sim_is_not_asked_for_ever(plug: Plug, link: Path) -> None:
    peer = plug(EC25)
    modem = AtModem(str(link), card=CardWatch(lambda: Expected(plmn="45204")))
    modem.open()
    assert {modem.poll(5.0).is_wrong_sim for _ in range(5)} == {None}
    assert (peer.heard.count("AT+CIMI"), peer.heard.count("AT+QCCID")) == (3, 3)
    modem.close()


class Several:
    """The ports of a device, as they are now."""

    def __init__(self, *paths: Path) -> None:
        self.paths = list(paths)
        self.good: list[str] = []

    def candidates(self) -> list[str]:
        return [str(path) for path in self.paths]

    def answered(self, path: str) -> None:
        self.good.append(path)


def test_ports_are_looked_up_again_at_every_open(plug: Plug, link: Path) -> None:
    ports = Several()
    modem = AtModem(ports)
    with pytest.raises(ModemGone):
        modem.open()
    plug(EC25)
    ports.paths = [link]
    modem.open()
    assert modem.poll(5.0).rat == "LTE"
    modem.close()


def test_the_port_that_answers_is_taken_and_remembered(
    plug: Plug, link: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.devices.modem.SYNC_TRIES", 3)
    nmea, _slave = os.openpty()
    silent = tmp_path / "nmea"
    silent.symlink_to(os.ttyname(_slave))
    ports = Several(silent, link)
    plug(EC25)
    modem = AtModem(ports)
    modem.open()
    assert ports.good == [str(link)]
    assert modem.poll(5.0).rat == "LTE"
    modem.close()
    os.close(nmea)
    os.close(_slave)


L860 = {
    "AT+CGMI": '+CGMI: "Fibocom Wireless Inc."',
    "AT+CGMM": '+CGMM: "L860 LTE Module","L860"',
    "AT+CGMR": "18601.5001.00.01.17.30_KD",
    "AT+CEREG?": '+CEREG: 2,1,"8AA8","0558E901",7',
    "AT+CGREG?": '+CGREG: 2,1,"8AA8","0558E901",7',
    "AT+XMCI=0": (
        '+XMCI: 4,440,50,"0x8AA8","0x0558E901","0x019F","0x0000170C","0x00005D5C","0xFFFFFFFF",61,20,19,'
        '"0x00000002","0x00000000"\r\n'
        '+XMCI: 5,000,000,"0xFFFE","0xFFFFFFFF","0x0184","0x00009F8A","0xFFFFFFFF","0xFFFFFFFF",31,15,255,'
        '"0x7FFFFFFF","0x00000000"'
    ),
    "AT+XCESQ?": "+XCESQ: 0,99,99,255,255,19,58,11,255,255,255,255",
    "AT+XLEC?": "+XLEC: 0,2,3,5,BAND_LTE_18,0,0,0,0",
    "AT+CGACT?": "+CGACT: 1,1",
    "AT+COPS?": '+COPS: 0,2,"44050",7',
    "AT+MTSM=1": "+MTSM: 52",
    "AT+CPIN?": "+CPIN: READY",
    "AT+CSQ": "+CSQ: 15,4",
}
FM150 = {
    "ATI": "Manufacturer: Fibocom Wireless Inc.\r\nModel: FM150-AE",
    "AT+CEREG?": '+CEREG: 2,1,"BFD3","2D4201",7',
    "AT+CGREG?": "+CGREG: 0,1",
    "AT+GTCCINFO?": (
        "+GTCCINFO:\r\nLTE service cell:\r\n1,4,262,02,BFD3,2D4201,189C,30,120,50,16,42,42,26\r\n"
        "LTE neighbor cell:\r\n2,4,,,,,189C,190,,24,24,2"
    ),
    "AT+CGPADDR=1": '+CGPADDR: 1,"0.0.0.0"',
    "AT+COPS?": '+COPS: 0,2,"26202",7',
    "AT+CESQ": "+CESQ: 99,99,255,255,20,80",
    "AT+CPIN?": "+CPIN: READY",
}
A7670 = {
    "ATI": "Manufacturer: INCORPORATED\r\nModel: A7670E-FASE\r\nRevision: A7670M7_B02V01",
    "AT+CEREG?": "+CEREG: 0,1",
    "AT+CGREG?": "+CGREG: 0,1",
    "AT+CPSI?": "+CPSI: LTE,Online,460-11,0x774B,126375687,303,EUTRAN-BAND1,100,5,0,12,36,42,5",
    "AT+COPS?": '+COPS: 0,2,"46011",7',
    "AT+CPIN?": "+CPIN: SIM PUK",
}
ME3630 = {
    "ATI": "Manufacturer: ZTE CORPORATION\r\nModel: ME3630",
    "AT+CEREG?": "+CEREG: 0,1",
    "AT+CGREG?": "+CGREG: 0,1",
    "AT+ZRSSI": "+ZRSSI: -102,-6.5,-76,19",
    "AT+ZCELLINFO?": "+ZCELLINFO: 0XFFFE,0XFFFFFFFF,0X00000000,LTE B3,1600",
    "AT+COPS?": '+COPS: 0,2,"45204",7',
    "AT+CPIN?": "+CPIN: READY",
}


@pytest.mark.parametrize(
    ("table", "family", "levels", "place", "cause"),
    [
        (L860, "fibocom-intel", (-800, -100, None, None), (18, 5900, 89712897, 10_000), None),
        (FM150, "fibocom", (-610, -100, None, None), (20, 6300, 2966017, None), "no_pdp"),
        (A7670, "simcom-a76", (-1050, -140, None, None), (1, 100, 126375687, None), "sim_puk"),
        (ME3630, "zte", (-1020, -65, 190, -760), (3, 1600, None, None), None),
    ],
    ids=["l860", "fm150", "a7670", "me3630"],
)
def test_each_family_is_told_by_its_own_words_and_read(
    plug: Plug,
    modem: AtModem,
    table: dict[str, str],
    family: str,
    levels: tuple[int | None, ...],
    place: tuple[int | None, ...],
    cause: str | None,
) -> None:
    peer = plug(table)
    modem.open()
    assert modem.identify().family == family
    reading = modem.poll(8.0)
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10, reading.sinr_db_x10, reading.rssi_dbm_x10) == levels
    assert (reading.band, reading.earfcn, reading.eci, reading.bandwidth_khz) == place
    assert (reading.rat, reading.is_registered, reading.raw) == ("LTE", True, None)
    assert outage_cause(reading) == cause
    if family == "fibocom-intel":
        assert "AT+CSQ" not in peer.heard, "there it is RSRP in disguise"
