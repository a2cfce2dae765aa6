"""Asks a running collector everything that its own OpenAPI document allows, and much that it does not: schemathesis.

python -m tests.collector.api_fuzz [--examples N]     the long form; exit 1 if an answer breaks the document

Every answer must have a status, a media type and a body that the document names; what does not fit must be refused;
nothing may end in 500. The server is the real one, under gunicorn, with records in its ledger.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.collector.kit import Deployment, FakeProbe, free_port, running, until
from tests.collector.test_web_world import World

CHECKS = "all"
# Tokens and logins are settled before parameters are read, so a missing token is told first; and a cursor behind the
# end is an empty page, not a refusal.
LIMITS = "requests_per_minute = 100000\nanonymous_per_minute = 100000\nbulk_at_once = 8"


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str]]:
    """A collector's web process over a small ledger: its address, and an operator's token."""
    made = World(folder)
    made.tests(30)
    made.take(made.probe.coverage())
    made.take(made.probe.schema_broken())
    made.close()
    port = free_port()
    deployment = Deployment(folder, 'socket = "c.sock"', FakeProbe("p-two"),
                            web=f'secret_file = "web.secret"\nbind = "127.0.0.1:{port}"\n[api]\n{LIMITS}')  # fmt: skip
    said = deployment.call("token", "create", "--role", "operator", "--label", "fuzz", "--json")
    token = json.loads(said.stdout)["token"]
    web = deployment.program("web")
    with running(web):
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url), within_s=60, what=f"web: {web.text()}")
        yield url, token


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/openapi.json", timeout=5) as answer:  # noqa: S310
            return int(answer.status) == 200
    except OSError:
        return False


def fuzz(
    folder: Path, url: str, token: str, phases: str, examples: int, within_s: float
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a server; its exit code is 0 if no answer broke the document."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/v1/openapi.json", "--phases", phases),
        *("--checks", CHECKS, "--max-examples", str(examples), "--header", f"Authorization: Bearer {token}"),
        *("--seed", "1", "--workers", "2", "--no-color", "--generation-database", "none"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=within_s, check=False)


def main() -> int:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200, help="examples an address (default: 200)")
    asked = parser.parse_args()
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (url, token):
        done = fuzz(Path(folder), url, token, "examples,coverage,fuzzing,stateful", asked.examples, 3600)
    print(done.stdout[-6000:], done.stderr[-2000:])
    print(f"goal: no answer breaks the document: exit {done.returncode}, {time.monotonic() - begun_s:.0f} s")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
