"""The command ``kubedx``."""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kubedx.report.text import Report
    from kubedx.watch.client import Api


class Exit(IntEnum):
    """What the exit codes mean."""

    CLEAN = 0
    FINDINGS = 1
    """Something at or above --fail-on was found."""
    USAGE = 2
    UNREACHABLE = 3
    PARTIAL = 4
    """Nothing at or above --fail-on was found, but something could not be looked at."""
    DEFECT = 70
    """kubedx itself broke; EX_SOFTWARE of sysexits.h."""


_LAST_PORT = 65535


def fail(code: Exit, message: str) -> NoReturn:
    """End with a message on the standard error, which may quote what a server or a file says."""
    from kubedx.kube.text import clean

    click.echo("\n".join(clean(line) for line in f"Error: {message}".split("\n")), err=True)
    sys.exit(code)


class _Group(click.Group):
    """A group whose commands never end with a code that means something else when they break."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- as click has it
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 -- Python's own exit code for it is 1, which means findings
            from kubedx.report.logs import told

            click.echo(told(error), err=True)
            fail(Exit.DEFECT, "this is a defect of kubedx; please report it with the lines above.")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kubedx", prog_name="kubedx")
def main() -> None:
    """Recognise known failure patterns in a Kubernetes cluster and tell cause from symptom."""


def _connection(command: Any) -> Any:  # noqa: ANN401 -- a decorator of click's
    command = click.option("--kubeconfig", metavar="FILE", help="The kubeconfig; the pod's own account by default.")(
        command
    )
    return click.option("--context", metavar="NAME", help="The context of the kubeconfig.")(command)


@main.command()
@_connection
@click.option("--listen", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT", help="Where to serve HTTP.")
@click.option("--defaults", metavar="FILE", help="Defaults of the policy: YAML in the shape of DiagnosisPolicy.spec.")
@click.option(
    "--watch-metadata", "metadata_kinds", multiple=True, metavar="PLURAL.GROUP",
    help="Watch the metadata of one more kind for stuck finalizers, such as certificates.cert-manager.io.",
)  # fmt: skip
@click.option(
    "--lease-namespace", envvar="KUBEDX_NAMESPACE", default="", metavar="NAMESPACE", show_envvar=True,
    help="Where the Lease is by which one of several replicas leads; without it, this one does.",
)  # fmt: skip
@click.option(
    "--identity", envvar="KUBEDX_IDENTITY", default="", metavar="NAME", show_envvar=True,
    help="What this replica is called in the Lease, unlike every other; made up if not given.",
)  # fmt: skip
@click.option("--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True)
@click.option("--verbose", is_flag=True, help="Log more.")
def run(  # noqa: PLR0913 -- one argument an option
    *,
    kubeconfig: str | None,
    context: str | None,
    listen: str,
    defaults: str | None,
    metadata_kinds: tuple[str, ...],
    lease_namespace: str,
    identity: str,
    log_format: str,
    verbose: bool,
) -> None:
    """Run the operator: watch the cluster, write ClusterDiagnosis objects, serve metrics."""
    import asyncio

    from kubedx.app import App, Options
    from kubedx.report import logs
    from kubedx.report.http import ListenError
    from kubedx.watch.client import ConfigError, Login, UnreachableError

    logs.set_up(log_format, logging.DEBUG if verbose else logging.INFO)
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > _LAST_PORT:
        raise click.UsageError(f"--listen {listen!r} is no HOST:PORT, such as 0.0.0.0:8080.")
    options = Options(
        host=host or "0.0.0.0",  # noqa: S104 -- as asked for
        port=int(port),
        defaults=_yaml_file(defaults),
        metadata_kinds=metadata_kinds,
        lease_namespace=lease_namespace,
        identity=identity,
    )
    try:
        asyncio.run(App(Login(kubeconfig, context), options).run())
    except UnreachableError as error:
        fail(Exit.UNREACHABLE, str(error))
    except (ConfigError, ListenError) as error:
        fail(Exit.USAGE, str(error))


def _yaml_file(path: str | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    import yaml

    try:
        body = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.UsageError(f"{path} cannot be read as YAML: {error}") from error
    if body is not None and not isinstance(body, dict):
        raise click.UsageError(f"{path} must hold a map in the shape of DiagnosisPolicy.spec.")
    return body


class _Time(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31T18:00:00Z", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


@main.command()
@click.argument("path", required=False)
@click.option("--live", is_flag=True, help="Look at the cluster itself, once.")
@_connection
@click.option(
    "--now", type=_Time(), metavar="TIME", help="The time to judge ages by; of a dump, its newest by default."
)
@click.option("--policy", metavar="FILE", help="A DiagnosisPolicy, or its spec, to follow.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml"]), default="table", show_default=True
)
@click.option(
    "--fail-on", type=click.Choice(["critical", "warning", "info", "never"]), default="warning", show_default=True,
    help="End with code 1 if something at least this severe is found.",
)  # fmt: skip
@click.option("--all", "show_suppressed", is_flag=True, help="Show suppressed diagnoses as well.")
def scan(  # noqa: PLR0913 -- one argument an option
    *,
    path: str | None,
    live: bool,
    kubeconfig: str | None,
    context: str | None,
    now: datetime | None,
    policy: str | None,
    output: str,
    fail_on: str,
    show_suppressed: bool,
) -> None:
    """Diagnose once: a dump at PATH, or the cluster itself with --live.

    PATH is a folder, a tar archive or a file, gzipped or not, with Kubernetes objects in JSON or YAML: what
    kubectl get -o, kubectl cluster-info dump or must-gather write; - is the standard input.

    Exit codes: 0 clean, 1 findings at or above --fail-on, 2 wrong usage, 3 unreachable, 4 not everything could be
    looked at.
    """
    if live == (path is not None):
        raise click.UsageError("Give either a PATH to read or --live.")
    from kubedx.report import text
    from kubedx.scan import scan_dump, scan_live
    from kubedx.watch.client import ConfigError, Login, UnreachableError
    from kubedx.watch.dump import DumpError

    body = _policy_body(policy)
    try:
        report = scan_live(Login(kubeconfig, context), body, now) if live else scan_dump(str(path), body, now)
    except UnreachableError as error:
        fail(Exit.UNREACHABLE, str(error))
    except (ConfigError, DumpError) as error:
        fail(Exit.USAGE, str(error))
    text.show(report, output, show_suppressed=show_suppressed)
    sys.exit(_exit_code(report, fail_on))


def _policy_body(path: str | None) -> Mapping[str, Any] | None:
    body = _yaml_file(path)
    return body if body is None or "spec" in body else {"spec": body}


def _exit_code(report: "Report", fail_on: str) -> Exit:
    from kubedx.core.finding import Severity

    loud = [one for one in report.diagnoses if not one.silenced]
    if fail_on != "never" and any(one.severity >= Severity[fail_on.upper()] for one in loud):
        return Exit.FINDINGS
    return Exit.CLEAN if report.complete else Exit.PARTIAL


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from kubedx.kube import duration

        try:
            found = duration.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not found:
            self.fail("is no time at all; write 90s, 5m, 1h30m or 2d", param, ctx)
        return found


class _Name(click.ParamType[str]):
    name = "name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = str(value).rpartition("/")[2]  # `kubectl get -o name` puts the kind before it.
        return name or self.fail("is empty; kubectl get clusterdiagnoses lists the names", param, ctx)


@main.command()
@click.argument("name", type=_Name())
@click.option("--reason", metavar="TEXT", help="Required. Why, for those who read it later.")
@click.option("--for", "lasting", type=_Duration(), metavar="DURATION", help="How long, such as 90m, 2h or 3d.")
@click.option("--until", type=_Time(), metavar="TIME", help="Until when, such as 2030-01-31T18:00:00Z.")
@click.option("--always", is_flag=True, help="For good: by a pattern in the DiagnosisPolicy for its check and subject.")
@_connection
def suppress(
    *,
    name: str,
    reason: str | None,
    lasting: timedelta | None,
    until: datetime | None,
    always: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Silence the diagnosis NAME: it raises no alert, and is tracked and counted all the same.

    It needs the right to patch clusterdiagnoses, and with --always to patch diagnosispolicies.
    """
    if not reason or not reason.strip():
        raise click.UsageError("--reason is required: say why, for those who read it later.")
    if (lasting is not None) + (until is not None) + always != 1:
        raise click.UsageError("Give one of --for 2h, --until 2030-01-31T18:00:00Z and --always.")
    from kubedx import suppress as module

    if always:
        _tell(kubeconfig, context, lambda api: module.suppress_always(api, name, reason))
    else:
        _tell(kubeconfig, context, lambda api: module.suppress(api, name, reason, lasting=lasting, until=until))


