"""One connection to the MQTT broker, on paho-mqtt 2, read only when there is room for what comes.

A new object for each connection: an acknowledgement can only leave by the connection that its message came in on,
for the object of an older one has no socket any more. (Late acks on a new session delete its messages: measured.)
paho's own loops would read without bound; `read` takes what has arrived, up to a limit, and leaves the rest in the
socket, so that a slow disk holds back the broker and not our memory.
Source: MQTT 3.1.1, [MQTT-4.6.0-2]; facts note 04 §1a, §1e, §3.
"""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode, MQTTProtocolVersion

from collector.core.pace import Pace
from collector.core.packets import Incoming, Malformed, Rest, cut
from collector.settings import BrokerSettings, Settings
from wire import topics
from wire.errors import Misconfigured, Unavailable

MAX_GROUP_MESSAGES = 1000
MAX_GROUP_BYTES = 1 * 1024 * 1024
"""Two groups may be held at once: the opener has the newer one while the other is committed."""
MAX_IN_FLIGHT = 200
STATUS_QOS = 0
"""Retained anyway: a cluster keeps a queue for each subscription with PUBACKs, and makes it anew at each connection."""
READ_BYTES = 64 * 1024
LINGER_S = 0.002
"""How long a group may go on growing when the one before it can be committed: so long a broker takes to send on."""
MAX_ID, SECRET_DIGITS = 64, 16


class BufferedClient(Client):
    """paho's client with three of its costs taken away: a system call for every byte of a header and for every PUBACK,
    and a dozen calls for every PUBLISH.

    Bytes from the socket gather here until a packet is whole: at most `READ_BYTES` and one packet. PUBLISH is
    read by `core.packets`, all the rest by paho, a whole packet at a time. Written against paho-mqtt 2.2; the tests of
    this module fail if its inside changes.
    """

    _chunk = b""
    _at = 0
    _rest = Rest.PART

    @property
    def has_packet(self) -> bool:
        """Whether there may be a whole packet that was read from the socket and not yet taken."""
        return self._rest is not Rest.PART

    def take(self, messages: int, size: int) -> list[Incoming]:
        """Read once from the socket if no packet is whole; return what is then, up to `messages` and `size` bytes.

        Another packet than PUBLISH ends it and is done with. If the connection is lost it is closed.
        """
        found: list[Incoming] = []
        try:
            if self.has_packet or self._fill():
                found, self._at, self._rest = cut(self._chunk, self._at, messages, size)
        except OSError:
            self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except Malformed:
            self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        if self._rest is Rest.OTHER:
            code = self._packet_read()
            if code > 0:
                self._loop_rc_handle(code)
        return found

    def _fill(self) -> bool:
        """Read from the socket behind what is held; False if there is nothing. Raises OSError."""
        try:
            more = super()._sock_recv(READ_BYTES)
        except BlockingIOError:
            return False
        if not more:
            raise ConnectionResetError("the broker hung up")
        self._chunk, self._at = self._chunk[self._at :] + more, 0
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        return True

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads a packet from, which is whole."""
        found = self._chunk[self._at : self._at + bufsize]
        if not found:
            raise BlockingIOError
        self._at += len(found)
        return found

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Send the PUBACKs of these packets in order, by one write."""
        if mids:
            self._packet_queue(
                MessageType.PUBACK, b"".join(_PUBACK.pack(MessageType.PUBACK, 2, mid) for mid in mids), 0, 0
            )


