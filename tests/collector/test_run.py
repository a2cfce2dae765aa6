"""`dosong-collector run`: one command, children that come back, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from collector.supervise import backoff_s
from tests.collector.kit import Deployment, FakeProbe, Field, Influx, Mosquitto, Service, free_port, until

pytestmark = pytest.mark.services


class Whole:
    """Broker, InfluxDB and one supervised collector."""

    def __init__(self, folder: Path, influx: Influx) -> None:
        self.one = FakeProbe("p-one")
        self.broker = Mosquitto(folder)
        self.port = free_port()
        self.deployment = Deployment(
            folder,
            f'socket = "{self.broker.socket}"',
            self.one,
            influx=f'url = "http://127.0.0.1:{influx.port}"\napi = "v1"\ndatabase = "dosong"',
            web=f'secret_file = "web.secret"\nbind = "127.0.0.1:{self.port}"',
        )
        self.run = self.deployment.program("run")
        self.broker.start()
        self.field = Field(self.broker.port, self.deployment.ack_signer.verifier, self.one)

    def page(self) -> int | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return None

    def started(self, name: str) -> list[int]:
        """Process ids under which a child was started, oldest first."""
        return [int(pid) for pid in re.findall(rf"{name} started pid=(\d+)", self.run.text())]

    def close(self) -> None:
        self.field.close()
        self.run.stop()
        self.broker.stop()


@pytest.fixture
def whole(tmp_path: Path, influx: Influx) -> Iterator[Whole]:
    made = Whole(tmp_path, influx)
    yield made
    made.close()


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_everything_comes_back_and_ends_together(whole: Whole) -> None:
    whole.run.start()
    until(lambda: "connected" in whole.run.text() and whole.page() == 200)
    whole.field.send("p-one", whole.one.test())
    until(lambda: whole.field.upto("p-one") == 0)
    for name in ("receive", "forward", "web"):
        os.kill(whole.started(name)[-1], signal.SIGKILL)
    until(lambda: all(len(whole.started(name)) == 2 for name in ("receive", "forward", "web")))
    until(lambda: whole.run.text().count("connected") == 2 and whole.page() == 200)
    whole.field.send("p-one", whole.one.test())
    until(lambda: whole.field.upto("p-one") == 1)
    until(lambda: whole.deployment.call("status", "--json").returncode == 0)
    assert whole.deployment.call("reconcile").returncode == 0
    children = [whole.started(name)[-1] for name in ("receive", "forward", "web")]
    assert whole.run.stop() == 0
    assert all(_gone(pid) for pid in children)
    ended = re.findall(r"(\w+) ended \(signal 9\); started again in 0.5 s", whole.run.text())
    assert sorted(ended) == ["forward", "receive", "web"]


def test_a_killed_supervisor_leaves_no_child(whole: Whole) -> None:
    whole.run.start()
    until(lambda: "connected" in whole.run.text() and whole.page() == 200)
    process = whole.run.process
    assert process is not None
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4  # gunicorn has a worker of its own
    whole.run.kill()
    until(lambda: all(_gone(child.pid) for child in family))


def test_a_taken_port_is_one_sentence_and_78(whole: Whole) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", whole.port))
        other.listen()
        for command in ("run", "web"):
            done = whole.deployment.call(command)
            assert done.returncode == 78
            assert "stop the program that uses it" in done.stderr.splitlines()[-1]


def test_a_missing_key_ends_the_whole_with_78(whole: Whole) -> None:
    (whole.deployment.folder / "ack.key").unlink()
    done = whole.deployment.call("run")
    assert done.returncode == 78
    assert done.stderr.count("cannot read key file") == 1


def test_a_missing_web_secret_is_78(whole: Whole) -> None:
    (whole.deployment.folder / "web.secret").unlink()
    done = whole.deployment.call("web")
    assert done.returncode == 78
    assert "web.secret" in done.stderr


def test_a_broker_that_is_away_is_said_and_waited_for(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, f'socket = "{tmp_path}/none.sock"', FakeProbe())
    receive: Service = deployment.program("receive")
    receive.start()
    until(lambda: "start mosquitto, or correct broker.socket" in receive.text())
    assert receive.stop() == 0


def test_the_wait_between_deaths_grows_to_its_limit() -> None:
    assert [backoff_s(n) for n in (1, 2, 3, 7, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_forward_waits_for_a_ledger_that_is_not_there_yet(tmp_path: Path, influx: Influx) -> None:
    base = f'url = "http://127.0.0.1:{influx.port}"\napi = "v1"\ndatabase = "dosong"'
    forward = Deployment(tmp_path, 'socket = "x"', influx=base).program("forward")
    forward.start()
    until(lambda: "start dosong-collector receive" in forward.text())
    assert forward.stop() == 0
