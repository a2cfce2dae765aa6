"""`dosong-probe`: the program on the Pi. Reads the command line, joins the parts, turns errors into exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from probe import calibrate, compose, measure, show
from probe.boot import keep_boot
from probe.settings import Settings, load
from probe.spool import Standing, read_standing
from wire import codec
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, EXIT_USAGE, Misconfigured, Unavailable
from wire.failure import Cause, Stage
from wire.records import TestRecord

log = logging.getLogger("probe")
DEFAULT_CONFIG = "/etc/dosong/probe.toml"
_DESCRIPTION = "Measure one place's mobile broadband on a schedule, sign each result, and see it into the ledger."
_EPILOG = """examples:
  dosong-probe run --config /etc/dosong/probe.toml   the daemon that systemd starts
  dosong-probe once                                  one test now, printed, and kept like any other
  dosong-probe once --modem m2 --json                the same by the second modem, as JSON
  dosong-probe calibrate                             how fast this host can measure at all; kept, marks tests near it
  dosong-probe calibrate --link --modem m1           the same on site, over the modem's own link (moves one test's data)
  dosong-probe status                                what waits to be sent, the last ACK, the last test

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
        status: int = arguments.command(load(arguments.config), arguments)
    except Misconfigured as error:
        sys.stderr.write(f"dosong-probe: {error}\n")
        return EXIT_MISCONFIGURED
    except Unavailable as error:
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
    status = commands.add_parser("status", parents=[shared], help="show spool, last ACK and last test")
    status.add_argument("--json", action="store_true", help="print as JSON")
    status.set_defaults(command=_status)
    return parser


def _run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    with compose.opened(settings) as probe:
        _stop_on_signals(probe.stop)
        daemon, publisher = probe.daemon()
        if publisher is None:
            log.warning("[broker] is not set: records stay in %s until it is", settings.state_dir)
        log.info("probe=%s modems=%d running", settings.probe, len(settings.modem))
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
                record = measure.not_run(order, head, "skipped", Stage.SCHEDULE, refusal)
            else:
                record = measure.run(order, station.bench, head)
        finally:
            station.owner.stop(compose.ECHO_TIMEOUT_S)
        # A crash of the daemon before stays to be told by its next boot record.
        kept = probe.recorder.keep(record, {"clean": "1"} if is_first else {})
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
        shown = [_calibrate_link(probe, modem.id, modem.interface, ceiling) for modem in chosen]
    sys.stdout.write("tests above 0.7 of that are marked host_limited\n")
    return EXIT_OK if all(shown) else EXIT_FAILED


def _calibrate_link(probe: compose.Probe, modem: str, interface: str, loopback: calibrate.Ceiling) -> bool:
    """One test over a modem's link, within its budget; whether it showed anything."""
    station = probe.stations[modem]
    _, refusal = station.admit(_manual(station.order))
    if refusal is not None:
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


def _manual(order: measure.Order) -> measure.Order:
    return measure.Order(order.modem, order.interface, "manual", order.plmn, order.referral)


def _names(settings: Settings) -> str:
    return ", ".join(modem.id for modem in settings.modem)


def _as_json(raw: bytes) -> str:
    return codec.body_of(raw).decode() + "\n"


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    """Read the spool beside a running daemon."""
    found = _status_of(settings.probe, read_standing(settings.path(settings.state_dir)))
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
    if test is None:
        lines.append("last test none yet")
    else:
        lines.append("last test " + show.test(msgspec.convert(test | {"kind": "test"}, TestRecord)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
