"""docs/operations.md does what it says: its commands are run as printed, in order, against a real small deployment.

python -m tests.faults.operations     one minute; the last line is the `goal:` line

What a test machine has otherwise is put in their place: the three folders and the web's port stand elsewhere,
`systemctl` starts and stops the same program by hand, and `apt-get` installs nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from collector.ledger import LedgerReader
from collector.seal_store import SealReader
from tests.collector.kit import ORIGIN, Deployment, FakeProbe, Field, Influx, Mosquitto, free_port, running, until
from wire.keyfile import write_signer
from wire.note import Signer

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ROOT = PAGE.parents[1]
_BLOCK = re.compile(r"^## (?P<head>[^\n]+)$|^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SYSTEMCTL = """#!/bin/bash
# Starts and stops the collector as systemd would: `systemctl start|stop dosong-collector`.
case "$1" in
  start) setsid {python} -m collector run --config "$DOSONG_COLLECTOR_CONFIG" >>{log} 2>&1 </dev/null &
         echo $! >{pid} ;;
  stop) [ ! -e {pid} ] || {{ kill "$(cat {pid})"; while kill -0 "$(cat {pid})" 2>/dev/null; do sleep 0.1; done; }}
        rm -f {pid} ;;
  *) exit 2 ;;
esac
"""


def blocks() -> list[tuple[str, str]]:
    """The sh blocks of the page in order, each with the heading it stands under."""
    head, found = "", []
    for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        head = match["head"] or head
        if match["text"] is not None:
            found.append((head, match["text"]))
    return found


def poll(true: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes true within that time."""
    deadline_s = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return true()


class Site:
    """A deployment in one folder, and a shell in which the page's commands work."""

    def __init__(self, folder: Path, influx: Influx) -> None:
        self.folder = folder
        self.port = free_port()
        self.one = FakeProbe("p-one")
        self.broker = Mosquitto(folder)
        self.broker.start()
        (folder / "etc").mkdir()
        self.deployment = Deployment(
            folder, f'socket = "{self.broker.socket}"', self.one,
            influx=f'url = "http://127.0.0.1:{influx.port}"\napi = "v1"\ndatabase = "dosong"',
            web=f'secret_file = "../web.secret"\nbind = "127.0.0.1:{self.port}"\n'
                '[log]\nkey_file = "../log.key"\nevery_s = 1',
        )  # fmt: skip
        write_signer(folder / "log.key", Signer.generate(f"{ORIGIN}/log"))
        text = self.deployment.config.read_text().replace('"state"', '"../state"').replace('"ack.key"', '"../ack.key"')
        (folder / "etc" / "collector.toml").write_text(text)
        self.field = Field(self.broker.port, self.deployment.ack_signer.verifier, self.one)
        self._programs()

    def _programs(self) -> None:
        path = self.folder / "bin"
        path.mkdir()
        parts = {"python": sys.executable, "log": self.folder / "run.log", "pid": self.folder / "run.pid"}
        texts = {
            "systemctl": SYSTEMCTL.format(**parts),
            "dosong-collector": f'#!/bin/sh\nexec {sys.executable} -m collector "$@"\n',
            "apt-get": '#!/bin/sh\necho "apt-get $*"\n',
        }
        for name, text in texts.items():
            (path / name).write_text(text)
            (path / name).chmod(0o755)

    def placed(self, text: str) -> str:
        """The commands with the folders and the port of this test."""
        for printed, here in (
            ("/srv/dosong/collector/state", "state"), ("/srv/dosong/collector", "etc"), ("/backup", "backup"),
        ):  # fmt: skip
            text = text.replace(printed, str(self.folder / here))
        return text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "DOSONG_COLLECTOR_CONFIG": str(self.folder / "etc" / "collector.toml"),
        }
        script = f"set -euo pipefail\ncd {self.folder}\n{self.placed(text)}"
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=240, env=env, check=False)

    def held(self) -> int:
        reader = LedgerReader(self.folder / "state" / "ledger.db")
        try:
            return reader.last_n()
        finally:
            reader.close()

    def sealed(self) -> int:
        store = SealReader(self.folder / "state" / "seal.db")
        try:
            signed = [store.last_checkpoint(shard.n) for shard in store.shards()]
            return sum(one.size for one in signed if one is not None)
        finally:
            store.close()

    def send(self, count: int, what: str) -> None:
        """Records come in, and the log holds them."""
        wanted = self.held_safely() + count
        raws = [self.one.test() for _ in range(count)]

        def stored() -> bool:
            # As a probe does: what is not acknowledged is sent again, for the collector may still be starting.
            self.field.send("p-one", *raws)
            return bool(poll(lambda: self.held_safely() >= wanted, 2.0))

        until(stored, within_s=90, what=f"{what}: stored")

    def held_safely(self) -> int:
        return self.held() if (self.folder / "state" / "ledger.db").exists() else 0

    def close(self) -> None:
        self.run("systemctl stop dosong-collector")
        self.field.close()
        self.broker.stop()


def run_page(site: Site) -> int:
    """Run every block; returns how many there were. Fails naming the block that did not do what it says."""
    begun = site.run("systemctl start dosong-collector\n" + wait())
    assert begun.returncode == 0, begun.stdout + begun.stderr + (site.folder / "run.log").read_text()
    site.send(5, "first records")
    until(lambda: site.sealed() >= 5, within_s=90, what="sealed")
    for head, text in blocks():
        done = site.run(text)
        log = (site.folder / "run.log").read_text()[-3000:]
        assert done.returncode == 0, f"{head}:\n{text}\n{done.stdout}\n{done.stderr}\n{log}"
        print(f"{head}: {len(text.splitlines())} lines, as printed")
        if head == "Upgrade":
            site.send(3, "records behind the backup")
        if head == "Disaster":
            # The backup's five, and what a probe still holds: it sends again what the lower number asks for.
            until(lambda: site.held() >= 5, within_s=30, what="restored")
    checked = site.run("dosong-collector check")
    assert checked.returncode == 0, checked.stderr
    assert (site.folder / "state.broken" / "ledger.db").exists(), "what was there is moved away, never deleted"
    return len(blocks())


def wait() -> str:
    """The page's own words for waiting until everything is well."""
    line = re.search(r"^timeout .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    return line[0] + "\n"


def main() -> None:
    """Make a deployment, and do what the page says."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        influx = Influx(Path(beside))
        with running(influx), contextlib.closing(Site(Path(folder), influx)) as site:
            count = run_page(site)
    print(f"goal: docs/operations.md works as printed: {count} of {count} blocks of commands")


if __name__ == "__main__":
    main()
