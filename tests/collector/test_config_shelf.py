"""Signed configurations reach the broker, retained: at once, and again when the broker forgot them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector.config_shelf import ConfigShelf
from tests.collector.conftest import Bench
from tests.collector.kit import until
from wire import topics

pytestmark = pytest.mark.services


def lay(folder: Path, name: str, note: bytes) -> None:
    """As provisioning does: written aside, renamed into place."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{name}.new"
    aside.write_bytes(note)
    aside.replace(folder / name)


class Listener:
    """Everybody's configurations as the broker hands them out."""

    def __init__(self, port: int) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self.seen.append((message.topic, message.payload))
        self._client.on_connect = lambda client, *_: client.subscribe("dosong/v1/config/+", 1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(bench: Bench) -> Iterator[Listener]:
    made = Listener(bench.broker.port)
    yield made
    made.close()


def test_configs_are_published_at_once_and_again_to_a_broker_that_forgot(bench: Bench, listener: Listener) -> None:
    folder = bench.deployment.state / "config"
    lay(folder, "p-one.note", b"first")
    bench.receiving()
    one, two = topics.config("p-one"), topics.config("p-two")
    until(lambda: (one, b"first") in listener.seen)
    lay(folder, "p-two.note", b"other")
    until(lambda: (two, b"other") in listener.seen)
    lay(folder, "p-one.note", b"second")
    until(lambda: (one, b"second") in listener.seen)
    assert len(listener.seen) == 3, "what did not change is not sent again"
    bench.broker.kill()
    listener.seen.clear()
    bench.broker.start()
    until(lambda: {(one, b"second"), (two, b"other")} <= set(listener.seen), 30, "both come again")


def test_only_notes_of_probes_are_taken(tmp_path: Path) -> None:
    shelf = ConfigShelf(tmp_path / "config")
    assert shelf.due() == [], "no folder yet"
    for name, note in (("p-one.note", b"x"), ("P ONE.note", b"x"), ("p-two.note", bytes(20_000)), ("p-six.new", b"x")):
        lay(tmp_path / "config", name, note)
    assert shelf.due() == [("p-one", b"x")]
    assert shelf.due() == [("p-one", b"x")], "due until it was handed over"
    shelf.done("p-one")
    assert shelf.due() == []
    shelf.reset()
    assert shelf.due() == [("p-one", b"x")]
