"""`make bench`: measures whole processes, prints one table, and writes it to `bench/results.json`."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import CHECKOUT, BenchError
from bench.measures import FULL, MEASURES, Bench
from bench.rows import Row

RESULTS = Path(__file__).resolve().parent / "results.json"


def main() -> int:
    """Measure.

    Returns:
        The exit code: 0 even where a goal is missed, as a miss is a result; 1 where something could not be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure kubedx at the limits of Kubernetes.")
    parser.add_argument("--only", metavar="NAMES", help=f"some of: {','.join(MEASURES)}")
    parser.add_argument("--pods", type=int, default=FULL, help=f"how many pods the cluster has ({FULL})")
    parser.add_argument("--quick", action="store_true", help="one run each, and changes for 15 seconds")
    parser.add_argument("--out", type=Path, help="where to write the figures; bench/results.json for a whole run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that what was started is ended.
    names = given.only.split(",") if given.only else list(MEASURES)
    if unknown := set(names) - set(MEASURES):
        parser.error(f"there is no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    bench = Bench(given.pods, *((1, 15) if given.quick else ()))
    rows: list[Row] = []
    broken = 0
    print(f"{_machine()}, {given.pods:,} pods, load {os.getloadavg()[0]:.1f}", flush=True)
    for name in names:
        begun = time.monotonic()
        try:
            for row in MEASURES[name](bench):
                rows.append(row)
                print(_line(row), flush=True)
        except BenchError as error:
            broken += 1
            print(f"{name} could not be measured: {error}", flush=True)
        print(f"  ({name}: {time.monotonic() - begun:.0f} s)", file=sys.stderr, flush=True)
    out = given.out or (RESULTS if not given.only else None)
    if out:
        out.write_text(json.dumps(_results(rows, given.pods), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = [row for row in rows if row.met is False]
    print(f"{sum(row.met is True for row in rows)} goals met, {len(missed)} missed, {broken} not measured.")
    return 1 if broken else 0


def _line(row: Row) -> str:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return f"{row.measure:62} {_number(row.value):>10} {row.unit:8} {row.goal:18} {verdict}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 -- four digits and more


def _results(rows: list[Row], pods: int) -> dict[str, object]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return {
        "machine": _machine(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit.stdout.strip(),
        "pods": pods,
        "results": [
            {"measure": row.measure, "goal": row.goal, "value": round(row.value, 4), "unit": row.unit, "met": row.met}
            for row in rows
        ],
    }


def _machine() -> str:
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = info.split("model name\t: ")[1].splitlines()[0] if "model name\t: " in info else platform.machine()
    return f"{model}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
