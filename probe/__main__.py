"""`dosong-probe`: the program on the Pi. Reads the command line, joins the parts, turns errors into exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from probe import beacon, calibrate, compose, compose_visit, enrol_command, export, measure, show
from probe.boot import keep_boot
from probe.devices.usb_power import UsbPower
from probe.publish import WAY_MARK
from probe.rescue import LINE_BYTES, answer
from probe.settings import Settings, load
from probe.spool import Standing, read_standing
from probe.spool_read import FIRST, LAST, mark, records
from wire import codec
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, EXIT_USAGE, Misconfigured, Refused, Unavailable
from wire.failure import Cause, Stage
from wire.records import TestRecord

log = logging.getLogger("probe")
DEFAULT_CONFIG = "/etc/dosong/probe.toml"
_DESCRIPTION = "Measure one place's mobile broadband on a schedule, sign each result, and see it into the ledger."
_EPILOG = """examples:
  dosong-probe enrol /boot/firmware/claim.toml       make this machine a probe, by the claim from the office
  dosong-probe run --config /etc/dosong/probe.toml   the daemon that systemd starts
  dosong-probe once                                  one test now, printed, and kept like any other
  dosong-probe once --modem m2 --json                the same by the second modem, as JSON
  dosong-probe calibrate                             how fast this host can measure at all; kept, marks tests near it
  dosong-probe calibrate --link --modem m1           the same on site, over the modem's own link (moves one test's data)
  dosong-probe doctor                                check the station: red or green, and what to do
  dosong-probe doctor --lang en --no-test --json     the same for a script, without a test
  dosong-probe survey                                where the site is: five minutes under the open sky, once
  dosong-probe plan --limit-gb 10 --vnd-per-gb 3000     what a month of tests costs, and whether the data does for it
  dosong-probe status                                what waits to be sent, the last ACK, the last test
  dosong-probe export /media/usb/export              what waits, as signed files for a site without signal

exit status:
  0  done (once: the test succeeded and its path was proved)
  1  it failed: the test, the disk, or another dosong-probe runs
  2  wrong usage
  78 the settings are missing or wrong; the message says what to do"""


_CALIBRATE = """how fast this host itself can measure: what a faster link gives cannot be told from the host's own limit

