"""The modem against the recordings that it is built from: a byte that differs is a modem that never was."""

import asyncio
import json
import threading
import time
from importlib import resources

import pytest
import serial

from sim import at_script
from sim.at_script import Session, answer
from sim.at_table import FAMILIES, Mode, build
from sim.lte import Cell, band_of, downlink_mhz_x10, uplink_earfcn
from sim.modem import Modem, families

RECORDINGS = json.loads((resources.files("sim") / "data" / "at-transcripts.json").read_text("utf-8"))
BY_ID = {entry["id"]: entry for entry in RECORDINGS}

# (family, state, echo on, [(command, bytes that the port gave)]), straight from the exact dumps. Two dumps are a read
# late or split a line over two reads: the echo says which command an answer belongs to, and that is written out here.
PINEPHONE = [exchange["rx"] for exchange in BY_ID["urc-desync-quectel-eg25-pinephone"]["exchanges"]]
SIM7600 = {
    (exchange["cmd"].rstrip("\r"), at): exchange["rx"]
    for at, exchange in enumerate(BY_ID["urc-after-ok-sim7600a"]["exchanges"])
}
EXACT = [
    (
        "huawei-e3372",
        Mode.NORMAL,
        True,
        [
            ("AT", BY_ID["frame-echo-huawei-e3531"]["exchanges"][0]["rx"]),
            ("ATE1", BY_ID["frame-echo-huawei-e3531"]["exchanges"][1]["rx"]),
            ("AT+MODE=2", BY_ID["frame-command-not-support-huawei-e1752"]["exchanges"][0]["rx"]),
        ],
    ),
    (
        "quectel-eg25",
        Mode.NORMAL,
        True,
        [
            ("AT", PINEPHONE[2]),
            ("AT+CREG?", PINEPHONE[3]),
            ("AT+COPS?", PINEPHONE[4]),
            ("AT+CREG?", PINEPHONE[5] + PINEPHONE[6]),
            ('AT+QCFG="nwscanmode"', PINEPHONE[7]),
        ],
    ),
    (
        "simcom-sim7600",
        Mode.NORMAL,
        False,
        [
            ("ATI", SIM7600["ATI", 0]),
            ("AT+CPIN?", SIM7600["AT+CPIN?", 2]),
            ("AT+CGREG?", SIM7600["AT+CGREG?", 4]),
            ("AT+CEREG?", SIM7600["AT+CEREG?", 5]),
            ("AT+COPS?", SIM7600["AT+COPS?", 6]),
            ("AT+CSQ", SIM7600["AT+CSQ", 8]),
            ("AT+CPSI?", SIM7600["AT+CPSI?", 10]),
            ("AT+CGDCONT?", SIM7600["AT+CGDCONT?", 11]),
            ("AT+CFUN=0", SIM7600["AT+CFUN=0", 12]),
        ],
    ),
    ("simcom-sim7600", Mode.NO_SIM, False, [("AT+CPIN?", SIM7600["AT+CPIN?", 1])]),
    ("simcom-sim7600", Mode.DENIED, False, [("AT+CREG?", SIM7600["AT+CREG?", 3])]),
    ("simcom-sim7600", Mode.SEARCHING, False, [("AT+CSQ", SIM7600["AT+CSQ", 9])]),
]


@pytest.mark.parametrize(("family", "mode", "echo", "dialogue"), EXACT)
def test_answer_gives_the_exact_dumps_byte_for_byte(family, mode, echo, dialogue):
    session = at_script.set_mode(Session(echo=echo), mode)
    for command, expected in dialogue:
        session, reply = answer(families()[family], session, command, None)
        assert reply.text == expected


def test_answer_after_cops_format_2_is_the_recorded_number():
    family, session = families()["simcom-sim7600"], Session(echo=False)
    session, _ = answer(family, session, "AT+COPS=3,2", None)
    _, reply = answer(family, session, "AT+COPS?", None)
    assert reply.text == SIM7600["AT+COPS?", 7]


def _recorded_lines():
    """Every information line of a log that a family's table is built from, with the command that it answers."""
    for family in families().values():
        for command, rows in family.answers.items():
            yield from ((family.name, command, row) for row in rows if not row.exact)


