"""Shows where the operator's time goes: `python -m bench.hotspots [--pods N]`, a cold start and a storm under cProfile.

cProfile makes calls dearer than they are, so read the order rather than the figures. kopf's thread is left out.
"""

import argparse
import pstats
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.operating import operating
from bench.scale import Size, serving

TOP = 40


def main() -> None:
    """Print the functions with the most time of their own."""
    parser = argparse.ArgumentParser(prog="python -m bench.hotspots", description=__doc__)
    parser.add_argument("--pods", type=int, default=30_000)
    parser.add_argument("--storm", type=int, default=30, help="seconds after the storm; 0 for the cold start alone")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that what was started is ended.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile"
        with serving(Size(given.pods)) as server, operating(server, options=["--profile", str(path)]) as operator:
            if given.storm:
                operator.wait_until_settled()
                server.emit("storm", given.pods)
                time.sleep(given.storm)
        pstats.Stats(str(path)).sort_stats("tottime").print_stats(TOP)


if __name__ == "__main__":
    main()
