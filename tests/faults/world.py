"""The real programs under faults: mosquitto with certificates, influxd, the collector's programs, a fleet of probes.

Everything lies in one folder and listens on loopback. The deployment is dosong-provision's own: the broker's settings,
access list and certificates are those of the field.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.health import now_ms, read_health
from collector.leaves import LedgerLeaves
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.seal_store import SealReader
from collector.settings import Settings, read_settings
from provisioning import deployment
from tests.collector.kit import Influx, Service, free_port
from wire import tlog
from wire.errors import Unavailable
from wire.note import parse_vkey

ROOT = Path(__file__).parents[2]
ORIGIN = "dosong.example"
SITE, REFERRAL, HAMLET, COMMUNE = "s-one", "TN1", "h-dong-chuoi", "05755"
RESULTS = ROOT / "bench" / "results"


class World:
    """A deployment in a folder with its broker and InfluxDB. `probes`: how many stand in its registry."""

    def __init__(self, folder: Path, probes: int, every_s: int = 1) -> None:
        self.folder, self.root = folder, folder / "deployment"
        folder.chmod(0o755)
        (folder / "influx").mkdir()
        self.influx = Influx(folder / "influx")
        plan = deployment.Plan(
            ORIGIN, "127.0.0.1", free_port(), "127.0.0.1", f"127.0.0.1:{free_port()}",
            f"http://127.0.0.1:{self.influx.port}", "dosong", "root", False, folder / "c.sock",
        )  # fmt: skip
        self.made = deployment.init(self.root, plan, datetime.now(UTC))
        self.config = self.root / "collector" / "collector.toml"
        text = self.config.read_text()
        self.config.write_text(text.replace("[log]\n", f"[log]\nevery_s = {every_s}\n"))
        self.broker = Service(["mosquitto", "-c", str(self.root / "broker/mosquitto.conf")], folder / "mosquitto.log")
        self._enrol(probes)

    def _enrol(self, probes: int) -> None:
        names = [f"p-{number:05d}" for number in range(probes)]
        rows = []
        for name in names:
            deployment.add_probe(self.made, name, datetime.now(UTC))
            vkey = deployment.probe_vkey(self.made, name)
            rows.append({"id": name, "vkey": vkey, "site": SITE, "simulated": True})
        with closing(Registry(self.settings.registry)) as registry:
            registry.load(
                {
                    "provinces": [{"code": "19", "name": "Thái Nguyên"}],
                    "communes": [{"code": COMMUNE, "name": "Xã Phú Xuyên", "province": "19"}],
                    "hamlets": [{"code": HAMLET, "name": "Đồng Chuối", "kind": "xóm", "commune": COMMUNE}],
                    "sites": [
                        {"code": SITE, "hamlet": HAMLET, "name": "Nhà văn hóa", "lat_e7": 215_000_000,
                         "lon_e7": 1_058_000_000}
                    ],
                    "probes": rows,
                    "referrals": [{"code": REFERRAL, "unit": COMMUNE}],
                    "operators": [{"plmn": "45204", "name": "Viettel"}],
                    "quotas": [{"commune": COMMUNE, "minimum": 300, "rule": "từ 300 mẫu"}],
                }
            )  # fmt: skip

    @property
    def settings(self) -> Settings:
        return read_settings(self.config)

    @property
    def state(self) -> Path:
        return self.settings.state

    def start(self) -> None:
        """Start broker and InfluxDB."""
        self.influx.start()
        self.start_broker()

    def start_broker(self) -> None:
        (self.folder / "c.sock").unlink(missing_ok=True)
        self.broker.start()
        wait_for("mosquitto listens", (self.folder / "c.sock").exists, 30)

    def fleet(self, *words: str, name: str = "fleet") -> Fleet:
        """A fleet of this deployment's probes, started."""
        return Fleet(self, name, words)

    def keeper(self, kills: int = 0, *words: str) -> Keeper:
        """The collector's programs under a supervisor that kills them `kills` times at each named step."""
        return Keeper(self, ["--kills", str(kills), *words])

    def call(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one `dosong-collector` command to its end."""
        argv = [sys.executable, "-m", "collector", *words, "--config", str(self.config)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
        if check and done.returncode != 0:
            raise SystemExit(f"{' '.join(words)} failed: {done.stdout}{done.stderr}")
        return done

    def stop(self) -> None:
        for service in (self.broker, self.influx):
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.stop()


class Fleet:
    """The fleet's process: what it says of itself, and the truth once it ended."""

    def __init__(self, world: World, name: str, words: tuple[str, ...]) -> None:
        self.out = world.folder / name
        argv = [sys.executable, "-m", "sim", "swarm", "--dir", str(world.root), "--site", SITE, "--referral", REFERRAL]
        with (world.folder / f"{name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--out", str(self.out), *words], stdout=log, stderr=log, cwd=ROOT
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What it said last; all zero before it said anything."""
        try:
            found: dict[str, Any] = json.loads((self.out / "status.json").read_text())
        except FileNotFoundError:
            names = ("made", "acked", "sessions", "restored", "gen")
            found = dict.fromkeys(names, 0)
        if self.process.poll() not in (None, 0, 1):
            raise SystemExit(f"the fleet ended with {self.process.returncode}; see its log beside {self.out}")
        return found

    def finish(self, patience_s: float = 240) -> dict[str, Any]:
        """Have it make nothing more, wait until all is acknowledged; return its truth and last status."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(patience_s)
        truth: dict[str, Any] = json.loads((self.out / "truth.json").read_text())
        return {**truth, "all_acked": code == 0, "status": self.status()}

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Keeper:
    """The process that supervises the collector's programs and kills them as planned."""

    def __init__(self, world: World, words: list[str]) -> None:
        self.path = world.folder / "keeper.json"
        self.path.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "tests.faults.keeper", "--config", str(world.config), "--tell", str(self.path)]
        with (world.folder / "keeper.log").open("ab") as log:
            self.process = subprocess.Popen([*argv, *words], stdout=log, stderr=log, cwd=ROOT)
        self.log = world.folder / "collector.log"

    def kill(self) -> None:
        """SIGKILL to supervisor and programs at once, as a power cut would."""
        pids = [pid for pid in self.told()["pids"].values() if pid]
        self.process.kill()
        self.process.wait()
        for pid in pids:
            wait_for("the programs are gone", lambda p=pid: not Path(f"/proc/{p}").exists(), 10)

    def told(self) -> dict[str, Any]:
        """Kills so far by step, what is left, other ends."""
        if self.process.poll() is not None:
            raise SystemExit(f"the supervisor ended with {self.process.returncode}")
        try:
            found: dict[str, Any] = json.loads(self.path.read_text())
        except FileNotFoundError:
            found = {"kills": {}, "left": 1, "others": [], "pids": {}, "starts": 0}
        return found

    def close(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Witness:
    """Somebody who writes down every checkpoint that is ever public: the files, looked at 50 times a second."""

    def __init__(self, world: World) -> None:
        self._folder = world.settings.log_folder
        self.roots: dict[tuple[str, int], set[bytes]] = {}
        self.notes: dict[tuple[str, int], bytes] = {}
        self.unsigned: list[str] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        seen: dict[Path, int] = {}
        while not self._end.wait(0.02):
            for path in (self._folder / "checkpoint", *self._folder.glob("*/checkpoint")):
                with contextlib.suppress(OSError):
                    at = path.stat().st_mtime_ns
                    if seen.get(path) != at:
                        self._note(path.read_bytes())
                        seen[path] = at

    def _note(self, raw: bytes) -> None:
        origin, size, root = raw.decode().split("\n")[:3]
        self.roots.setdefault((origin, int(size)), set()).add(root.encode())
        self.notes[origin, int(size)] = raw

    def close(self) -> list[str]:
        """Stop watching; return what is wrong with what was seen: a size with two roots, a note that nobody signed."""
        self._end.set()
        self._thread.join()
        keys = {key.name: key for key in map(parse_vkey, (self._folder / "vkeys").read_text().split())}
        wrong = [f"{origin} size {size} has {len(r)} roots" for (origin, size), r in self.roots.items() if len(r) > 1]
        for (origin, _), raw in self.notes.items():
            tlog.open_checkpoint(raw, keys[origin])
        return wrong


def wait_for(what: str, is_so: Callable[[], Any], patience_s: float) -> Any:
    """Look ten times a second until `is_so()`; return what it gave. Ends the program after `patience_s`."""
    deadline_s = time.monotonic() + patience_s
    while not (found := is_so()):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"after {patience_s:.0f} s still not: {what}")
        time.sleep(0.1)
    return found


