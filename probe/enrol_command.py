"""`dosong-probe enrol`, `fingerprint`: the commands that run before there are any settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from probe import enrol
from wire.errors import EXIT_FAILED, EXIT_OK, Refused

FOLDER = "/etc/dosong"
_ENROL = """make this machine a probe: keys are made here, the claim file says once who it is and is wiped

Cut off at any point (power, link, an office that has not armed the claim yet) it goes on when it is run again. At the
end it shows six digits: read them to the office, which confirms them; until then records are kept but not counted."""


def add_parsers(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Register both commands; they need no settings file."""
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


def _enrol(_settings: object, arguments: argparse.Namespace) -> int:
    try:
        done = enrol.enrol(arguments.claim, arguments.folder, arguments.interface, arguments.wait)
    except Refused as error:
        sys.stderr.write(f"dosong-probe: {error}\n")
        return EXIT_FAILED
    digits = f"{done.fingerprint[:3]} {done.fingerprint[3:]}"
    sys.stdout.write(f"{done.probe} is enrolled. Read these digits to the office: {digits}\n")
    if not done.is_wiped:
        sys.stderr.write(f"dosong-probe: {arguments.claim} could not be wiped; delete it by hand\n")
    return EXIT_OK


def _fingerprint(_settings: object, arguments: argparse.Namespace) -> int:
    probe, digits = enrol.fingerprint(arguments.folder)
    sys.stdout.write(f"{probe} {digits[:3]} {digits[3:]}\n")
    return EXIT_OK