Without options over loopback, both ways, some five seconds and no data of the SIM. On site, once the modem is plugged
in, add --link: one ordinary test over each modem's link shows how busy the busiest core gets and at which speed the
modem's USB port runs. The least bound is kept; later tests above 0.7 of it are marked host_limited. Do it again after a
change of board, port or cable. Stop the daemon first: systemctl stop dosong-probe"""
USB2_MBIT = 480


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=arguments.log_level.upper(), format="%(levelname)s %(message)s")
    try:
        settings = None if getattr(arguments, "bare", False) else load(arguments.config)
        status: int = arguments.command(settings, arguments)
    except Misconfigured as error:
        sys.stderr.write(f"dosong-probe: {error}\n")
        return EXIT_MISCONFIGURED
    except (Unavailable, Refused) as error:
        sys.stderr.write(f"dosong-probe: {error}\n")
        return EXIT_FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE", help=f"({DEFAULT_CONFIG})")
    shared.add_argument("--log-level", choices=["debug", "info", "warning"], default="info")
    parser = argparse.ArgumentParser(
        prog="dosong-probe",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[shared], help="measure on schedule until stopped by SIGTERM")
    run.set_defaults(command=_run)
    once = commands.add_parser("once", parents=[shared], help="run one test now, print it and keep it")
    once.add_argument("--modem", metavar="ID", help="which modem (the first one)")
    once.add_argument("--json", action="store_true", help="print the record as JSON")
    once.set_defaults(command=_once)
    _add_calibrate(commands, shared)
    rescue = commands.add_parser("rescue", parents=[shared], help="what systemd runs as root: one request from stdin")
    rescue.set_defaults(command=_rescue)
    doctor = commands.add_parser("doctor", parents=[shared], help="check the station, live; 0 if all is green")
    default = "vi" if os.environ.get("LANG", "vi").startswith(("vi", "C")) else "en"
    doctor.add_argument("--lang", choices=["vi", "en"], default=default, help=f"({default})")
    doctor.add_argument("--json", action="store_true", help="print the result as JSON")
    doctor.add_argument("--no-test", action="store_true", help="leave the short test out")
    doctor.add_argument("--wait", type=float, default=180.0, metavar="S", help="leave open what takes longer (180)")
    doctor.set_defaults(command=_doctor)
    status = commands.add_parser("status", parents=[shared], help="show spool, last ACK and last test")
    status.add_argument("--json", action="store_true", help="print as JSON")
    status.set_defaults(command=_status)
    survey = commands.add_parser("survey", parents=[shared], help="find the site's position: five minutes of fixes")
    survey.add_argument("--wait", type=float, default=1800.0, metavar="S", help="give up after this long (1800)")
    survey.add_argument("--json", action="store_true", help="print the result as JSON")
    survey.set_defaults(command=_survey)
    _add_export(commands, shared)
    _add_plan(commands, shared)
    enrol_command.add_parsers(commands, shared)
    return parser


def _add_plan(commands: Any, shared: argparse.ArgumentParser) -> None:
    plan = commands.add_parser("plan", parents=[shared], help="what tests cost, and what a SIM's data is good for")
    plan.add_argument("--quota", type=int, default=300, metavar="N", help="samples a month of the commune (300)")
    plan.add_argument("--success", type=float, default=95.0, metavar="PERCENT", help="tests that succeed (95)")
    plan.add_argument("--stations", type=int, default=1, metavar="N", help="modems that share the quota (1)")
    plan.add_argument("--downlink", type=float, default=40.0, metavar="MBIT_S", help="what the link gives (40)")
    plan.add_argument("--uplink", type=float, default=15.0, metavar="MBIT_S", help="what the link gives (15)")
    plan.add_argument("--limit-gb", type=float, metavar="GB", help="data of the SIM in a period (the settings file's)")
    plan.add_argument("--vnd-per-gb", type=int, metavar="VND", help="price of 10^9 bytes (the settings file's)")
    plan.set_defaults(command=_plan)


def _plan(settings: Settings, arguments: argparse.Namespace) -> int:
    """Say what a month would cost; nothing is sent and nothing is opened."""
    from probe import forecast  # noqa: PLC0415 (only wanted here)

    known = settings.budget
    price = arguments.vnd_per_gb if arguments.vnd_per_gb is not None else known.vnd_per_gb if known else None
    limit = round(arguments.limit_gb * 1e9) if arguments.limit_gb is not None else known.limit_bytes if known else None
    asked = forecast.Question(
        quota=max(1, arguments.quota),
        success_percent=min(100.0, max(1.0, arguments.success)),
        stations=max(1, arguments.stations),
        downlink_bps=round(arguments.downlink * 1e6),
        uplink_bps=round(arguments.uplink * 1e6),
        limit_bytes=limit,
        vnd_per_gb=price,
    )
    sys.stdout.write("\n".join(forecast.lines(settings, asked)) + "\n")
    return EXIT_OK


def _add_export(commands: Any, shared: argparse.ArgumentParser) -> None:
    export = commands.add_parser(
        "export", parents=[shared], help="write what waits as signed files, for a site without signal"
    )
    export.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to, such as /media/usb/export; goes on there"
    )
    export.add_argument(
        "--from", dest="first", type=_place, default=FIRST, metavar="EPOCH:SEQ", help="from this record"
    )
    export.add_argument("--to", dest="last", type=_place, default=LAST, metavar="EPOCH:SEQ", help="up to this record")
    export.add_argument("--all", action="store_true", help="also what the collector has acknowledged")
    export.set_defaults(command=_export)


def _survey(settings: Settings, arguments: argparse.Namespace) -> int:
    from probe import survey_run  # noqa: PLC0415 (gpsd-py3 is only wanted here)

    return survey_run.run(settings, wait_s=arguments.wait, as_json=arguments.json)


def _place(text: str) -> tuple[int, int]:
    """A record's place as it is written on the command line. Raises ValueError."""
    epoch, _, seq = text.partition(":")
    return int(epoch), int(seq)


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write records as files beside a running daemon."""
    found = records(settings.path(settings.state_dir), arguments.first, arguments.last, with_acknowledged=arguments.all)
    done = export.write(arguments.folder, settings.probe, settings.origin, found, time.time_ns() // 1_000_000)
    sys.stdout.write(
        f"{done.records} records ({done.span}) in {done.files} files, {done.new} of them new, in {arguments.folder}\n"
        "take the folder to the collector and run there: dosong-collector import-export FOLDER\n"
    )
    return EXIT_OK


def _add_calibrate(commands: Any, shared: argparse.ArgumentParser) -> None:
    ceiling = commands.add_parser(
        "calibrate",
        parents=[shared],
        help="measure this host's own ceiling",
        description=_CALIBRATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ceiling.add_argument("--link", action="store_true", help="on site: also over the link of each modem, one test each")
    ceiling.add_argument("--modem", metavar="ID", help="with --link: this modem alone")
    ceiling.set_defaults(command=_calibrate)


def _run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    with compose.opened(settings) as probe:
        _stop_on_signals(probe.stop)
        daemon, publisher = probe.daemon()
        if publisher is None:
            log.warning("[broker] is not set: records stay in %s until it is", settings.state_dir)
        log.info("probe=%s modems=%d running", settings.probe, len(settings.modem))
        with compose_visit.serving(probe, daemon, publisher, has_page=True):
            daemon.run(publisher)
    return EXIT_OK


def _stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` at SIGTERM or SIGINT, by a thread.

    A handler runs between two steps of the main thread, perhaps while that holds the event's own lock: setting it
    there could wait for ever. Of all queues only SimpleQueue may be filled by a handler.
    """
    asked: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        asked.get()
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.put(None))


