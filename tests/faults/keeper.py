"""Supervises receive, forward and seal as systemd would, and has each killed at named steps: a program of its own.

It loads the collector once and forks for every start, so that a restart takes milliseconds and a thousand of them fit
into minutes; what runs in the child is the program's own main, with its own plan in `DOSONG_KILL_AT`. A child that
never reaches its step is ended after a while and not counted. Without a plan left the programs run undisturbed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import collector.influx  # noqa: F401 (heavy: loaded once, here)
from collector import __main__ as program
from collector import failpoint
from collector.ledger_write import SqliteLedger
from collector.settings import read_settings

PROGRAMS = ("receive", "forward", "seal")
TOO_LONG_S = 60.0
PAUSE_S = (0.0, 0.15)
MOST_TIMES = {"receive.verified": 60, "receive.stored": 60, "receive.answered": 8}
"""A step that is reached for each record or probe is left at a drawn time out of so many; a sealer's at the first;
any other out of three."""
ONCE = frozenset({"seal.opened", "forward.redo_written"})


@dataclass(slots=True)
class Child:
    """One program: its life now, its plan, and how many kills each of its steps still has to see."""

    name: str
    left: Counter[str] = field(default_factory=Counter)
    pid: int = 0
    plan: str | None = None
    began_s: float = 0.0
    due_s: float = 0.0

    def next_plan(self) -> str | None:
        """The step for the next life, drawn among those with kills left; None: no kill."""
        waiting = [step for step, count in self.left.items() if count > 0]
        if not waiting:
            return None
        step = random.choice(waiting)
        times = 1 if step in ONCE or self.name == "seal" else random.randint(1, MOST_TIMES.get(step, 3))
        return f"{step}:{times}"


class Keeper:
    """All programs of one collector."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._config, self._tell, self._log = options.config, options.tell, options.tell.with_name("collector.log")
        steps = [step for step in failpoint.STEPS if step not in options.without]
        self._children = [
            Child(name, Counter({step: options.kills for step in steps if step.startswith(f"{name}.")}))
            for name in options.programs
        ]
        self._restored, self._clock = options.restored, options.clock
        self.kills: Counter[str] = Counter()
        self.others: list[str] = []
        self.starts = 0

    def run(self) -> None:
        """Supervise until SIGTERM."""
        stopping: list[int] = []
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
        told_s = 0.0
        while not stopping:
            for child in self._children:
                self._tend(child)
            if time.monotonic() - told_s > 0.3:
                self._say()
                told_s = time.monotonic()
            time.sleep(0.01)
        self._end()

    def _tend(self, child: Child) -> None:
        now_s = time.monotonic()
        if not child.pid:
            if now_s >= child.due_s:
                self._start(child)
            return
        ended, status = os.waitpid(child.pid, os.WNOHANG)
        if ended:
            self._note(child, status)
        elif child.plan is not None and now_s - child.began_s > TOO_LONG_S:
            child.plan = None  # not reached in this life: no kill that counts
            os.kill(child.pid, signal.SIGKILL)

    def _note(self, child: Child, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        step = (child.plan or "").partition(":")[0]
        if code == -signal.SIGKILL and step:
            self.kills[step] += 1
            child.left[step] -= 1
        elif code != -signal.SIGKILL:
            self.others.append(f"{child.name} {code}")
        child.pid, child.due_s = 0, time.monotonic() + random.uniform(*PAUSE_S)

    def _start(self, child: Child) -> None:
        child.plan, child.began_s = child.next_plan(), time.monotonic()
        self.starts += 1
        if self._restored and child.plan:
            _raise_generation(self._config)
        child.pid = os.fork()
        if child.pid == 0:
            _become(child.name, self._config, self._log, child.plan, self._clock)

    def _say(self) -> None:
        left = sum(max(0, count) for child in self._children for count in child.left.values())
        told = {
            "kills": self.kills, "left": left, "others": self.others, "starts": self.starts,
            "pids": {child.name: child.pid for child in self._children},
        }  # fmt: skip
        fresh = self._tell.with_name(self._tell.name + ".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(self._tell)

    def _end(self) -> None:
        living = [child for child in self._children if child.pid]
        for child in living:
            os.kill(child.pid, signal.SIGTERM)
        for child in living:
            os.waitpid(child.pid, 0)


def _raise_generation(config: Path) -> None:
    """Say that the ledger was put back from a backup, as `dosong-collector restored` does."""
    pid = os.fork()
    if pid == 0:
        ledger = SqliteLedger(read_settings(config).ledger)
        ledger.raise_generation()
        ledger.close()
        os._exit(0)
    os.waitpid(pid, 0)


def _play_clock(file: Path) -> None:
    """From now on `time.time` is off by what a file says: libfaketime would upset the interpreter's waits as well."""
    right = time.time
    time.time = lambda: right() + float(file.read_text())


def _become(name: str, config: Path, log: Path, plan: str | None, clock: Path | None) -> None:
    """In the forked child: be that program, and end with its status."""
    code = 70
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        random.seed()
        failpoint.arm(plan)
        if clock is not None:
            _play_clock(clock)
        program.main([name, "--config", str(config)], standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--tell", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--clock", type=Path, help="file with the seconds by which the programs' wall clock is off")
    parser.add_argument("--restored", action="store_true", help="before each such life the ledger is a restored one")
    parser.add_argument("--programs", nargs="*", default=PROGRAMS)
    Keeper(parser.parse_args()).run()


if __name__ == "__main__":
    main()