@pytest.mark.parametrize(("family", "command", "row"), list(_recorded_lines()))
def test_table_keeps_each_logged_line_in_a_ports_frame(family, command, row):
    printed = "\n".join(
        exchange["rx"]
        for entry in _all_recordings()
        if entry["id"] == row.transcript
        for exchange in entry["exchanges"]
    )
    lines = [line for line in row.body.split("\r\n") if line]
    assert row.body.startswith("\r\n")
    assert row.body.endswith("\r\n")
    assert "\n" not in row.body.replace("\r\n", "")
    assert all(line == "OK" or line in printed for line in lines), (family, command)


def _all_recordings():
    extra = json.loads((resources.files("sim") / "data" / "at-supplement.json").read_text("utf-8"))
    return RECORDINGS + extra


def test_a_changed_recording_changes_the_modem():
    changed = json.loads(json.dumps(_all_recordings()))
    exchange = next(entry for entry in changed if entry["id"] == "quectel-eg25-ident")["exchanges"][0]
    exchange["rx"] = exchange["rx"].replace("EG25GGBR07A08M2G", "EG25GGBR07A09M2G")
    _, reply = answer(build(changed)["quectel-eg25"], Session(echo=False), "AT+CGMR", Cell())
    assert reply.text == "\r\nEG25GGBR07A09M2G\r\n\r\nOK\r\n"


CELL = Cell(rsrp_dbm=-101, rsrq_db=-12, sinr_db=4, plmn="45201", tac=0x1A2B, ci=0x0ABCDEF, pci=77, earfcn=1300)
COMMON = [
    ("AT", "OK"),
    ("AT+CMEE=1", "OK"),
    ("AT+CPIN?", "+CPIN: READY"),
    ("AT+CIMI", "452010000000000"),
    ("AT+CSQ", "+CSQ: 22,99"),
    ("AT+CEREG=2", "OK"),
    ("AT+COPS=3,2", "OK"),
    ("AT+COPS?", '+COPS: 0,2,"45201",7'),
    ("AT+COPS=3,0", "OK"),
    ("AT+COPS?", '+COPS: 0,0,"MobiFone",7'),
]
OWN = {
    "huawei-e3372": [
        ("AT+CEREG?", '+CEREG: 2,1,"1A2B","00ABCDEF"'),
        ("AT^HCSQ?", '^HCSQ:"LTE",52,40,121,16'),
        ("AT^HFREQINFO?", "^HFREQINFO:0,6,3,1300,18150,20000,19300,17200,20000"),
        ("AT^SYSINFOEX", '^SYSINFOEX:2,3,0,1,,6,"LTE",101,"LTE"'),
        ("AT^CURC=0", "OK"),
        ("AT+CGMM", "E3372"),
        ("AT+NONSENSE", "COMMAND NOT SUPPORT"),
    ],
    "quectel-eg25": [
        ("AT+CEREG?", '+CEREG: 2,1,"1A2B","ABCDEF",7'),
        (
            'AT+QENG="servingcell"',
            '+QENG: "servingcell","NOCONN","LTE","FDD",452,01,ABCDEF,77,1300,3,5,5,1A2B,-101,-12,-69,4,20',
        ),
        ("AT+QCSQ", '+QCSQ: "LTE",-69,-101,120,-12'),
        ("AT+QNWINFO", '+QNWINFO: "FDD LTE","45201","LTE BAND 3",1300'),
        ("AT+QTEMP", "+QTEMP: 33,30,29"),
        ("AT+CGMM", "EG25"),
        ("AT+NONSENSE", "ERROR"),
    ],
    "simcom-sim7600": [
        ("AT+CEREG?", '+CEREG: 2,1,"1A2B","00ABCDEF",7'),
        ("AT+CESQ", "+CESQ: 99,99,255,255,16,40"),
        ("AT+CPSI?", "+CPSI: LTE,Online,452-01,0x1A2B,11259375,77,EUTRAN-BAND3,1300,5,5,-120,-1010,-690,4"),
        ("AT+CGMM", "SIMCOM_SIM7600A-H"),
        ("AT+NONSENSE", "ERROR"),
    ],
}


