"""`dosong-sim demo`: the whole way, shown live: three 4G sites, broker, ledger, InfluxDB, pages.

Prints each step and how long it took, then the addresses, then one line for each new sample. Ctrl-C ends everything;
a second start keeps the data; `--reset` drops it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sim import demo_cluster, demo_grafana, demo_seed, demo_world
from sim.demo_live import Cut, Feed, Quiet
from sim.demo_lock import Claim, claimed
from sim.demo_scene import PLACES, SHOW
from sim.demo_world import World
from sim.programs import ask_sudo
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, Misconfigured, Unavailable

LINKS = ("netns", "loopback")
NOT_ROOT = """\
The demonstration builds 4G links out of network namespaces, and only root may do that.
Run it as root (sudo make demo), or with less:  make demo LINK=loopback"""
DAMAGED = "If it fails like this again, what an earlier run kept may be damaged: make demo-reset drops it."
LOOPBACK_BANNER = """
  LINK=loopback: there is no 4G link here, so no sample can prove that it went over one. Every test from now on is
  marked `invalid_path`, and none is counted; rates are those of this machine's memory. Only the simulated month
  before now has counted samples, so that pages and reports have something to show. The real thing: make demo as root.
"""


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim demo`."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole way, shown live",
        description="Three simulated 4G sites and everything that carries their samples to a board. Ctrl-C ends it.",
        epilog="examples: dosong-sim demo | dosong-sim demo --link loopback (no root) | dosong-sim demo --broker nats",
    )
    parser.add_argument("--link", choices=LINKS, default="netns", help="netns needs root")
    parser.add_argument(
        "--broker", choices=demo_cluster.BROKERS, default="mosquitto", help="nats: three nodes instead of one mosquitto"
    )
    parser.add_argument("--dir", type=Path, default=Path("demo-data"), help="where data is kept (default demo-data)")
    parser.add_argument("--port", type=int, default=8080, help="port of the pages; another free one if taken")
    parser.add_argument("--minutes", type=float, default=0, help="end by itself after so many minutes (0: never)")
    parser.add_argument("--reset", action="store_true", help="drop what earlier runs kept, and end")
    parser.set_defaults(run=run)


class Steps:
    """Prints what is being done and how long each step took."""

    def __init__(self, out: Any = sys.stdout) -> None:
        self._out = out
        self._begin = time.monotonic()

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One step: its name now, its seconds when done."""
        self._out.write(f"  {text:<64}")
        self._out.flush()
        begin = time.monotonic()
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self.say("failed")
            raise
        self._out.write(f"{time.monotonic() - begin:6.1f} s\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """Print a line."""
        self._out.write(text + "\n")
        self._out.flush()

    def complain(self, text: str) -> None:
        """Print why it ends, where errors go; to nobody if nobody listens any more."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text + "\n")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin


def run(args: argparse.Namespace) -> int:
    """Run the demonstration until Ctrl-C."""
    steps = Steps()
    root = (args.dir / args.link).absolute()
    try:
        if args.reset:
            return reset(args.dir)
        _check(args.link, root)
        demo_cluster.check(args.broker, args.link)
        with claimed(root) as claim:
            return _run(root, args, steps, claim)
    except Misconfigured as error:
        steps.complain(str(error))
        return EXIT_MISCONFIGURED
    except Unavailable as error:
        steps.complain(f"{error}\n{DAMAGED}" if (root / "ready").exists() else str(error))
    except BrokenPipeError:
        # Whoever read our words has gone: nothing more is to be said, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        steps.complain(f"{where}{error.strerror or error}; another folder can be given with --dir")
    except KeyboardInterrupt:
        steps.complain("interrupted")
    return EXIT_FAILED


def _check(link: str, root: Path) -> None:
    """Raise Misconfigured if this user may not make the links, or if settings files could not name this folder."""
    if link == "netns" and os.geteuid() != 0:
        ask_sudo("Network namespaces need root (without root: make demo LINK=loopback)")
        raise Misconfigured(NOT_ROOT)
    if not str(root).isprintable() or set(str(root)) & set('"\\'):
        raise Misconfigured(f"{root} has a sign that settings files cannot carry; choose another folder: --dir")


def reset(folder: Path) -> int:
    """Drop what demonstrations kept in `folder`, and nothing else that lies there. Returns the exit status."""
    kept = [folder / link for link in LINKS if (folder / link).exists()]
    if any(path.stat().st_uid != os.geteuid() for path in kept) and os.geteuid() != 0:
        ask_sudo("What the demonstration kept belongs to root")
        raise Misconfigured(f"{folder} belongs to root: run `make demo-reset` as root")
    for root in kept:
        with claimed(root):
            shutil.rmtree(root)
    with contextlib.suppress(OSError):
        folder.rmdir()
    sys.stdout.write(f"dropped {folder}\n" if kept else f"there is nothing in {folder} to drop\n")
    return EXIT_OK


def _run(root: Path, args: argparse.Namespace, steps: Steps, claim: Claim) -> int:
    world = demo_world.make(root, args.link, SHOW, f"demo-{os.getpid()}", args.port, args.broker)
    claim.write([world.scratch, world.directory.path])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_interrupt)
    try:
        bring_up(world, steps)
        welcome(world, steps, args.port)
        live(world, steps, args.minutes * 60)
    except KeyboardInterrupt:
        # A terminal that was closed takes no more words.
        with contextlib.suppress(OSError):
            steps.say("\nstopping ...")
    finally:
        # Impatience must not leave anything behind: nothing below takes more than a few seconds.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        demo_world.stop(world)
    with contextlib.suppress(OSError):
        steps.say(f"everything has ended; the data is kept in {world.root} (make demo-reset drops it)")
    return EXIT_OK


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def bring_up(world: World, steps: Steps) -> None:
    """All the steps from nothing to three measuring sites."""
    steps.say("dosong demonstration: three 4G sites and the whole way of their samples")
    if world.link == "netns":
        with steps.step("core network (where broker and measurement point stand)"):
            demo_world.start_core(world)
    with steps.step("keys, certificates, settings, registry"):
        demo_world.provision(world)
    with steps.step("broker (TLS, access list), InfluxDB, point, collector"):
        demo_world.start_servers(world)
    if world.is_new:
        key = demo_world.ack_vkey(world)
        for place in PLACES:
            with steps.step(f"simulated history of {place.probe}, {world.pace.history_days} days, signed and sent"):
                demo_world.send_history(world, place, key)
        with steps.step("a disputed test, a weak spot, a hamlet head's sheet"):
            demo_seed.seed(world.web_url, world.root)
        (world.root / "ready").touch()
    for place in PLACES:
        rates = f"{place.downlink_bps // 1_000_000}/{place.uplink_bps // 1_000_000} Mbit/s"
        rates = rates if world.link == "netns" else "no link"
        with steps.step(f"site {place.name}: {rates}, {place.modem}, {place.rsrp_dbm:.0f} dBm, GPS"):
            demo_world.start_site(world, place)
            demo_world.start_probe(world, place)
    demo_grafana.start(world, steps.step)


