"""compose.yaml: a parser of the Compose specification takes it, it holds no secret, and its programs find their files.

No container engine runs here: what each program is started with is compared with what our settings would write.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GIVEN_BY_HAND = {"./web.pem", "./web.key"}
OURS = {name for name, one in SERVICES.items() if one["image"] == "dosong-collector"}


def test_a_parser_of_the_specification_takes_it() -> None:
    parser = pytest.importorskip("compose_spec")
    plain = yaml.safe_dump({key: value for key, value in COMPOSE.items() if not key.startswith("x-")})
    plain = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", plain)  # as an engine fills in variables before it reads
    plain = re.sub(r"\$\{(\w+):\?[^}]+\}", r"\1", plain)
    found = parser.PyCompose.from_yaml(plain)
    assert set(found.service_names()) == set(SERVICES)
    with pytest.raises(Exception, match=r"(?i)unknown|invalid|expected"):
        parser.PyCompose.from_yaml(plain.replace("restart: unless-stopped", "restart: sometimes", 1))


def test_every_part_is_there() -> None:
    assert set(SERVICES) == {
        *("office", "ca", "broker", "enrolment", "collector", "nginx"),
        *("influxdb", "grafana", "grafana-public"),
    }  # fmt: skip
    assert SERVICES["office"]["profiles"] == ["office"], "the office holds every key and never runs by itself"


def _mounts(name: str) -> dict[str, tuple[str, bool]]:
    """Where each source is mounted in a service, and whether it may be written."""
    found = {}
    for text in SERVICES[name].get("volumes", []):
        source, target, *more = text.split(":")
        found[source] = target, more != ["ro"]
    return found


def test_volumes_and_files_that_are_mounted_exist() -> None:
    used = {source for name in SERVICES for source in _mounts(name)}
    for source in used:
        if source.startswith("./"):
            assert source in GIVEN_BY_HAND or (ROOT / source).exists()
        else:
            assert source in COMPOSE["volumes"]
    assert set(COMPOSE["volumes"]) <= used


def test_each_key_is_mounted_where_it_is_needed_and_nowhere_else() -> None:
    holders = {volume: {name for name in SERVICES if volume in _mounts(name)} for volume in COMPOSE["volumes"]}
    assert holders["ca"] == {"office", "ca"}, "the issuing key"
    assert holders["safe"] == {"office"}, "the root's key"
    assert holders["enrol"] == {"office", "nginx"}
    assert holders["collector"] == {"office", "ca", "collector"}
    assert not _mounts("broker")["broker"][1], "the broker reads its lists"
    assert SERVICES["ca"]["network_mode"] == "none"


def test_secrets_come_from_outside_and_only_people_and_probes_reach_a_port() -> None:
    secret = re.compile("PASSWORD|TOKEN")
    given = {k: v for s in SERVICES.values() for k, v in s.get("environment", {}).items() if secret.search(k)}
    assert given
    assert all(re.fullmatch(r"\$\{DOSONG_\w+:\?.+\}", value) for value in given.values())
    ports = {port for name, one in SERVICES.items() if name not in {"broker", "nginx"} for port in one.get("ports", [])}
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert set(SERVICES["nginx"]["ports"]) == {"80:80", "443:443", "8443:8443"}
    assert SERVICES["broker"]["ports"] == ["8883:8883"]


def test_programs_are_ours_and_hardened() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for name in OURS - {"office"}:
        assert SERVICES[name]["command"][0] in scripts
    for name in (*OURS, "broker", "nginx"):
        one = SERVICES[name]
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["user"] == "1883:1883"


def test_paths_that_the_office_writes_are_those_that_the_services_mount() -> None:
    office = (ROOT / "deb/office").read_text(encoding="utf-8")
    targets = {target for name in SERVICES for target, _ in _mounts(name).values()}
    for path in re.findall(r"(?:unix:)?(/(?:run|srv)/[a-z./-]+)", office):
        assert any(path == target or path.startswith(f"{target}/") for target in targets), path
    for name in ("ca", "enrolment", "collector", "broker"):
        words = " ".join(SERVICES[name]["command"])
        own = {target for target, _ in _mounts(name).values()}
        for path in re.findall(r"/(?:run|srv)/\S+", words):
            assert any(path == target or path.startswith(f"{target}/") for target in own), (name, path)
    assert subprocess.run(["sh", "-n", str(ROOT / "deb/office")], check=False).returncode == 0


def test_the_image_has_every_package_of_ours_that_it_runs() -> None:
    text = (ROOT / "deb/Dockerfile").read_text(encoding="utf-8")
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    copied = set(re.findall(r"^COPY (\w+) /src/", text, re.MULTILINE))
    assert {name for name in packages if "." not in name} <= copied
    assert "[collector,provisioning]" in text
    assert "-c /src/constraints.txt" in text
