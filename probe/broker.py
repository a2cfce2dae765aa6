"""One MQTT session at a time, by paho-mqtt: TLS with the probe's certificate, bound to one interface if asked to be.

A new client is made for each session, so nothing of an old one is sent again behind the spool's back and a renewed
certificate is taken up; all of paho runs in the one thread that calls `session`.
Source: MQTT 3.1.1; facts note 08 §4.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from probe.devices.bound import bind_to
from wire import topics
from wire.errors import Misconfigured, Unavailable

log = logging.getLogger(__name__)
CONNECT_TIMEOUT_S = 20.0
TURN_S = 0.5
FLUSH_S = 3.0
ANSWERS_QOS = 0
"""Of what comes to a probe: all of it is retained and repeated, so a lost one is made good without PUBACKs; and a
cluster keeps no queue of its own for each probe (docs/decisions/0041)."""
MOST_MESSAGE_BYTES = 262_144
"""Far above any acknowledgement, configuration or checkpoint."""
SECRET_DIGITS = 16
_FAILED = 0x80


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and with which files it is spoken to. `interface` None leaves the way to the routes.

    `client_id`: the probe's id; its session's is `session_id`. `others`: host and port of further brokers of one
    cluster, any of which does.
    """

    host: str
    port: int
    client_id: str
    keepalive_s: int
    interface: str | None
    ca_file: Path
    cert_file: Path
    key_file: Path
    others: tuple[tuple[str, int], ...] = ()

    def one_by_one(self, first: int) -> Iterator[Access]:
        """This access at each broker of its cluster in turn, from the `first` on."""
        places = ((self.host, self.port), *self.others)
        for number in range(len(places)):
            host, port = places[(first + number) % len(places)]
            yield replace(self, host=host, port=port, others=())


def session_id(access: Access) -> str:
    """Return the MQTT client id: the probe's, and behind it what only the holder of its TLS key can name.

    A broker throws an elder session of the same id out. mosquitto puts the certificate's name in its place; a cluster
    takes any id, so ours must not be one that others can say (docs/decisions/0042). Raises Misconfigured.
    """
    try:
        key = access.key_file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"broker.tls_key_file {access.key_file}: {_why(error)}; correct the path") from error
    return f"{access.client_id}.{hashlib.sha256(b'dosong client id 1' + key).hexdigest()[:SECRET_DIGITS]}"


class Session(Protocol):
    """What the publisher may do while a session stands."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message (QoS 1, not retained) to the broker."""
        ...

    @property
    def unconfirmed(self) -> int:
        """Messages for which no PUBACK came yet; it says nothing of what the ledger has."""
        ...


def tls_context(access: Access) -> ssl.SSLContext:
    """Read the certificates. Raises Misconfigured that names the file."""
    try:
        context = ssl.create_default_context(cafile=access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"broker.ca_file {access.ca_file}: {_why(error)}; put the deployment's ca.crt there"
        ) from error
    try:
        context.load_cert_chain(access.cert_file, access.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"broker.cert_file {access.cert_file} and broker.tls_key_file {access.key_file}"
        raise Misconfigured(f"{files}: {_why(error)}; make both with dosong-provision") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)


class _BoundClient(mqtt.Client):
    """paho, with its socket bound to an interface before it connects.

    paho has no public place for this: `on_socket_open` comes after the connection. This overrides the one method
    that makes the TCP socket (paho-mqtt 2.1 to 2.2); `connect` raises if a later paho no longer calls it.
    """

    interface: str | None = None
    was_bound = False

    def _packet_read(self) -> MQTTErrorCode:
        """Leave a broker that announces a message of megabytes: paho would hold it all, and the SIM pay for it."""
        code = super()._packet_read()
        is_too_big = self._in_packet["remaining_length"] > MOST_MESSAGE_BYTES
        return MQTTErrorCode.MQTT_ERR_PROTOCOL if is_too_big else code

    def _create_socket_connection(self) -> socket.socket:
        self.was_bound = True
        if self.interface is None:
            return super()._create_socket_connection()
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                bind_to(sock, self.interface)
                sock.settimeout(CONNECT_TIMEOUT_S)
                sock.connect(address)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem


