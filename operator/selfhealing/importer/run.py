"""Imports a Deployment and what belongs to it, and compares the result with the manifests."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api import limits, names
from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.importer.build_spec import (
    MIN_PODS_OF_BUDGET,
    BuiltSpec,
    build_spec,
    keeps_selecting,
    min_pods,
)
from selfhealing.importer.compare import find_mismatches, resolve_port_names
from selfhealing.importer.json_values import Json, as_map, get_path
from selfhealing.importer.manifests import Related, find_related
from selfhealing.importer.object_text import ImportRefusedError
from selfhealing.importer.reasons import explain, is_replaced
from selfhealing.render import Owner, build_children

_APP_NAME: Final = compile_pattern("^[a-z]([-a-z0-9]*[a-z0-9])?$")
_MAX_NAME: Final[int] = limits.dns_label["maxLength"]
_DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is rendered otherwise than the manifests say, or not at all."""

    path: str
    """Where, such as ``Deployment.spec.paused``."""

    given: Any
    """What the manifest says."""

    rendered: Any
    """What the operator renders; None for nothing."""

    reason: str
    """Why, and what to write instead."""

    is_replaced: bool = False
    """Whether the operator replaces it by design, and no pod runs otherwise for it."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A SelfHealingApp, and how it differs from the manifests that it was made of."""

    app: Json
    """The resource."""

    differences: tuple[Difference, ...]
    """What is rendered with another value."""

    unsaid: tuple[Difference, ...]
    """What is not rendered: the resource cannot say it."""

    notes: tuple[str, ...]
    """What is there in addition, by a default of the operator."""


def import_app(
    objects: Sequence[Json],
    name: str | None = None,
    namespace: str | None = None,
    app_name: str | None = None,
) -> ImportResult:
    """Return the shortest SelfHealingApp that renders a Deployment and what belongs to it.

    Args:
        objects: the manifests, of which others may be there.
        name: the Deployment; needed if there are several.
        namespace: its namespace; needed if there are several of that name.
        app_name: the name of the app; by default that of the Deployment.

    Raises:
        ImportRefusedError: there is no such Deployment, or it can be no app.
    """
    related = find_related(objects, name, namespace, app_name)
    app_name = app_name or str(related.deployment["metadata"]["name"])
    if len(app_name) > _MAX_NAME or not _APP_NAME.search(app_name):
        raise ImportRefusedError(
            f"the app would be called {app_name}, like its Service: write --name with at most"
            f" {_MAX_NAME} lower-case letters, digits and '-', beginning with a letter"
        )
    built = build_spec(related, app_name)
    spec, parsed, corrections = _correct(built.spec)
    home = get_path(related.deployment, "metadata", "namespace")
    owner = Owner(str(home or _DEFAULT_NAMESPACE), app_name, "")
    children = {child["kind"]: child for child in build_children(owner, parsed)}
    found = [
        *_compare_all(related, children, built),
        *corrections,
        *_describe_others(related, app_name, spec),
    ]
    return ImportResult(
        app={
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": app_name, **({"namespace": home} if home else {})},
            "spec": spec,
        },
        differences=tuple(each for each in found if each.rendered is not None),
        unsaid=tuple(each for each in found if each.rendered is None),
        notes=tuple(_describe_additions(related, children)),
    )


def _correct(spec: Json) -> tuple[Json, SelfHealingAppSpec, list[Difference]]:
    """Return the spec without the fields that the resource refuses.

    Raises:
        ImportRefusedError: nothing is left to import.
    """
    spec = copy.deepcopy(spec)
    corrections: list[Difference] = []
    while True:  # each pass removes a field
        try:
            return spec, parse_spec(spec), corrections
        except InvalidSpecError as error:
            problem = error.field_errors[0]
            field = problem.path.removeprefix("spec.").partition(".")[0].partition("[")[0]
            if field not in spec:
                raise ImportRefusedError(str(error)) from error
            corrections.append(
                Difference(problem.path, spec.pop(field), None, f"its value {problem.detail}")
            )


def _compare_all(
    related: Related, children: dict[str, Json], built: BuiltSpec
) -> Iterator[Difference]:
    for given in related.imported:
        kind = str(given["kind"])
        if kind not in children:
            yield Difference(kind, get_path(given, "spec"), None, _why_missing(related, kind))
            continue
        pod_specs = (
            as_map(get_path(each, "spec", "template", "spec"))
            for each in (related.deployment, children["Deployment"])
        )
        services = (related.service, children.get("Service"))
        old, new = (
            resolve_port_names(manifest, pod_spec, service)
            for manifest, pod_spec, service in zip(
                (given, children[kind]), pod_specs, services, strict=True
            )
        )
        for mismatch in find_mismatches(old, new, built.container_names):
            yield Difference(
                _format_path(kind, mismatch.where),
                mismatch.given,
                mismatch.rendered,
                explain(kind, mismatch),
                is_replaced(kind, mismatch),
            )


def _format_path(kind: str, where: tuple[str, ...]) -> str:
    return kind + "".join(part if part.startswith("[") else f".{part}" for part in where)


def _why_missing(related: Related, kind: str) -> str:
    if kind == "PodDisruptionBudget" and min_pods(related) < MIN_PODS_OF_BUDGET:
        return (
            "with fewer than 2 pods a budget protects nothing or blocks every drain: with"
            " replicas: 2 there is one"
        )
    return "none of its ports leads to a port of the pods"


def _describe_others(related: Related, name: str, spec: Json) -> Iterator[Difference]:
    for other in related.others:
        kind = str(other["kind"])
        reason = f"an app has one {kind}, for one Service"
        if any(other is each for each in related.shared):
            reason = "it leads to the pods of other Deployments, too"
        if kind == "Service" and not keeps_selecting(other, name, spec):
            advice = f"keep it, and write {names.LABEL_APP}: {name} as its selector"
        elif kind == "Service":
            advice = "keep it: it still selects the pods"
        elif kind == "Ingress":
            advice = "keep it, and lead it to the Service of the app"
        else:
            advice = "remove it"
        yield Difference(
            f"{kind} {get_path(other, 'metadata', 'name')}",
            get_path(other, "spec"),
            None,
            f"{reason}: {advice}",
        )


def _describe_additions(related: Related, children: dict[str, Json]) -> Iterator[str]:
    if related.budget is None and "PodDisruptionBudget" in children:
        yield (
            "a PodDisruptionBudget comes with 2 or more pods: for none write"
            " disruption: {enabled: false}"
        )
    pod_spec = as_map(get_path(related.deployment, "spec", "template", "spec"))
    if "enableServiceLinks" not in pod_spec:
        yield (
            "the pods get no variables such as WEB_PORT for each Service: for an app that reads"
            " them write enableServiceLinks: true"
        )
