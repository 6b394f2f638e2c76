"""``must-gather``: one archive with what a bug report needs."""

from collections.abc import Mapping
from pathlib import Path

import click

from selfhealing.plugin.command.options import ClusterChoice, app_argument, cluster_options


@click.command("must-gather")
@app_argument()
@click.option(
    "--operator-namespace",
    default="selfhealing-system",
    show_default=True,
    help="Where the operator is installed.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The archive; by default NAME-must-gather.tar.gz.",
)
@cluster_options
def must_gather(
    choice: ClusterChoice, name: str, operator_namespace: str, file: Path | None
) -> None:
    """Write one archive for a bug report: objects, Events, logs, the operator's log and metrics.

    Values of environment variables and what looks like a secret are masked. Secrets are not read.
    """
    from dataclasses import replace

    from selfhealing.plugin.cluster.gather import Gatherer
    from selfhealing.plugin.cluster.reader import read_app
    from selfhealing.plugin.view.build import build_app
    from selfhealing.plugin.view.bundle import build_files

    with choice.connect() as connection:
        cluster = connection.cluster
        objects = read_app(cluster, connection.namespace, name)
        app = build_app(objects)
        gatherer = Gatherer(cluster)
        logs = gatherer.read_logs(app)
        evidence = gatherer.read_evidence(app)
        operator_objects, operator_texts = gatherer.read_operator(operator_namespace)
    app = replace(app, gaps=(*app.gaps, *gatherer.gaps))
    others = {"evidence.yaml": evidence, **operator_objects}
    files = build_files(objects, app, {**logs, **operator_texts}, others)
    target = file or Path(f"{name}-must-gather.tar.gz")
    write_archive(target, f"{name}-must-gather", files, int(app.read_at.timestamp()))
    for gap in app.gaps:
        click.echo(f"not included: {gap}", err=True)
    click.echo(
        f"{target}: {len(files)} files. What looks like a secret is masked; look through it before "
        "you send it."
    )


def write_archive(target: Path, folder: str, files: Mapping[str, str], time: int) -> None:
    """Write texts into an archive, below a folder; only this user may read it.

    Args:
        target: the archive.
        folder: the folder in it.
        files: the texts by their path in the folder.
        time: seconds since 1970, the time of the files.
    """
    import io
    import tarfile

    target.touch(mode=0o600)
    with tarfile.open(target, "w:gz") as archive:
        for path, text in sorted(files.items()):
            content = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mtime = len(content), time
            archive.addfile(entry, io.BytesIO(content))