class Connection:
    """One session: made by `connect`, driven by `turns`, ended by `close`; `release` must follow in any case."""

    def __init__(self, access: Access, on_message: Callable[[str, bytes], None]) -> None:
        self._access, self._on_message = access, on_message
        self._unconfirmed: set[int] = set()
        self._refusal: str | None = None
        self._subscribed = False
        self._extra: set[int] = set()
        self._client = self._make()

    def _make(self) -> _BoundClient:
        context = tls_context(self._access)
        client = _BoundClient(
            CallbackAPIVersion.VERSION2, session_id(self._access), clean_session=True, protocol=mqtt.MQTTv311
        )
        client.interface = self._access.interface
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.tls_set_context(context)
        client.will_set(topics.status(self._access.client_id), b"offline", topics.QOS, retain=True)
        client.on_connect, client.on_subscribe = self._connected, self._is_subscribed
        client.on_publish, client.on_message = self._confirmed, self._received
        return client

    @property
    def unconfirmed(self) -> int:
        """Messages for which no PUBACK came yet."""
        return len(self._unconfirmed)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker, QoS 1."""
        message = self._client.publish(topic, payload, topics.QOS, retain)
        if not message.is_published():
            self._unconfirmed.add(message.mid)

    def hear(self, topic: str) -> None:
        """Subscribe to one more topic; a broker that refuses it is said, and the session goes on."""
        _, mid = self._client.subscribe(topic, ANSWERS_QOS)
        if mid is not None:
            self._extra.add(mid)

    def leave(self, topic: str) -> None:
        """Unsubscribe from it."""
        self._client.unsubscribe(topic)

    def connect(self) -> None:
        """Connect and wait until the subscriptions stand. Raises Unavailable."""
        where = f"the broker {self._access.host}:{self._access.port}"
        try:
            self._client.connect(self._access.host, self._access.port, self._access.keepalive_s)
        except (OSError, ValueError) as error:
            raise Unavailable(f"{where} cannot be reached ({_why(error)}); check the link and that it runs") from error
        if not self._client.was_bound:
            raise Misconfigured("this paho-mqtt no longer lets its socket be bound; install paho-mqtt 2.2")
        until_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._subscribed:
            is_down = self._client.loop(TURN_S) != mqtt.MQTT_ERR_SUCCESS
            if self._refusal is not None:
                raise Unavailable(
                    f"{where} refused this probe ({self._refusal}); check its certificate and registration"
                )
            if is_down or time.monotonic() > until_s:
                raise Unavailable(f"{where} closed the connection; check this probe's certificate and the clock")
        self.publish(topics.status(self._access.client_id), b"online", retain=True)

    def turns(self) -> Iterator[None]:
        """Serve the connection; yields about twice a second until it is down."""
        while self._client.loop(TURN_S) == mqtt.MQTT_ERR_SUCCESS:
            yield

    def close(self) -> None:
        """Say goodbye: what was handed over goes out first, for 3 s at most."""
        self.publish(topics.status(self._access.client_id), b"offline", retain=True)
        until_s = time.monotonic() + FLUSH_S
        while self._unconfirmed and time.monotonic() < until_s:
            if self._client.loop(TURN_S) != mqtt.MQTT_ERR_SUCCESS:
                return
        self._client.disconnect()
        self._client.loop(TURN_S)

    def release(self) -> None:
        """Give the sockets back at once. paho closes its own only when its client is collected as garbage."""
        client = self._client
        client.on_connect = client.on_subscribe = client.on_publish = client.on_message = None
        del self._client

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
            return
        probe = self._access.client_id
        client.subscribe([(topics.ack(probe), ANSWERS_QOS), (topics.config(probe), ANSWERS_QOS)])

    def _is_subscribed(self, _client: Any, _data: Any, mid: int, codes: Any, _properties: Any) -> None:
        """SUBACK: a broker may take the connection and not the subscription, and no answer would ever come."""
        is_refused = any(code.value >= _FAILED for code in codes)
        if mid in self._extra:
            self._extra.discard(mid)
            if is_refused:
                log.warning("broker=refuses one topic: this probe may not hear the log; renew the broker's access list")
        elif is_refused:
            self._refusal = "it may not hear its own topics"
        else:
            self._subscribed = True

    def _confirmed(self, _client: mqtt.Client, _data: Any, mid: int, *_: Any) -> None:
        """A PUBACK: the broker has it, in memory. The spool must not hear of it."""
        self._unconfirmed.discard(mid)

    def _received(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # a broker that is broken or hostile must not end the program
            log.warning("broker=odd a message on a topic that is not UTF-8 is passed over")
            return
        self._on_message(topic, bytes(message.payload))
