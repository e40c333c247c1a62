"""Starts, lists and stops clusters by hand: `python -m tests.cluster up|down|list`."""

import argparse
import sys

from tests.cluster import harness
from tests.cluster.tools.build import ToolsUnavailable


def up(name: str, nodes: int) -> None:
    """Starts a cluster that stays until it is stopped; the one that is there is used again."""
    cluster = harness.find(name)
    if cluster is None:
        cluster = harness.start(name=name, keep=True)
        for zone in ("zone-a", "zone-b"):
            cluster.add_nodes(nodes, zone=zone)
    print(f"Cluster {name} runs. Use it with:\n\n    export KUBECONFIG={cluster.kubeconfig}")


def down(name: str) -> None:
    """Stops a cluster; one that is not there is no error."""
    cluster = harness.find(name)
    if cluster:
        cluster.stop()
    print(f"Cluster {name} is gone." if cluster else f"There is no cluster {name}.")


def main() -> int:
    """Runs one command of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="Test clusters by hand.")
    parser.add_argument("command", choices=("up", "down", "list"))
    parser.add_argument("--name", default=harness.checkout_name(), help="default: the one of this checkout")
    parser.add_argument("--nodes", type=int, default=2, help="played nodes in each of two zones (default: 2)")
    chosen = parser.parse_args()
    try:
        if chosen.command == "up":
            up(chosen.name, chosen.nodes)
        elif chosen.command == "down":
            down(chosen.name)
        else:
            harness.remove_orphans()
            for cluster in harness.list_clusters():
                print(f"{cluster.name}\t{cluster.runtime}\t{cluster.kubeconfig}")
    except (harness.ClusterError, ToolsUnavailable) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
