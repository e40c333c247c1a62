"""Runs the operator with more checks than kubedx has yet: `python -m bench.run --kubeconfig FILE`.

With `--service-account FOLDER` it logs in as in a pod, where KUBERNETES_SERVICE_HOST and _PORT name the API server.
"""

import argparse
import asyncio
import cProfile
import logging
from pathlib import Path

from bench.synthetic import registry
from kubedx.app import App, Options
from kubedx.watch.client import SERVICE_ACCOUNT, Login


def main() -> None:
    """Run until the process is told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig")
    parser.add_argument("--service-account", type=Path, default=SERVICE_ACCOUNT)
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--checks", type=int, default=250, help="how many checks in all")
    parser.add_argument("--profile", type=Path, help="where to write what cProfile saw, at the end")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = given.listen.rpartition(":")
    login = Login(given.kubeconfig, service_account=given.service_account)
    app = App(login, Options(host=host, port=int(port)), registry(given.checks))
    if given.profile is None:
        asyncio.run(app.run())
        return
    profiler = cProfile.Profile()
    profiler.runcall(asyncio.run, app.run())
    profiler.dump_stats(given.profile)


if __name__ == "__main__":
    main()