@pytest.mark.parametrize("name", FAMILIES)
def test_answer_carries_the_sites_cell(name):
    session = Session(echo=False)
    for command, expected in COMMON + OWN[name]:
        session, reply = answer(families()[name], session, command, CELL)
        assert next(line for line in reply.text.split("\r\n") if line) == expected


SEARCHING = {
    "huawei-e3372": [("AT^HCSQ?", "^HCSQ: NOSERVICE")],
    "quectel-eg25": [
        ('AT+QENG="servingcell"', '+QENG: "servingcell","SEARCH"'),
        ("AT+QNWINFO", "+QNWINFO: No Service"),
    ],
    "simcom-sim7600": [("AT+CPSI?", "+CPSI: NO SERVICE,Online")],
}


@pytest.mark.parametrize("name", FAMILIES)
def test_answer_while_searching_shows_no_cell(name):
    session = at_script.set_mode(Session(echo=False), Mode.SEARCHING)
    everywhere = [("AT+CEREG?", "+CEREG: 0,2"), ("AT+CSQ", "+CSQ: 99,99"), ("AT+COPS?", "+COPS: 0")]
    for command, expected in everywhere + SEARCHING[name]:
        session, reply = answer(families()[name], session, command, CELL)
        assert next(line for line in reply.text.split("\r\n") if line) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.NO_SIM, ["+CME ERROR: 10"]),
        (Mode.SIM_PIN, ["+CPIN: SIM PIN", "OK"]),
        (Mode.BOOTING, ["+CME ERROR: 14"]),
        (Mode.MUTE, []),
        (Mode.DENIED, ["+CPIN: READY", "OK"]),
    ],
)
def test_answer_to_cpin_follows_the_state(mode, expected):
    session = at_script.set_mode(Session(echo=False, cmee=1), mode)
    _, reply = answer(families()["quectel-eg25"], session, "AT+CPIN?", CELL)
    assert reply.text.split() == " ".join(expected).split()


@pytest.mark.parametrize(("cmee", "text"), [(0, "ERROR"), (1, "+CME ERROR: 10"), (2, "+CME ERROR: SIM not inserted")])
def test_answer_without_sim_uses_the_chosen_error_form(cmee, text):
    session = at_script.set_mode(Session(echo=False, cmee=cmee), Mode.NO_SIM)
    _, reply = answer(families()["simcom-sim7600"], session, "AT+CIMI", CELL)
    assert reply.text == f"\r\n{text}\r\n"


def test_answer_on_e3372_refuses_writes_after_cfun_4_until_reset():
    family, session = families()["huawei-e3372"], Session(echo=False)
    session, reply = answer(family, session, "AT+CFUN=4", CELL)
    assert reply.text == "\r\nOK\r\n"
    for command in ("AT+CFUN=1", "AT+COPS=0", "AT+CREG=2"):
        session, reply = answer(family, session, command, CELL)
        assert reply.text == "\r\n+CME ERROR: 100\r\n"
    session, reply = answer(family, session, "AT^RESET", CELL)
    assert reply.restart
    assert at_script.settled(at_script.booted(session)).mode is Mode.NORMAL


def test_answer_on_e3372_to_cfun_1_1_says_ok_and_restarts_nothing():
    _, reply = answer(families()["huawei-e3372"], Session(echo=False), "AT+CFUN=1,1", CELL)
    assert (reply.text, reply.restart) == ("\r\nOK\r\n", False)


def test_answer_runs_a_chain_in_order_and_stops_at_its_first_error():
    family, session = families()["quectel-eg25"], Session(echo=False)
    session, reply = answer(family, session, 'AT+CEREG=2;+CEREG?;+QENG="servingcell"', CELL)
    lines = [line for line in reply.text.split("\r\n") if line]
    assert [line[:6] for line in lines] == ["+CEREG", "+QENG:", "OK"]
    session, reply = answer(family, session, "AT+BAD;+CSQ", CELL)
    assert reply.text == "\r\nERROR\r\n"


def test_registration_urcs_come_only_where_the_client_asked():
    family = families()["quectel-eg25"]
    session = at_script.set_mode(Session(cereg=2), Mode.SEARCHING)
    assert at_script.registration_urcs(family, session, CELL) == "\r\n+CEREG: 2\r\n"
    assert at_script.registration_urcs(family, Session(), CELL) == ""


