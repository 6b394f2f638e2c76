"""``render``, ``diff`` and ``lint``: a spec by itself, and beside the cluster."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    all_namespaces_option,
    app_argument,
    cluster_options,
    output_option,
)
from selfhealing.plugin.command.output import print_data, print_lines, to_yaml
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.text import Line, Part, line, sign

_DEFAULT_NAMESPACE: Final = "default"
_DIFFERENT: Final = 1
_INVALID: Final = 2

Json = dict[str, Any]

_files_option = click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="A file, or - for the input."
)


@click.command()
@app_argument(required=False)
@_files_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it is printed.",
)
@cluster_options
def render(choice: ClusterChoice, name: str | None, files: Sequence[str], output: str) -> None:
    """Print the objects that the operator makes of an app.

    From a file (-f) without a cluster, or of the app NAME in the cluster. Overrides of healing are
    left out.
    """
    from selfhealing.plugin.command.spec_files import read_files
    from selfhealing.plugin.view.objects import find_app
    from selfhealing.plugin.view.spec_diff import render_app

    if files:
        namespace = choice.namespace or _DEFAULT_NAMESPACE
        manifests = render_app(find_app(read_files(files), name or ""), namespace)
    else:
        from selfhealing.plugin.cluster.reader import read_app

        name = _require_name(name)
        with choice.connect() as connection:
            app = read_app(connection.cluster, connection.namespace, name).app
        manifests = render_app(app, "")
    if output == "json":
        print_data({"apiVersion": "v1", "kind": "List", "items": list(manifests)}, output)
    else:
        click.echo("---\n".join(to_yaml(manifest) for manifest in manifests), nl=False)


@click.command()
@app_argument(required=False)
@_files_option
@click.option(
    "--against",
    metavar="FILE",
    help="Compare with the objects of this file, as of kubectl get -o yaml, without a cluster.",
)
@output_option
@cluster_options
def diff(
    choice: ClusterChoice, name: str | None, files: Sequence[str], against: str | None, output: str
) -> None:
    """Compare what a spec renders with the objects of the cluster.

    The spec is that of a file (-f), or that of the app NAME in the cluster. Exit code 1 means that
    there is a difference.
    """
    from selfhealing.plugin.command.spec_files import read_files
    from selfhealing.plugin.view.objects import find_app
    from selfhealing.plugin.view.spec_diff import compare, render_app

    notes: list[str] = []
    if against is not None:
        app = find_app(read_files(files), name or "")
        live = _select_children(app, read_files([against]))
        manifests = render_app(app, choice.namespace or _DEFAULT_NAMESPACE)
    else:
        from selfhealing.plugin.cluster.reader import read_app
        from selfhealing.plugin.view.build import build_app
        from selfhealing.plugin.view.overrides import list_overrides

        file_app = find_app(read_files(files), name or "") if files else None
        name = _require_name(name or (file_app["metadata"]["name"] if file_app else None))
        with choice.connect() as connection:
            namespace = connection.namespace
            if file_app is not None and not choice.namespace:
                namespace = file_app["metadata"].get("namespace") or namespace
            objects = read_app(connection.cluster, namespace, name)
        manifests = render_app(file_app or objects.app, namespace)
        live = dict(objects.children)
        model = build_app(objects)
        notes += model.gaps
        if model.healing is not None:
            overrides = list_overrides(model.healing)
            notes += [f"healing: {override.text}, {override.end}" for override in overrides]
    differences = [each for each in compare(manifests, live) if each.text]
    if output == "text":
        lines = [line(sign(Level.WARNING), note) for note in notes]
        for each in differences:
            lines += _colour_diff(each.text.splitlines())
        print_lines(lines or [line(sign(Level.OK), "no difference")])
    else:
        from selfhealing.plugin.view.json_output import to_json

        print_data({"notes": notes, "differences": to_json(differences)}, output)
    raise click.exceptions.Exit(_DIFFERENT if differences else 0)


@click.command()
@app_argument(required=False)
@_files_option
@all_namespaces_option
@click.option("--strict", is_flag=True, help="Exit code 1 also for what is only worth a thought.")
@output_option
@cluster_options
def lint(  # noqa: PLR0913 - the options of a command
    choice: ClusterChoice,
    name: str | None,
    files: Sequence[str],
    output: str,
    *,
    all_namespaces: bool,
    strict: bool,
) -> None:
    """Give advice on specs: probes, requests, limits, autoscaling, budgets, spread.

    Of files (-f) without a cluster, of the app NAME, or of all apps of a namespace. Exit code 1
    means that something is likely to hurt, 2 that a spec is invalid.
    """
    from selfhealing.plugin.command.spec_files import read_files
    from selfhealing.plugin.view.objects import find_app

    if files:
        apps = [raw for raw in read_files(files) if raw.get("kind") == "SelfHealingApp"]
        apps = [find_app(apps, name)] if name else apps
    else:
        from selfhealing.plugin.cluster.reader import list_apps

        with choice.connect() as connection:
            where = None if all_namespaces else connection.namespace
            apps = [each.app for each in list_apps(connection.cluster, where)]
        apps = [find_app(apps, name)] if name else apps
    if not apps:
        raise click.UsageError("there is no SelfHealingApp: write NAME, -n NAMESPACE or -f FILE")
    raise click.exceptions.Exit(_print_advice(apps, output, strict=strict))


def _print_advice(apps: Iterable[Json], output: str, *, strict: bool) -> int:
    from selfhealing.api.errors import InvalidSpecError
    from selfhealing.api.spec import parse_spec
    from selfhealing.plugin.view.json_output import to_json
    from selfhealing.plugin.view.lint import format_advice, lint_spec

    exit_code, lines, data = 0, [], []
    for raw in apps:
        name = build_name(raw)
        try:
            advice = lint_spec(parse_spec(raw.get("spec") or {}))
        except InvalidSpecError as error:
            exit_code = _INVALID
            lines += [line(sign(Level.FAILED), Part(f"{name}: {error}", Level.FAILED))]
            data.append({"app": name, "error": str(error), "advice": []})
            continue
        if any(strict or each.level is Level.WARNING for each in advice):
            exit_code = max(exit_code, _DIFFERENT)
        lines += format_advice(name, advice)
        data.append({"app": name, "advice": to_json(advice)})
    if output == "text":
        print_lines(lines)
    else:
        print_data(data, output)
    return exit_code


def build_name(raw: Json) -> str:
    """Return the namespace, if it is known, and the name of an app."""
    meta = raw["metadata"]
    return "/".join(part for part in (meta.get("namespace"), meta["name"]) if part)


def _require_name(name: str | None) -> str:
    if not name:
        raise click.UsageError("write NAME of an app in the cluster, or -f FILE")
    return name


def _select_children(app: Json, objects: Iterable[Json]) -> dict[str, Json]:
    """Return the objects with the app's name, by kind, of the kinds that the operator makes."""
    from selfhealing.kube.resources import CHILDREN

    return {
        raw["kind"]: raw
        for raw in objects
        if raw["kind"] in CHILDREN and raw["metadata"].get("name") == app["metadata"]["name"]
    }


def _colour_diff(lines: Iterable[str]) -> list[Line]:
    levels = {"+": Level.OK, "-": Level.FAILED, "@": Level.BUSY}
    return [line(Part(each, levels.get(each[:1]))) for each in lines]
