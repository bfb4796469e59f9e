"""Serving: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gnomon.cli.late import server, settings
from gnomon.cli.options import JsonOption, ProjectOption, project_folder
from gnomon.cli.output import flush, show_result, tell
from gnomon.config import load
from gnomon.errors import MissingDependency, counted


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen at. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes one that is free. Default: 6566.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes, each on a processor of its own. Default: 1.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long a request may take. Default: 10s.")
    ] = None,
    access_log: Annotated[
        bool | None,
        typer.Option(
            "--access-log/--no-access-log", help="A line of JSON on standard output for each request."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve over TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of the certificate.")] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="off|keys|oidc",
            help="Whom to let in: everybody, API keys, or tokens of [serve.oidc] too. Default: off.",
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool | None,
        typer.Option("--insecure-no-auth", help="Let other machines ask without credentials."),
    ] = None,
    contract: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A contract that must hold, at the start and at every revision. Can be given again.",
        ),
    ] = None,
    project: ProjectOption = None,
    json: JsonOption = False,
) -> None:
    """Answer over HTTP.

    Features of a service for the entities of a request, as JSON or Arrow. /docs of the server tells what else
    can be asked. The lines of [serve] in gnomon.toml say the same as the options, which go before them.
    """
    root = project_folder(project).resolve()
    chosen = settings.read_settings(
        load(root).serve,
        root,
        host=host,
        port=port,
        workers=workers,
        timeout=timeout,
        access_log=access_log,
        tls_cert=tls_cert,
        tls_key=tls_key,
        auth=auth,
        insecure_no_auth=insecure_no_auth,
        contracts=contract or None,
    )
    try:
        run = server.serve
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"`gnomon serve` needs `{error.name}`, which is not installed", hint="pip install 'gnomon[serve]'"
        ) from error

    def announce(url: str) -> None:
        """Where to ask: with --json as the first document on standard output, which else has the access log only."""
        if json:
            show_result(True, {"project": str(root), "url": url, "workers": chosen.workers})
            flush()
        else:
            tell(
                f"serving {root} at {url} with {counted(chosen.workers, 'worker')}; {url}/docs tells what to ask"
            )

    run(root, chosen, announce)
