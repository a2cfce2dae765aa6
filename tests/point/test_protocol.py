"""Request heads as tables: what is answered, what is refused, and that nothing else can happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from point.protocol import IMAGE_BYTES, BadRequest, Reply, Request, Site, answer, parse_head, refusal

LIMIT = 1 << 20
SITE = Site({"status": "ok"}, "198.18.1.2")


def _get(path: str, method: str = "GET") -> Reply:
    return answer(parse_head(f"{method} {path} HTTP/1.1\r\nHost: point:7480".encode(), LIMIT), SITE)


def test_a_head_becomes_a_request() -> None:
    head = b"POST http://www.speedtest.net/speedtest/upload.php?x=1.0 HTTP/1.1\r\nHost: a.b:80\r\nContent-Length: 7"
    assert parse_head(head, LIMIT) == Request("POST", "/speedtest/upload.php", "a.b:80", 7, True, False, "x=1.0")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET / HTTP/2", 400),
        (b"GET nowhere HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nHost : a", 400),
        (b"GET / HTTP/1.1\r\n folded: a", 400),
        (b"DELETE / HTTP/1.1", 405),
        (b"POST /speedtest/upload.php HTTP/1.1", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1_0", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1048577", 413),
    ],
)
def test_a_bad_head_is_refused_with_its_status(head: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(head, LIMIT)
    assert caught.value.status == status


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_bad_one(head: bytes) -> None:
    try:
        request = parse_head(head, LIMIT)
    except BadRequest:
        return
    assert answer(request, SITE).status in (200, 404)


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/", 200, b'upload_extension: "php"'),
        ("/speedtest/latency.txt?x=1", 200, b"\r\n\r\ntest=test"),
        ("/speedtest/upload.php", 200, b"\r\n\r\nsize=0"),
        ("/dosong-portal-check", 200, b"\r\n\r\ndosong point v1: this link reaches the internet\n"),
        ("/health", 200, b'{"status": "ok", "history": {}}'),
        ("/speedtest-config.php", 200, b'ip="198.18.1.2"'),
        ("/speedtest-servers-static.php", 200, b'url="http://point:7480/speedtest/upload.php"'),
        ("/speedtest/random350x500.jpg", 404, b"not found"),
        ("/speedtest/random351x351.jpg", 404, b"not found"),
        ("/../etc/passwd", 404, b"not found"),
    ],
)
def test_each_page_says_what_the_client_looks_for(path: str, status: int, part: bytes) -> None:
    reply = _get(path)
    assert reply.status == status
    assert part in reply.head
    assert reply.image_bytes == 0


def test_images_have_ooklas_sizes_and_head_requests_have_no_body() -> None:
    for pixels, size_bytes in IMAGE_BYTES.items():
        path = f"/speedtest/random{pixels}x{pixels}.jpg"
        assert _get(path).image_bytes == size_bytes
        assert f"Content-Length: {size_bytes}\r\n".encode() in _get(path).head
        assert _get(path, "HEAD").image_bytes == 0
    assert _get("/", "HEAD").head.endswith(b"\r\n\r\n")


def test_a_hostile_host_does_not_reach_the_server_list() -> None:
    reply = answer(parse_head(b'GET /speedtest-servers-static.php HTTP/1.1\r\nHost: "><x', LIMIT), SITE)
    assert b'url="http://localhost/speedtest/upload.php"' in reply.head


def test_a_busy_point_says_when_to_come_back() -> None:
    assert b"Retry-After: 30\r\n" in refusal(503).head
