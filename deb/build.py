"""Debian packages of probe, collector and measurement point: each a venv below /opt/dosong, with its units.

python deb/build.py                        all three into build/deb, for this machine's Debian and processor
python deb/build.py probe --out DIR        one of them
python deb/build.py probe --version 0.1.1  under another version, to try an upgrade

A package is built on what it is for: on a Raspberry Pi (or any arm64 Debian) for Raspberry Pi OS, with the Python of
that release. Packages are pinned by constraints.txt. Build twice, get the same bytes
(SOURCE_DATE_EPOCH, else the last commit's time). What goes where: packages.toml.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TABLE: dict[str, Any] = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
NAMES = tuple(name for name in TABLE if name != "common")
PYTHON = "/usr/bin/python3"
OURS = ("wire", "probe", "collector", "point", "provisioning", "sim", "grafana")
COPIED = (*OURS, "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True, slots=True)
class Build:
    """What all packages of one run share."""

    work: Path
    out: Path
    version: str
    epoch: int
    is_fast: bool


def run(*argv: str | Path, **more: Any) -> str:
    """Run a program; return what it printed. Ends this program with its words if it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"deb: {' '.join(map(str, argv))[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def wheel(build: Build) -> Path:
    """Our own wheel under the build's version, from a copy: nothing is left behind in the repository."""
    source = build.work / "source"
    source.mkdir()
    for name in COPIED:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(path, source / name)
    project = source / "pyproject.toml"
    held = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    project.write_text(
        project.read_text(encoding="utf-8").replace(f'version = "{held}"', f'version = "{build.version}"', 1)
    )
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", build.work, source, cwd=build.work)
    return next(build.work.glob("dosong-*.whl"))


def make_venv(stage: Path, name: str, made: Path) -> None:
    """A venv at /opt/dosong/NAME in the stage, with what this program needs and nothing of the others."""
    entry = TABLE[name]
    final = Path("/opt/dosong") / name
    venv = stage / final.relative_to("/")
    run(PYTHON, "-m", "venv", "--without-pip", "--symlinks", venv)
    wheels = stage.parent / "wheels"
    wanted = f"dosong[{entry['extra']}] @ file://{made}"
    # What is published as source only (two small pure packages) becomes a wheel here, apart from everything else.
    pip = (sys.executable, "-m", "pip")
    run(*pip, "wheel", "-q", "--prefer-binary", "-c", ROOT / "constraints.txt", "-w", wheels, wanted)
    install = (
        *pip,
        "--python",
        venv / "bin/python",
        "install",
        "-q",
        "--no-compile",
        "--no-index",
        "--find-links",
        wheels,
    )
    run(*install, "-c", ROOT / "constraints.txt", f"dosong[{entry['extra']}]")
    site = next((venv / "lib").glob("python3*")) / "site-packages"
    for ours in OURS:
        if ours not in entry["code"]:
            shutil.rmtree(site / ours)
    for path in (venv / "bin").iterdir():
        if path.name not in entry["scripts"] and not path.name.startswith("python"):
            path.unlink()
    for record in (*site.glob("*.dist-info/RECORD"), *site.glob("*.dist-info/direct_url.json")):
        record.unlink()  # where it was built, and what of it was taken out
    _settle(stage, venv, final)


def _settle(stage: Path, venv: Path, final: Path) -> None:
    """Have nothing in a venv name the place where it was built, and compile it once, for nobody may write there."""
    for path in (*(venv / "bin").iterdir(), venv / "pyvenv.cfg"):
        if path.is_file() and not path.is_symlink():
            lines = path.read_text(encoding="utf-8").replace(str(venv), str(final)).splitlines()
            path.write_text("\n".join(line for line in lines if not line.startswith("command =")) + "\n")
    run(PYTHON, "-m", "compileall", "-q", "-s", stage, "-p", "/", "--invalidation-mode", "unchecked-hash", venv / "lib")
    left = subprocess.run(["grep", "-rlI", str(stage), str(stage)], capture_output=True, text=True, check=False).stdout
    if left:
        sys.exit(f"deb: these still name the place of building:\n{left}")


