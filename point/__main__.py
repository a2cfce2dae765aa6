"""`dosong-point`: the measurement point, the server that probes test against."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path

from point.desk import Identity
from point.server import SPARE_CONNECTIONS, Server
from point.settings import Settings, load, override
from wire.errors import EXIT_MISCONFIGURED, EXIT_OK, Misconfigured
from wire.keyfile import read_signer

_EPILOG = """examples:
  dosong-point                                   listen on every address, TCP and UDP port 7480
  dosong-point --bind 198.18.0.1 --port 8080     one address, another port
  dosong-point --port 0 --json-ready ready.json  any free port; ready.json says which, once listening
  dosong-point --config point.toml --log-level debug

what it serves:
  TCP  /v1/ticket, download, upload, receipt, echo: tests with a signed receipt (point/PROTOCOL.md); needs a key
       the mini server that speedtest-cli knows, /health (JSON), /dosong-portal-check (fixed body)
  UDP  an echo of at most 64 bytes, never more than was sent, at a limited rate or with a ticket's MAC

point.toml, to sign receipts (the key's name must be <origin>/point/<point>; paths are relative to the file):
  [point]
  origin = "dosong.example"
  point = "hn-1"
  key_file = "point.key"
  state_dir = "state"            # health history of a day; without it in memory only
  capacity_bps = 1000000000      # what the machine's link carries each way
  max_tests = 32                 # tests at once; the next is told when to come back
  tls_port = 7443                # the same over TLS, if you have a certificate; its files:
  tls_cert_file = "tls.pem"
  tls_key_file = "tls-key.pem"

exit status: 0 stopped by SIGTERM or SIGINT, 2 usage, 78 settings or port unusable"""


def main(argv: list[str] | None = None) -> int:
    """Run the point until a signal ends it; returns the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=arguments.log_level.upper(), format="%(levelname)s %(message)s")
    try:
        settings = _settings(arguments)
        server = Server(settings, _identity(settings))
        _announce(server, arguments.json_ready)
    except Misconfigured as error:
        sys.stderr.write(f"dosong-point: {error}\n")
        return EXIT_MISCONFIGURED
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.run()
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dosong-point",
        description="Measurement point: the server that probes test against.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with a table [point]")
    parser.add_argument("--bind", metavar="ADDRESS", help="address to listen on (0.0.0.0; :: for both families)")
    parser.add_argument("--port", type=int, help="TCP port (7480; 0 takes a free one)")
    parser.add_argument("--udp-port", type=int, help="UDP echo port (the TCP port's number)")
    parser.add_argument("--max-connections", type=int, metavar="N", help="answer 503 beyond N (512)")
    parser.add_argument("--json-ready", type=Path, metavar="FILE", help="write the ports here once listening")
    parser.add_argument("--log-level", choices=["debug", "info", "warning"], default="info")
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    given = {name: getattr(arguments, name) for name in ("bind", "port", "udp_port", "max_connections")}
    settings = override(load(arguments.config), given)
    _raise_file_limit(settings.max_connections + SPARE_CONNECTIONS + 32)
    return settings


def _identity(settings: Settings) -> Identity | None:
    if settings.origin is None or settings.point is None or settings.key_file is None:
        return None
    signer = read_signer(Path(settings.key_file))
    name = f"{settings.origin}/point/{settings.point}"
    if signer.name != name:
        raise Misconfigured(f"{settings.key_file} is the key of {signer.name}; this point signs as {name}")
    return Identity(settings.origin, settings.point, signer)


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Misconfigured(f"{wanted} open files are needed but the limit is {hard}: lower --max-connections")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _announce(server: Server, ready_file: Path | None) -> None:
    logging.getLogger("point").info(
        "listening tcp_port=%d udp_port=%d tls_port=%s", server.port, server.udp_port, server.tls_port
    )
    if ready_file is None:
        return
    ready: dict[str, int] = {"port": server.port, "udp_port": server.udp_port, "pid": os.getpid()}
    if server.tls_port is not None:
        ready["tls_port"] = server.tls_port
    partial = ready_file.with_name(ready_file.name + ".partial")
    try:
        partial.write_text(json.dumps(ready) + "\n")
        partial.replace(ready_file)
    except OSError as error:
        raise Misconfigured(f"cannot write {ready_file}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