@contextmanager
def worlds(folder: Path, probes: int, **rest: Any) -> Iterator[World]:
    """A started world, stopped whatever happens."""
    world = World(folder, probes, **rest)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we started ends with us
    try:
        world.start()
        yield world
    finally:
        world.stop()
        signal.signal(signal.SIGTERM, before)


def is_sealed(world: World) -> bool:
    """Whether every record stands under a signed checkpoint of the newest log, and the sealer is well."""
    settings = world.settings
    try:
        with closing(SealReader(settings.seal)) as log, closing(LedgerLeaves(settings.ledger)) as rows:
            shard = log.shards()[-1]
            signed, runs, gen = log.last_checkpoint(shard.n), log.runs(shard.n), rows.generation()
            size = runs[-1].first_index + runs[-1].count if runs else 0
            last_n = log.last_n("record", gen)
            held = (log.base("record", gen) or 0) if last_n is None else last_n
            health = read_health(settings.state, now_ms()).seal
            well = health is not None and health.error is None
            return well and shard.gen == gen and held == rows.last_n() and size == (signed.size if signed else 0)
    except (Unavailable, IndexError):
        return False


def reader(world: World) -> LedgerReader:
    return LedgerReader(world.settings.ledger)


def is_root() -> bool:
    return os.geteuid() == 0