def test_nothing_in_the_tables_names_a_subscriber():
    for family in families().values():
        for rows in family.answers.values():
            for row in rows:
                numbers = [word for word in row.body.replace('"', " ").split() if word.isdigit() and len(word) >= 15]
                assert all(number == at_script.TEXTBOOK_IMEI or number.endswith("0" * 10) for number in numbers)


@pytest.mark.parametrize(
    ("earfcn", "band", "mhz_x10", "uplink"),
    [(425, 1, 21525, 18425), (1300, 3, 18150, 19300), (38950, 40, 23300, 38950)],
)
def test_channels_map_to_bands_and_frequencies(earfcn, band, mhz_x10, uplink):
    assert (band_of(earfcn).number, downlink_mhz_x10(earfcn), uplink_earfcn(earfcn)) == (band, mhz_x10, uplink)


class _Live:
    """A modem on its own event loop, as the site's holder runs it."""

    def __init__(self, tmp_path, family, cell=None, boot_s=0.2):
        self.link = tmp_path / "modem"
        self._ready = threading.Event()
        self._args = (family, cell, boot_s)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self):
        asyncio.run(self._main())

    async def _main(self):
        family, cell, boot_s = self._args
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.modem = Modem(family, cell and (lambda: cell), link=self.link, boot_s=boot_s)
        self.modem.plug()
        self._ready.set()
        await self._stop.wait()
        self.modem.unplug()

    def do(self, action):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (action(), done.set()))
        assert done.wait(5)

    def close(self):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


@pytest.fixture
def live(tmp_path):
    started = []

    def start(*args, **options):
        started.append(_Live(tmp_path, *args, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def _ask(port, command, expected):
    port.write(command.encode() + b"\r")
    return port.read(len(expected)).decode()


@pytest.mark.parametrize(("family", "mode", "echo", "dialogue"), EXACT)
def test_port_gives_the_exact_dumps_through_pyserial(live, family, mode, echo, dialogue):
    modem = live(family)
    with serial.Serial(str(modem.link), 115200, timeout=3, exclusive=True) as port:
        modem.do(lambda: modem.modem.set_mode(mode))
        if not echo:
            assert _ask(port, "ATE0", "ATE0\r\r\nOK\r\n").endswith("OK\r\n")
        for command, expected in dialogue:
            assert _ask(port, command, expected) == expected


def test_port_is_gone_while_unplugged_and_back_after(live):
    modem = live("simcom-sim7600", CELL)
    with serial.Serial(str(modem.link), timeout=3) as port:
        assert "OK" in _ask(port, "AT", "AT\r\r\nOK\r\n")
        modem.do(modem.modem.unplug)
        assert not modem.link.exists()
        with pytest.raises(serial.SerialException):
            port.read(1)
        modem.do(modem.modem.plug)
        with serial.Serial(str(modem.link), timeout=3) as again:
            assert "OK" in _ask(again, "AT", "AT\r\r\nOK\r\n")


def test_port_dies_after_a_restart_command_and_boots_with_its_recorded_lines(live):
    modem = live("quectel-eg25", CELL, boot_s=1.0)
    with serial.Serial(str(modem.link), timeout=3) as port:
        port.write(b"AT+CFUN=1,1\r")
        assert port.read_until(b"OK\r\n").endswith(b"OK\r\n")
        with pytest.raises(serial.SerialException):
            port.read(1)
    pause = threading.Event()
    until = time.monotonic() + 10
    while not modem.link.exists() and time.monotonic() < until:
        pause.wait(0.02)
    with serial.Serial(str(modem.link), timeout=3) as port:
        port.write(b"AT+CPIN?\r")
        assert port.read_until(b"14\r\n").endswith(b"AT+CPIN?\r\r\n+CME ERROR: 14\r\n")


def test_huawei_talks_unasked_until_curc_0(live):
    modem = live("huawei-e3372", CELL)
    with serial.Serial(str(modem.link), timeout=4) as port:
        assert port.read_until(b"\r\n", 2) == b"\r\n"
        assert port.read_until(b"\r\n").startswith(b"^RSSI:2")