_PUBACK = struct.Struct("!BBH")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Read the TLS files of the settings; None if the broker is reached without TLS. Raises Misconfigured."""
    broker = settings.broker
    if broker.ca_file is None or broker.cert_file is None or broker.tls_key_file is None:
        return None
    ca, cert, key = (settings.path(p) for p in (broker.ca_file, broker.cert_file, broker.tls_key_file))
    for name, path in (("ca_file", ca), ("cert_file", cert), ("tls_key_file", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise Misconfigured(f"broker.{name}: cannot read {path} ({error.strerror}); correct the path") from error
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise Misconfigured(
            f"broker: {ca.name}, {cert.name} and {key.name} do not belong together or are no PEM files"
            f" ({error.reason}); make them again with dosong-provision"
        ) from error
    return context


class NotLetIn(Unavailable):
    """The broker answers and does not let us in: waiting alone will not help, a person must look."""


class _Waiting:
    """How long more of a backlog is waited for: until an answer is there, and a moment behind it."""

    def __init__(self, answer: int, end_s: float) -> None:
        self.for_it = [answer]
        self._end_s = end_s

    def left_s(self) -> float:
        """Seconds from now; 0 or less when it is time to go on."""
        now_s = time.monotonic()
        if self.for_it and select.select(self.for_it, [], [], 0)[0]:
            self.for_it, self._end_s = [], min(self._end_s, now_s + LINGER_S)
        return self._end_s - now_s


class Connection:
    """A connection that is open or was. Not safe for several threads."""

    def __init__(
        self, broker: BrokerSettings, tls: ssl.SSLContext | None, worker: str | None = None, tls_key: Path | None = None
    ) -> None:
        """Connect. `tls_key`: see `_session_id`. Raises Unavailable with one sentence if the broker is not reached."""
        self.subscribed = False
        self._parts: frozenset[int] | None = None if worker is None else frozenset()
        self.refused: str | None = None
        self._qos = broker.records_qos
        self.in_flight = 0
        self._incoming: list[Incoming] = []
        self._bytes = 0
        self._pace = Pace()
        self._client = BufferedClient(
            CallbackAPIVersion.VERSION2,
            client_id=_session_id(broker, tls_key, worker),
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            transport="unix" if broker.socket else "tcp",
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = _send_at_once
        self._client.max_inflight_messages_set(MAX_IN_FLIGHT)
        if tls is not None:
            self._client.tls_set_context(tls)
        try:
            self._client.connect(broker.socket or broker.host or "", broker.port, broker.keepalive_s)
        except (OSError, ValueError) as error:
            raise _unreached(broker, error) from error

    @property
    def alive(self) -> bool:
        """Whether the socket is still open."""
        return self._client.socket() is not None

    def read(self, wait_s: float, answer: int | None = None) -> list[Incoming]:
        """Wait up to `wait_s` for something to read or write, then take all that has arrived, up to one group.

        `answer`: a descriptor that what was taken before waits for. Until something can be read from it, this group
        may as well become full: a broker that sends a backlog needs a moment each time that its socket is empty.
        """
        waiting = None if answer is None else _Waiting(answer, time.monotonic() + wait_s)
        is_ready = self._ready(wait_s) if waiting is None else self._more(waiting)
        if is_ready and waiting is None and (linger_s := self._pace.linger_s()):
            time.sleep(linger_s)
        while is_ready:
            found = self._client.take(MAX_GROUP_MESSAGES - len(self._incoming), MAX_GROUP_BYTES - self._bytes)
            self._incoming += found
            self._bytes += sum(len(one.payload) for one in found)
            has_room = len(self._incoming) < MAX_GROUP_MESSAGES and self._bytes < MAX_GROUP_BYTES
            is_ready = has_room and (self._ready(0) if waiting is None else self._more(waiting))
        self.keep_alive()
        taken, self._incoming, self._bytes = self._incoming, [], 0
        self._pace.saw(len(taken), time.monotonic())
        return taken

    def keep_alive(self) -> None:
        """Send what is waiting and the pings that are due, without reading."""
        if self.alive and self._client.want_write():
            self._client.loop_write()
        if self.alive:
            self._client.loop_misc()

    def acknowledge(self, taken: list[Incoming]) -> None:
        """Send the PUBACKs of what this connection brought, in order; none if it has been lost meanwhile."""
        if self.alive:
            self._client.acknowledge([incoming.mid for incoming in taken if incoming.qos > 0])

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Publish at QoS 1; False if the window is full or the connection is gone."""
        if not self.alive or self.in_flight >= MAX_IN_FLIGHT:
            return False
        if self._client.publish(topic, payload, qos=1, retain=retain).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self.in_flight += 1
        return True

    def follow(self, parts: frozenset[int]) -> None:
        """Be sent the records of these partitions, and of no others: of a worker among several."""
        before = self._parts or frozenset()
        if not self.alive or not self.subscribed or parts == before:
            return
        self._parts = parts
        if parts - before:
            self._client.subscribe([(topics.up_filter(part), self._qos) for part in sorted(parts - before)])
        if before - parts:
            self._client.unsubscribe([topics.up_filter(part) for part in sorted(before - parts)])

    def close(self) -> None:
        """Say goodbye, if anyone still listens."""
        self._client.disconnect()

    def _ready(self, wait_s: float) -> bool:
        sock: Any = self._client.socket()
        if sock is None:
            return False
        if self._client.has_packet or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        wanting = [sock] if self._client.want_write() else []
        readable, writable, _ = select.select([sock], wanting, [], wait_s)
        if writable:
            self._client.loop_write()
        return bool(readable) and self.alive

    def _more(self, waiting: _Waiting) -> bool:
        """Whether there is something to read now, or comes while the answer does not."""
        while not self._ready(0):
            sock: Any = self._client.socket()
            left_s = waiting.left_s()
            if sock is None or left_s <= 0:
                return False
            select.select([sock, *waiting.for_it], [], [], left_s)
        return True

    def _on_connect(self, client: Client, _userdata: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self.refused = (
                f"broker refuses the collector ({reason}); correct allow_anonymous or the users in its settings"
            )
        else:
            ups = [] if self._parts is not None else [(topics.UP_FILTER, self._qos)]
            client.subscribe([*ups, (topics.STATUS_FILTER, STATUS_QOS)])

    def _on_subscribe(self, _client: Client, _userdata: object, _mid: int, reasons: Any, _properties: object) -> None:
        if any(reason.is_failure for reason in reasons):
            self.refused = "broker refuses the collector's subscription to dosong/v1/up/#; correct its acl_file"
        else:
            self.subscribed = True

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._incoming.append(Incoming(message.mid, message.qos, topic, bytes(message.payload)))
        self._bytes += len(message.payload)

    def _on_publish(self, _client: Client, _userdata: object, _mid: int, _reason: object, _properties: object) -> None:
        self.in_flight -= 1


def _session_id(broker: BrokerSettings, tls_key: Path | None, worker: str | None) -> str:
    """Return our MQTT client id: with a TLS key, behind the name what only its holder can say.

    A cluster takes any id and throws an elder session of the same one out (decision 0042). Raises OSError.
    """
    name = broker.client_id if worker is None else f"{broker.client_id}.{worker}"
    if tls_key is None:
        return name[:MAX_ID]
    secret = hashlib.sha256(b"dosong client id 1" + tls_key.read_bytes()).hexdigest()[:SECRET_DIGITS]
    return f"{name[: MAX_ID - SECRET_DIGITS - 1]}.{secret}"


def _send_at_once(_client: Client, _userdata: object, sock: Any) -> None:
    """A PUBACK and the signed ACK behind it are two small writes: held together by Nagle they would wait 40 ms."""
    if sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _unreached(broker: BrokerSettings, error: Exception) -> Unavailable:
    """Why there is no connection, and what to do about it."""
    at = where(broker)
    why = getattr(error, "strerror", None) or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotLetIn(
            f"broker at {at} shows a certificate that {broker.ca_file} does not vouch for ({error.verify_message});"
            " put the deployment's ca.crt there, renew the broker's certificate if it expired, check the clock here"
        )
    if isinstance(error, ssl.SSLError):
        return NotLetIn(
            f"broker at {at} does not speak TLS with us ({why}); correct broker.port and the broker's listener"
        )
    if isinstance(error, PermissionError):
        return NotLetIn(f"broker at {at}: {why}; put this account into the group that owns the socket")
    if isinstance(error, socket.gaierror):
        return NotLetIn(f"broker.host {broker.host} is not found ({why}); correct it, or this machine's name server")
    name = "broker.socket" if broker.socket else "broker.host and broker.port"
    return Unavailable(f"broker at {at} does not answer ({why}); start mosquitto, or correct {name}")


def hung_up(broker: BrokerSettings) -> Unavailable:
    """What it means that a broker closes a connection before it lets us in."""
    at = f"broker at {where(broker)} hangs up before it lets us in"
    if broker.others:
        return Unavailable(f"{at}, as a node does while its cluster elects a leader; if none lets us in, see its log")
    return NotLetIn(
        f"{at}; correct [broker], or make cert_file and tls_key_file anew with dosong-provision; the broker's log"
        " says more"
    )


def where(broker: BrokerSettings) -> str:
    """The broker's address as a person would write it."""
    return broker.socket or f"{broker.host}:{broker.port}"