def lay_files(stage: Path, name: str) -> None:
    """Units, rules, documents and links; a target that ends in / is a folder."""
    entry = TABLE[name]
    for source, target in entry["files"]:
        path = stage / target.lstrip("/")
        path = path / Path(source).name if target.endswith("/") else path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / source, path)
        path.chmod(0o755 if os.access(ROOT / source, os.X_OK) else 0o644)
    doc = stage / f"usr/share/doc/dosong-{name}"
    doc.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / "systemd/README.md", doc / "README.md")
    shutil.copy2(ROOT / "LICENSE", doc / "copyright")
    shutil.copy2(ROOT / "CHANGELOG.md", doc / "changelog.md")
    (stage / "usr/bin").mkdir(parents=True, exist_ok=True)
    for script in entry["scripts"]:
        (stage / "usr/bin" / script).symlink_to(f"/opt/dosong/{name}/bin/{script}")


def control(build: Build, stage: Path, name: str) -> str:
    """The control file. The package is for the Python that it was built with."""
    entry, common = TABLE[name], TABLE["common"]
    major, minor = run(PYTHON, "-c", "import sys; print(*sys.version_info[:2])").split()
    python = f"python3 (>= {major}.{minor}~), python3 (<< {major}.{int(minor) + 1}~)"
    size = run("du", "-sk", "--apparent-size", stage).split()[0]
    lines = {
        "Package": f"dosong-{name}",
        "Version": build.version,
        "Architecture": run("dpkg", "--print-architecture"),
        "Maintainer": common["maintainer"],
        "Installed-Size": size,
        "Depends": ", ".join((python, *entry["depends"])),
        "Recommends": ", ".join(entry["recommends"]),
        "Section": "net",
        "Priority": "optional",
        "Description": f"{entry['summary']}\n {entry['text']}",
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


def lay_control(build: Build, stage: Path, name: str) -> None:
    """DEBIAN/: control, conffiles, and the scripts that dpkg runs, with this package's words filled in."""
    entry = TABLE[name]
    folder = stage / "DEBIAN"
    text = control(build, stage, name)
    folder.mkdir()
    (folder / "control").write_text(text, encoding="utf-8")
    if entry["conffiles"]:
        (folder / "conffiles").write_text("".join(f"{path}\n" for path in entry["conffiles"]))
    words = {
        "@NAME@": name,
        "@ENABLE@": " ".join(entry["enable"]),
        "@RESTART@": " ".join(entry["restart"]),
        "@STATE@": entry["state"],
    }
    for script in ("preinst", "postinst", "prerm", "postrm"):
        body = (HERE / f"{script}.in").read_text(encoding="utf-8")
        own = HERE / f"{name}.{script}"
        body = body.replace("@OWN@\n", own.read_text(encoding="utf-8") if own.exists() else "")
        for word, value in words.items():
            body = body.replace(word, value)
        (folder / script).write_text(body, encoding="utf-8")
        (folder / script).chmod(0o755)


def package(build: Build, name: str, made: Path) -> Path:
    """Build one package; return its file."""
    stage = build.work / name
    stage.mkdir()
    make_venv(stage, name, made)
    lay_files(stage, name)
    lay_control(build, stage, name)
    run("chmod", "-R", "u+rwX,go+rX,go-w", stage)
    build.out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(build.epoch)}
    argv = (
        "dpkg-deb",
        "--root-owner-group",
        *(("-Zgzip", "-z1") if build.is_fast else ("-Zxz",)),
        "--build",
        stage,
        build.out,
    )
    run(*argv, env=environment)
    arch = run("dpkg", "--print-architecture")
    return build.out / f"dosong-{name}_{build.version}_{arch}.deb"


def _epoch() -> int:
    said = os.environ.get("SOURCE_DATE_EPOCH")
    return int(said or run("git", "-C", ROOT, "log", "-1", "--format=%ct"))


def main() -> None:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", choices=[*NAMES, []], help="which (all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/deb", help="where to (build/deb)")
    held = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    parser.add_argument("--version", default=held, help=f"({held})")
    parser.add_argument("--fast", action="store_true", help="packed in a hurry, for a test: half as large again")
    asked = parser.parse_args()
    epoch = _epoch()
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="dosong-deb-") as folder:
        build = Build(Path(folder), asked.out.resolve(), asked.version, epoch, asked.fast)
        assets = [sys.executable, str(ROOT / "scripts/assets.py")]
        if subprocess.run(assets, capture_output=True, check=False).returncode != 0:
            print("deb: no map library (scripts/assets.py failed); pages will say so", file=sys.stderr)
        made = wheel(build)
        for name in asked.packages or NAMES:
            path = package(build, name, made)
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