def _once(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run one test now, trigger manual; the daemon must not run, for it owns modem and spool."""
    name = arguments.modem or settings.modem[0].id
    if name not in {modem.id for modem in settings.modem}:
        sys.stderr.write(f"dosong-probe: no modem {name} in the settings; there are {_names(settings)}\n")
        return EXIT_USAGE
    with compose.opened(settings, has_coverage=False) as probe:
        station = probe.stations[name]
        is_first = probe.spool.mark("boot") is None
        if is_first:
            keep_boot(probe.recorder, probe.spool, len(settings.modem))
        station.owner.start()
        try:
            order, refusal = station.admit(_manual(station.order))
            head = probe.recorder.head()
            if refusal is Cause.BUDGET_SPENT:
                found = measure.Run(measure.not_run(order, head, "skipped", Stage.SCHEDULE, refusal))
            else:
                found = measure.run(order, station.bench, head)
        finally:
            station.owner.stop(compose.ECHO_TIMEOUT_S)
        # A crash of the daemon before stays to be told by its next boot record.
        record = found.record
        kept = probe.recorder.keep(record, {"clean": "1"} if is_first else {}, found.receipts)
        station.settle()
    sys.stdout.write(_as_json(kept.raw) if arguments.json else f"{show.test(record)}\n")
    is_good = record.outcome == "ok" and record.path is not None and record.path.verdict == "ok"
    return EXIT_OK if is_good else EXIT_FAILED


def _calibrate(settings: Settings, arguments: argparse.Namespace) -> int:
    """Measure the host's ceiling and keep it; the daemon must not run, for a test beside it would spoil both."""
    chosen = [modem for modem in settings.modem if arguments.modem in {None, modem.id}] if arguments.link else []
    if arguments.modem is not None and not chosen:
        sys.stderr.write(f"dosong-probe: --modem needs --link and a modem of the settings: {_names(settings)}\n")
        return EXIT_USAGE
    with compose.opened(settings, has_coverage=False) as probe:
        ceiling = calibrate.measure()
        probe.recorder.remember({calibrate.MARK: ceiling.as_mark()})
        down, up = ceiling.downlink_bps / 1e6, ceiling.uplink_bps / 1e6
        sys.stdout.write(f"this host moves {down:.0f} Mbit/s down and {up:.0f} Mbit/s up at most (loopback)\n")
        shown = [_calibrate_link(probe, modem.id, probe.interface(modem), ceiling) for modem in chosen]
    sys.stdout.write("tests above 0.7 of that are marked host_limited\n")
    return EXIT_OK if all(shown) else EXIT_FAILED


def _calibrate_link(probe: compose.Probe, modem: str, interface: str, loopback: calibrate.Ceiling) -> bool:
    """One test over a modem's link, within its budget; whether it showed anything."""
    station = probe.stations[modem]
    _, refusal = station.admit(_manual(station.order))
    if refusal is Cause.BUDGET_SPENT:
        sys.stdout.write(f"{modem}: not measured ({refusal}); the ceiling of loopback counts\n")
        return False
    seen = calibrate.measure_link(interface, station.bench.engine)
    station.settle()
    if seen.downlink is None and seen.uplink is None:
        sys.stdout.write(f"{modem}: the test moved nothing ({seen.result.cause}); run it again when the link is up\n")
        return False
    ceiling = seen.ceiling(loopback)
    probe.recorder.remember({calibrate.link_mark(modem): ceiling.as_mark()})
    ways = (("down", seen.downlink, ceiling.downlink_bps), ("up", seen.uplink, ceiling.uplink_bps))
    for way, found, most_bps in ways:
        if found is not None:
            share = found.busy_ppm / 10_000
            sys.stdout.write(
                f"{modem}: {found.link_bps / 1e6:.1f} Mbit/s {way} kept the busiest core {share:.0f} % busy: "
                f"this host can carry {most_bps / 1e6:.0f} Mbit/s {way} over {interface}\n"
            )
    if seen.bus_mbit is not None and seen.bus_mbit < USB2_MBIT:
        sys.stdout.write(f"{modem}: plugged in at {seen.bus_mbit} Mbit/s only; another port or cable gives 480\n")
    return True


def _rescue(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Carry out one request of the daemon's, read from standard input: USB power, controller, reboot."""
    said = answer(sys.stdin.readline(LINE_BYTES), UsbPower(), settings.recovery.reboot)
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()
    log.info("rescue=%s", said)
    return EXIT_OK if said == "done" else EXIT_FAILED


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Check the station, beside a running daemon or without one."""
    from probe import doctor  # noqa: PLC0415 (its words and views are no part of an idle daemon)

    wishes = doctor.Wishes(arguments.lang, arguments.json, not arguments.no_test, arguments.wait)
    return doctor.run(settings, wishes)


def _manual(order: measure.Order) -> measure.Order:
    return measure.Order(order.modem, order.interface, "manual", order.plmn, order.referral)


def _names(settings: Settings) -> str:
    return ", ".join(modem.id for modem in settings.modem)


def _as_json(raw: bytes) -> str:
    return codec.body_of(raw).decode() + "\n"


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    """Read the spool beside a running daemon."""
    state_dir = settings.path(settings.state_dir)
    found = _status_of(settings.probe, read_standing(state_dir)) | {"way": mark(state_dir, WAY_MARK)}
    found["log"] = beacon.standing(state_dir, settings.log_vkey).document()
    sys.stdout.write(json.dumps(found) + "\n" if arguments.json else _status_text(found))
    return EXIT_OK


def _status_of(probe: str, standing: Standing) -> dict[str, Any]:
    ack, test = standing.last_ack, standing.last_test
    return {
        "probe": probe,
        "epoch": standing.place.epoch,
        "next_seq": standing.place.seq,
        "spool": asdict(standing.depth),
        "last_ack": ack and {"epoch": ack[0], "upto": ack[1], "t_ms": ack[2]},
        "last_test": None if test is None else json.loads(codec.body_of(test)),
    }


def _status_text(found: dict[str, Any]) -> str:
    spool, ack, test = found["spool"], found["last_ack"], found["last_test"]
    lines = [
        f"probe     {found['probe']}, next record epoch {found['epoch']} seq {found['next_seq']}",
        f"spool     {spool['waiting']} waiting of {spool['records']} held, {spool['bytes'] / 1e6:.2f} MB",
        "last ack  none yet"
        if ack is None
        else f"last ack  epoch {ack['epoch']} up to seq {ack['upto']}, {show.when(ack['t_ms'])}",
    ]
    lines.append(f"records   left last by {found['way'] or 'no way yet'}")
    lines.append(f"log       {show.log_line(found['log'])}")
    if test is None:
        lines.append("last test none yet")
    else:
        lines.append("last test " + show.test(msgspec.convert(test | {"kind": "test"}, TestRecord)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
