"""What several tests of the probe need: keys, a spool that signs, and a broker with certificates."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from probe.core.draft import Identity, Stamp
from probe.recorder import Recorder
from probe.spool import Spool
from wire import codec
from wire.note import Signer
from wire.records import AnyRecord, EventRecord

ORIGIN = "dosong.example"
PROBE = "p-test"
KEY = Signer.from_seed(codec.probe_key_name(ORIGIN, PROBE), bytes(range(32)))
ACK_KEY = Signer.from_seed(f"{ORIGIN}/ack", bytes(range(32, 64)))
STAMP = Stamp("ab" * 16, 1_000, "trusted", "ntp", 1_795_000_000_000, 5)


def make_recorder(spool: Spool) -> Recorder:
    return Recorder(spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "site-1"), lambda: STAMP)


def event(recorder: Recorder, note: str = "x") -> EventRecord:
    return EventRecord(**recorder.head(), event="stopping", note=note)


def read(raw: bytes) -> AnyRecord:
    opened = codec.open_record(raw, ORIGIN, PROBE, KEY.verifier)
    assert opened.record is not None, opened.fault
    return opened.record


def wait_until(done: Callable[[], object], timeout_s: float = 15.0, what: str = "") -> None:
    """Poll until `done` holds; fails with `what` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def make_certificates(folder: Path, common_name: str) -> None:
    """A CA (ca.crt), a server for 127.0.0.1 (server.*) and a client with the given name (tls.*)."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(folder, [*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt"])
    for name, subject, extra in (("server", "localhost", "subjectAltName=IP:127.0.0.1"), ("tls", common_name, "")):
        run(folder, [*new, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr"])
        (folder / f"{name}.ext").write_text(extra + "\n")
        sign = ["openssl", "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"]
        run(folder, [*sign, "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt"])


def run(folder: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
