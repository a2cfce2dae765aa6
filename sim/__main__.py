"""Command line of the field simulator: `dosong-sim core|site|demo|history|check|walk|fleet|witness ...`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence

from sim import site_cli
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, DosongError, Misconfigured

_DESCRIPTION = """\
The field simulator: 4G sites with a shaped link, a modem that speaks AT and a real gpsd, as many as you like,
each in a network namespace of its own that ends with the process that holds it.
"""
_EPILOG = """\
examples:
  dosong-sim site up ban-lung --down 20mbit --up 8mbit      a site; its core is started with it
  dosong-sim site exec ban-lung -- ip route                 look around in it
  dosong-sim site service ban-lung off                      lose the network, as in a storm
  dosong-sim site list                                      what is up
  dosong-sim core down --all                                end everything of this run

exit status: 0 done, 1 it failed, 2 wrong usage, 78 this machine or user does not allow it
"""
# Commands that live in modules of their own; each offers add_parser(subparsers) and sets `run`, options -> exit status.
_PLUGINS = ("demo", "history", "check", "walk", "fleet", "witness")


def parser(first_word: str | None = None) -> argparse.ArgumentParser:
    """The command line. Modules of other commands are imported only if `first_word` may mean one of them."""
    top = argparse.ArgumentParser(
        prog="dosong-sim",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    site_cli.add_parser(commands)
    for name in () if first_word in site_cli.COMMANDS else _PLUGINS:
        if importlib.util.find_spec(f"sim.{name}"):
            importlib.import_module(f"sim.{name}").add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows `--` belongs to the command run in a site, options included.
    end = words.index("--") if "--" in words else len(words)
    options = parser(next(iter(words), None)).parse_args(words[:end], argparse.Namespace(after_dashes=words[end + 1 :]))
    try:
        status: int = options.run(options)
    except Misconfigured as error:
        print(f"dosong-sim: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except DosongError as error:
        print(f"dosong-sim: {error}", file=sys.stderr)
        return EXIT_FAILED
    return status


if __name__ == "__main__":
    sys.exit(main())