def welcome(world: World, steps: Steps, wanted_port: int) -> None:
    """Tell where to look, and which ports are others than `wanted_port` (0: any) because those were taken."""
    steps.say(f"\n  ready after {steps.elapsed_s:.0f} s\n")
    web, influx = world.ports.web, world.ports.influx
    elsewhere = f"   (port {wanted_port} is taken)" if wanted_port not in {0, web} else ""
    steps.say(f"  pages      {world.web_url}    map, live feed, three doors; vi and en{elsewhere}")
    elsewhere = f"   (port {demo_world.INFLUX_PORT} is taken)" if influx != demo_world.INFLUX_PORT else ""
    steps.say(f"  InfluxDB   {world.influx_url}   database dosong{elsewhere}")
    for line in demo_grafana.instructions(world):
        steps.say(f"  {line}")
    _who(world, steps)
    if world.link == "loopback":
        steps.say(LOOPBACK_BANNER)
    steps.say(
        "  Each site tests once in 30 s here; in the field it is once in about 2.4 hours. Ctrl-C ends everything.\n"
    )


def _who(world: World, steps: Steps) -> None:
    """Tell who may log in here; the password is the demonstration's and works nowhere else."""
    steps.say(f"\n  Logins of this demonstration, password {demo_seed.PASSWORD} (guides: docs/vi, docs/en):")
    for name, who in demo_seed.LOGINS:
        steps.say(f"    {name:<9}  {who}")
    sheet = demo_seed.remembered(world.root)
    if sheet is not None:
        steps.say(f"    hamlet head, trưởng thôn: {world.web_url}{sheet.path}   PIN {sheet.pin}")
    steps.say("")


def live(world: World, steps: Steps, length_s: float) -> None:
    """Print new samples and play the loss of service, until Ctrl-C or `length_s` seconds (0: for ever)."""
    cut = Cut(world, world.pace, steps.say)
    feed = Feed(world.web_url)
    quiet = Quiet(world, steps.say)
    end = time.monotonic() + length_s if length_s else float("inf")
    while time.monotonic() < end:
        cut.play()
        for line in feed.lines():
            steps.say(f"  {line}")
        quiet.tell(feed.heard)
        for program in world.programs.ended():
            steps.say(f"  {program.name} ended (status {program.process.returncode}); starting it again")
            world.programs.restart(program.name)
        time.sleep(1)
