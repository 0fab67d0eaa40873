"""`farm metrics`: the store's figures as Prometheus reads them, where no server runs that would be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli import render
from farm.errors import UsageError

if TYPE_CHECKING:
    from farm.cli.main import Context


@click.command()
@click.option("--textfile", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write FILE.prom for node_exporter's textfile collector, whole or not at all.")  # fmt: skip
@click.pass_obj
def metrics(context: Context, /, *, textfile: Path | None) -> int:
    """Print builds, queue, disk and last night as metrics for Prometheus; `farm serve` has them at /metrics.

    With --textfile for machines that build and serve nothing: let cron run it each minute (docs/monitoring.md).
    """
    if textfile is not None and textfile.suffix != ".prom":
        reason = f"--textfile {textfile}: expected a name that ends with .prom: the collector reads no other"
        raise UsageError(reason, solution=f"--textfile {textfile}.prom")
    if textfile is not None and not textfile.absolute().parent.is_dir():
        reason = f"--textfile {textfile}: expected its folder to be there, found none"
        raise UsageError(reason, solution="name the folder that node_exporter was told with --collector.textfile.directory")
    from farm.wire.metrics import metrics_text, write_metrics  # noqa: PLC0415 - after the cheap checks

    if textfile is None:
        render.data(metrics_text(context.settings()))
    else:
        write_metrics(context.settings(), textfile)
    return 0
