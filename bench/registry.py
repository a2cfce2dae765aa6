"""How long a province takes to set up: all units of Vietnam, then 2,000 hamlets and 500 probes from one workbook.

    python bench/registry.py

Each by the command as a person runs it, process start included. Prints goal lines, writes bench/results/registry.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from collector.registry import Registry
from provisioning import workbook
from provisioning.core.cells import Cell

HAMLETS, PROBES = 2000, 500
LOAD_S, IMPORT_S = 10.0, 20.0
MISTAKES = 200
RESULTS = Path(__file__).parent / "results" / "registry.json"


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    with tempfile.TemporaryDirectory(prefix="dosong-registry-") as folder:
        found = measure(Path(folder))
    goal("34 provinces and 3,321 communes loaded", f"{found['load_s']:.2f} s", found["load_s"] < LOAD_S, "< 10 s")
    goal(f"{HAMLETS} hamlets, {PROBES} probes imported from XLSX", f"{found['import_s']:.2f} s",
         found["import_s"] < IMPORT_S, "< 20 s")  # fmt: skip
    goal("changed by the same workbook again", str(found["changed_again"]), found["changed_again"] == 0, "0")
    goal(f"of {MISTAKES} mistakes found in one pass", str(found["mistakes"]), found["mistakes"] == MISTAKES, "all")
    goal("search of all names without tone marks", f"{found['find_ms']:.0f} ms", found["find_ms"] < 500, "< 500 ms")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def goal(name: str, figure: str, met: bool, wanted: str) -> None:
    """Print one goal line."""
    print(f"goal: {name}: {figure} ({wanted}): {'met' if met else 'short'}")


def measure(folder: Path) -> dict[str, float]:
    """Set a deployment up in `folder`, and time its commands."""
    there = str(folder / "deployment")
    _run("init", "--dir", there, "--origin", "dosong.example", "--host", "localhost")
    load_s, _ = _run("units", "load", "--dir", there, "--json")
    good, bad = folder / "good.xlsx", folder / "bad.xlsx"
    workbook.write(good, tables(0), "comma")
    workbook.write(bad, tables(MISTAKES), "comma")
    bad_s, told = _run("import", "--dir", there, str(bad), "--json", status=1)
    import_s, said = _run("import", "--dir", there, str(good), "--json")
    again_s, again = _run("import", "--dir", there, str(good), "--json")
    added, twice = json.loads(said)["added"], json.loads(again)
    if added != {"hamlets": HAMLETS, "sites": PROBES, "assignments": PROBES}:
        raise RuntimeError(f"the import added {added}")
    return {
        "load_s": load_s, "import_s": import_s, "again_s": again_s, "bad_s": bad_s,
        "changed_again": sum(twice["added"].values()) + sum(twice["changed"].values()),
        "mistakes": len(json.loads(told)["problems"]), "find_ms": _find_ms(Path(there)),
    }  # fmt: skip


def tables(mistakes: int) -> dict[str, list[list[Cell]]]:
    """Hamlets of 80 communes with sites and probes; the first `mistakes` have a code that lost its zero."""
    communes = [line.split("\t")[0] for line in _communes() if line.startswith("0")][:80]
    hamlets: list[list[Cell]] = []
    for number in range(HAMLETS):
        commune = communes[number % len(communes)]
        code: Cell = int(commune) if number < mistakes else commune
        hamlets.append([f"h-{number:05d}", "xóm", f"Đồng Chuối {number}", code, 21.5, 105.8, "01/07/2025", "NQ 1"])
    names = [f"h-{HAMLETS - 1 - number:05d}" for number in range(PROBES)]
    sites: list[list[Cell]] = [[f"nvh-{n}", f"Nhà văn hóa {n}", name, 21.5, 105.8] for n, name in enumerate(names)]
    probes: list[list[Cell]] = [[f"p-{n:05d}", f"nvh-{n}", "01/08/2025"] for n in range(PROBES)]
    return {"hamlets": hamlets, "sites": sites, "assignments": probes}


def _communes() -> list[str]:
    text = (Path(workbook.__file__).parent / "data" / "units.tsv").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if len(line.split("\t")[0]) == 5]


def _find_ms(root: Path) -> float:
    registry = Registry(root / "collector" / "state" / "registry.db")
    begun_s = time.perf_counter()
    found = registry.dated.find("dong chuoi 19")
    spent_ms = (time.perf_counter() - begun_s) * 1000
    registry.close()
    if not found:
        raise RuntimeError("the search found nothing")
    return spent_ms


def _run(*words: str, status: int = 0) -> tuple[float, str]:
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", *words], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != status:
        raise RuntimeError(f"dosong-provision {words[0]}: {done.returncode}: {done.stderr}")
    return time.perf_counter() - begun_s, done.stdout


if __name__ == "__main__":
    sys.exit(main())