@main.command()
@click.argument("name", type=_Name())
@_connection
def unsuppress(*, name: str, kubeconfig: str | None, context: str | None) -> None:
    """Take back what kubedx suppress did about NAME, and say which pattern silences it all the same."""
    from kubedx import suppress as module
    from kubedx.checks import registry

    _tell(kubeconfig, context, lambda api: module.unsuppress(api, registry(), name))


def _tell(kubeconfig: str | None, context: str | None, do: "Callable[[Api], Awaitable[str]]") -> None:
    """Do something with the API server and print what there is to tell."""
    from kubedx.suppress import NotDoneError, at
    from kubedx.watch.client import ConfigError, UnreachableError

    try:
        click.echo(at(kubeconfig, context, do))
    except UnreachableError as error:
        fail(Exit.UNREACHABLE, str(error))
    except (ConfigError, NotDoneError) as error:
        fail(Exit.USAGE, str(error))


@main.command()
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "name"]), default="table", show_default=True
)
@click.option("--unseen", is_flag=True, help="List the patterns that kubedx knows and cannot see.")
def checks(*, output: str, unseen: bool) -> None:
    """List all checks."""
    from kubedx.checks import registry
    from kubedx.generate import explain as explaining
    from kubedx.generate.unseen import UNSEEN

    known = registry()
    found = explaining.unseen_rows(UNSEEN, known) if unseen else explaining.rows(known)
    click.echo(explaining.listing(found, output), nl=False)


