"""UDP echo: the latency side of the point. At most 64 bytes and never more than came, so it amplifies nothing.

A reply leaves from the address that the request was sent to (IP_PKTINFO): on a machine with several links the
kernel would otherwise choose the outgoing link's address, and a connected client would not see its answer.
Source: ip(7), ipv6(7).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

ECHO_LIMIT_BYTES = 64
_RECEIVE_BYTES = 2048
_IP_PKTINFO = 8
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)


def want_destination(sock: socket.socket) -> None:
    """Ask the kernel to tell, with each datagram, the address it was sent to."""
    if sock.family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def answer_waiting(sock: socket.socket, most: int, may_answer: Callable[[bytes, str], bool]) -> int:
    """Answer up to `most` waiting datagrams of a non-blocking socket, if `may_answer(datagram, source address)`.

    Returns how many were answered.
    """
    answered = 0
    for _ in range(most):
        try:
            datagram, ancillary, _flags, sender = sock.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
            if not may_answer(datagram, sender[0]):
                continue
            sock.sendmsg([datagram[:ECHO_LIMIT_BYTES]], _reply_from(ancillary), 0, sender)
        except BlockingIOError:
            break
        except OSError:  # an ICMP error of an earlier reply, or a sender without a route
            continue
        answered += 1
    return answered


def _reply_from(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """The same destination as a source: interface left to routing, address kept."""
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return [(level, kind, bytes(4) + value[4:8] + bytes(4))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return [(level, kind, value)]
    return []
