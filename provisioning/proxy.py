"""nginx's configuration as text: pages, API and public log on a public certificate, the enrolment door on our own.

Browsers trust a certificate that was supplied or got by ACME; probes trust the deployment's root alone. Everything
behind is a unix socket, so that nginx's word on the visitor's address is the only one that counts.
Source: facts note 08 §5 (timeouts, limits), §2 (slow clients against gunicorn); nginx 1.22 (Debian 12) and later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wire.enrolment import MAX_BODY_BYTES, PREFIX
from wire.errors import Misconfigured

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]")
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]*")
_BIND = re.compile(r"(([0-9.]+|\[[0-9A-Fa-f:]+\]|\*):)?[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """What the configuration says. Paths are absolute; `acme` is the folder for ACME's answers by HTTP."""

    name: str
    certificate: Path
    key: Path
    enrol_name: str
    enrol_certificate: Path
    enrol_key: Path
    web_socket: Path
    enrol_socket: Path
    acme: Path
    http: str = "80"
    https: str = "443"
    enrol: str = "8443"


def check(proxy: Proxy) -> None:
    """Raise Misconfigured for anything that would be read as more than one word of nginx's language."""
    for what, name in (("--name", proxy.name), ("--enrol-name", proxy.enrol_name)):
        if _NAME.fullmatch(name) is None:
            raise Misconfigured(f"{what} {name!r}: give a plain host name, such as dosong.sokhcn.example")
    paths = (
        *(proxy.certificate, proxy.key, proxy.enrol_certificate, proxy.enrol_key),
        *(proxy.web_socket, proxy.enrol_socket, proxy.acme),
    )
    for path in paths:
        if _PATH.fullmatch(str(path)) is None:
            raise Misconfigured(f"{str(path)!r}: give an absolute path of letters, digits and . _ / @ + - only")
    for bind in (proxy.http, proxy.https, proxy.enrol):
        if _BIND.fullmatch(bind) is None:
            raise Misconfigured(f"{bind!r}: give a port, or ADDRESS:PORT")


def text(proxy: Proxy) -> str:
    """The file for /etc/nginx/conf.d/. Raises Misconfigured."""
    check(proxy)
    return _HEAD + _redirect(proxy) + _nobody(proxy) + _pages(proxy) + _door(proxy)


_HEAD = """\
# Written by dosong-provision proxy; run it again rather than change this file.
# Limits by address are sized for an operator's NAT, behind which many phones and probes have one address.
limit_conn_zone $binary_remote_addr zone=dosong_conn:10m;
limit_req_zone $binary_remote_addr zone=dosong_pages:10m rate=30r/s;
limit_req_zone $binary_remote_addr zone=dosong_login:10m rate=12r/m;
limit_req_zone $binary_remote_addr zone=dosong_enrol:10m rate=60r/m;
limit_req_status 429;
limit_conn_status 429;
server_tokens off;
# A client that sends slowly is cut off here; nothing behind waits for it.
client_header_timeout 5s;
client_body_timeout 10s;
send_timeout 10s;
keepalive_timeout 20s;
reset_timedout_connection on;
client_header_buffer_size 2k;
large_client_header_buffers 4 8k;
"""
_TLS = """\
    # In each server: what Debian's nginx.conf says for all of them would be added to, TLS 1.0 included.
    # TLS 1.2 and P-256 for Android 7, which knows neither TLS 1.3 nor, in 7.0, another curve.
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ecdh_curve X25519:prime256v1;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:\
ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384;
    ssl_session_cache shared:dosong:5m;
    ssl_session_tickets off;
"""
_PACKAGES = """\
    # Packages for probes, if this machine offers any: they are signed, whoever serves them.
    location /apt/ {
        alias /srv/dosong-apt/;
        limit_req zone=dosong_pages burst=200 nodelay;
    }
"""
_ONWARD = """\
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Connection "";
        # Set, not added to: what a visitor says of his own address is dropped.
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_connect_timeout 5s;
        proxy_read_timeout 60s;
"""


def _redirect(proxy: Proxy) -> str:
    return f"""
server {{
    listen {proxy.http};
    server_name {proxy.name};
    limit_conn dosong_conn 40;
    location ^~ /.well-known/acme-challenge/ {{
        root {proxy.acme};
        default_type text/plain;
    }}
    location / {{
        return 301 https://{proxy.name}$request_uri;
    }}
}}
"""


def _nobody(proxy: Proxy) -> str:
    return f"""
# Whoever asks for another name, or for an address, gets no answer.
server {{
    listen {proxy.https} ssl default_server;
    server_name _;
{_TLS}    ssl_certificate {proxy.certificate};
    ssl_certificate_key {proxy.key};
    return 444;
}}
"""


def _pages(proxy: Proxy) -> str:
    return f"""
server {{
    listen {proxy.https} ssl http2;
    server_name {proxy.name};
{_TLS}    ssl_certificate {proxy.certificate};
    ssl_certificate_key {proxy.key};
    client_max_body_size 64k;
    limit_conn dosong_conn 40;
    limit_req zone=dosong_pages burst=120 nodelay;
    # The application says the other headers itself, on every answer of its own.
    proxy_hide_header Strict-Transport-Security;
    add_header Strict-Transport-Security "max-age=31536000" always;

    location / {{
{_ONWARD}        proxy_pass http://unix:{proxy.web_socket};
    }}
    location = /login {{
        limit_req zone=dosong_login burst=20 nodelay;
{_ONWARD}        proxy_pass http://unix:{proxy.web_socket};
    }}
    # The one form with a photo: large, and slow on a hamlet's link.
    location ~ ^/accept/[a-z0-9-]+/photo$ {{
        client_max_body_size 13m;
        client_body_timeout 60s;
{_ONWARD}        proxy_pass http://unix:{proxy.web_socket};
    }}
    # The sealed log: auditors fetch thousands of tiles in a row; each is small and never changes.
    location /log/ {{
        limit_req zone=dosong_pages burst=2000 nodelay;
        gzip off;
{_ONWARD}        proxy_pass http://unix:{proxy.web_socket};
    }}
{_PACKAGES}    # Enrolment is not for browsers: it stands on its own port, with a certificate of our own root.
    location {PREFIX} {{
        return 404;
    }}
}}
"""


def _door(proxy: Proxy) -> str:
    return f"""
server {{
    listen {proxy.enrol} ssl default_server;
    server_name {proxy.enrol_name};
{_TLS}    ssl_certificate {proxy.enrol_certificate};
    ssl_certificate_key {proxy.enrol_key};
    client_max_body_size {MAX_BODY_BYTES};
    limit_conn dosong_conn 40;
    limit_req zone=dosong_enrol burst=60 nodelay;

    location / {{
        return 404;
    }}
    location ~ ^{PREFIX}/(claim|nonce|renew|rotate)$ {{
        limit_except POST {{
            deny all;
        }}
        proxy_request_buffering on;
{_ONWARD}        proxy_pass http://unix:{proxy.enrol_socket};
    }}
}}
"""