@main.command()
@click.argument("check", metavar="CHECK")
@click.option("-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
def explain(*, check: str, output: str) -> None:
    """Tell what a check means, what to do, what it reads, and how to set it. CHECK is an id such as PVCPending.

    The patterns of kubedx checks --unseen are explained too: why no check sees them, and where to look.
    """
    from kubedx.checks import registry
    from kubedx.generate import explain as explaining
    from kubedx.generate import unseen

    known = registry()
    if check in known.by_id:
        click.echo(explaining.told(explaining.page(known.by_id[check], known), output), nl=False)
    elif check in unseen.BY_ID:
        click.echo(explaining.told(explaining.unseen_page(unseen.BY_ID[check], known), output), nl=False)
    else:
        near = explaining.similar(check, (*known.by_id, *unseen.BY_ID))
        meant = f"Did you mean {' or '.join(near)}?" if near else "`kubedx checks` lists them."
        fail(Exit.USAGE, f"there is no check {check!r}. {meant}")


@main.command()
@click.option("--check", "only_check", is_flag=True, help="Write nothing; show what is stale and end with code 1.")
def generate(*, only_check: bool) -> None:
    """Write what follows from the checks: CRDs, chart, documentation. Only in a clone of kubedx's repository."""
    from kubedx.checks import registry
    from kubedx.generate import tree, unseen
    from kubedx.report.metrics import Facts, FactsCollector

    known = registry()
    try:
        root = tree.find_root(Path.cwd())
        wanted = tree.outputs(known, FactsCollector(Facts).collect(), root)
    except tree.TreeError as error:
        fail(Exit.USAGE, str(error))
    if unmet := known.unmet.keys() - unseen.BY_ID.keys():
        click.echo(f"Relations wait for checks that do not exist yet: {', '.join(sorted(unmet))}.")
    if only_check:
        stale = list(tree.differences(root, wanted))
        for difference in stale:
            click.echo(difference)
        if stale:
            what = "1 generated file is" if len(stale) == 1 else f"{len(stale)} generated files are"
            fail(Exit.FINDINGS, f"{what} stale. Run: make generate")
    else:
        for path in tree.write(root, wanted):
            click.echo(f"wrote {path}")


@main.command()
@click.argument("id_", metavar="ID")
@click.option("--area", required=True, help="The folder for its module, such as pods.")
@click.option("--kind", default="Pod", show_default=True, help="The kind that it is about.")
def new_check(*, id_: str, area: str, kind: str) -> None:
    """Start a check named ID, such as PodStuckSomehow, in a clone of kubedx's repository: its module and two cases."""
    from kubedx.checks import registry
    from kubedx.generate import scaffold, tree
    from kubedx.kube.views import BY_KIND

    if kind not in BY_KIND:
        fail(
            Exit.USAGE, f"there is no view of {kind!r}, only of {', '.join(sorted(BY_KIND))}; add one in kube/views.py."
        )
    try:
        root = tree.find_root(Path.cwd())
        files = scaffold.new_check(id_, area, BY_KIND[kind], registry().by_id, root)
        scaffold.write(files, root)
    except (tree.TreeError, scaffold.NameRefusedError) as error:
        fail(Exit.USAGE, str(error))
    for path in files:
        click.echo(f"wrote {path}")
    click.echo(f"Write something where '{scaffold.FILL_IN}' stands (docs/writing-checks.md), then: make lint test")
