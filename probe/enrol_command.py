"""`dosong-probe enrol`, `fingerprint`, `renew`, `rotate`: who this machine is, on the command line."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from probe import show
from probe.settings import Settings
from wire.errors import EXIT_OK

FOLDER = "/etc/dosong"
CLAIM = "/boot/firmware/dosong-claim.toml"
_ENROL = """make this machine a probe: keys are made here, the claim file says once who it is and is wiped

Cut off at any point (power, link, an office that has not armed the claim yet) it goes on when it is run again. At the
end it shows six digits: read them to the office, which confirms them; until then records are kept but not counted."""


def add_parsers(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Register the commands; the first two need no settings file."""
    one = commands.add_parser(
        "enrol",
        parents=[shared],
        help="make this machine a probe, by the claim file from the office",
        description=_ENROL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: dosong-probe enrol /boot/firmware/p-dong-dong.toml --wait 3600",
    )
    one.add_argument("claim", type=Path, nargs="?", metavar="CLAIMFILE", help="left out: go on with the one begun")
    one.add_argument("--folder", type=Path, default=Path(FOLDER), help=f"where keys and certificates go ({FOLDER})")
    one.add_argument("--interface", help="leave by this interface only, such as the modem's")
    one.add_argument("--wait", type=float, default=0.0, metavar="S", help="keep trying this long (0)")
    one.set_defaults(command=_enrol, bare=True)
    other = commands.add_parser("fingerprint", parents=[shared], help="show the six digits of this probe's keys")
    other.add_argument("--folder", type=Path, default=Path(FOLDER), help=f"where the keys are ({FOLDER})")
    other.set_defaults(command=_fingerprint, bare=True)
    first = commands.add_parser(
        "firstboot", parents=[shared], help="what systemd runs once: claim to settings, no keyboard"
    )
    first.add_argument("--claim", type=Path, default=Path(CLAIM), help=f"the office's claim ({CLAIM})")
    first.add_argument("--station", type=Path, help="the office's settings of this station, if it gave some")
    first.add_argument("--folder", type=Path, default=Path(FOLDER), help=f"where keys and settings go ({FOLDER})")
    first.add_argument("--wait", type=float, default=600.0, metavar="S", help="keep trying this long (600)")
    first.set_defaults(command=_first_boot, bare=True)
    _add_renewals(commands, shared)


def _add_renewals(commands: Any, shared: argparse.ArgumentParser) -> None:
    renewal = commands.add_parser(
        "renew", parents=[shared], help="another certificate, if two thirds of the old one's life are over"
    )
    renewal.add_argument("--force", action="store_true", help="even if it is not due")
    renewal.set_defaults(command=_renew)
    change = commands.add_parser("rotate", parents=[shared], help="another record key; stop the daemon first")
    change.set_defaults(command=_rotate)


def _enrol(_settings: object, arguments: argparse.Namespace) -> int:
    from probe import enrol  # noqa: PLC0415 (X.509 is no part of an idle daemon)

    done = enrol.enrol(arguments.claim, arguments.folder, arguments.interface, arguments.wait)
    digits = f"{done.fingerprint[:3]} {done.fingerprint[3:]}"
    sys.stdout.write(f"{done.probe} is enrolled. Read these digits to the office: {digits}\n")
    if not done.is_wiped:
        sys.stderr.write(f"dosong-probe: {arguments.claim} could not be wiped; delete it by hand\n")
    return EXIT_OK


def _first_boot(_settings: object, arguments: argparse.Namespace) -> int:
    from probe import firstboot  # noqa: PLC0415 (as above)

    done = firstboot.first_boot(arguments.claim, arguments.station, arguments.folder, arguments.wait)
    what = "is ready" if done.is_new else "was ready before"
    digits = f"{done.fingerprint[:3]} {done.fingerprint[3:]}"
    sys.stdout.write(f"{done.probe} {what}. Read these digits to the office: {digits}\n")
    return EXIT_OK


def _fingerprint(_settings: object, arguments: argparse.Namespace) -> int:
    from probe import enrol  # noqa: PLC0415 (as above)

    probe, digits = enrol.fingerprint(arguments.folder)
    sys.stdout.write(f"{probe} {digits[:3]} {digits[3:]}\n")
    return EXIT_OK


def _renew(settings: Settings, arguments: argparse.Namespace) -> int:
    from probe import renew  # noqa: PLC0415 (as above)

    done = renew.renew(settings, time.time_ns() // 1_000_000, is_forced=arguments.force)
    what = "renewed" if done.is_new else "not due yet"
    sys.stdout.write(f"certificate of {settings.probe}: {what}, good until {show.when(done.not_after_ms)}\n")
    return EXIT_OK


def _rotate(settings: Settings, _arguments: argparse.Namespace) -> int:
    from probe import compose, rotation  # noqa: PLC0415 (as above)

    with compose.opened(settings, has_coverage=False) as probe:
        epoch = rotation.rotate(settings, probe.spool, probe.recorder)
    sys.stdout.write(f"{settings.probe} has a new record key, which signs from epoch {epoch} on\n")
    return EXIT_OK
