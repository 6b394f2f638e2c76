"""The options that the commands share, and what they lead to: the cluster and a namespace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from selfhealing.plugin.cluster.kubectl_proxy import KubectlProxy, Target

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """What the person has chosen; empty for what the kubeconfig says."""

    kubeconfig: str
    context: str
    namespace: str

    @property
    def target(self) -> "Target":
        """The cluster."""
        from selfhealing.plugin.cluster.kubectl_proxy import Target

        return Target(self.kubeconfig, self.context)

    @contextmanager
    def connect(self) -> Iterator["Connection"]:
        """Connect to the cluster, and find the namespace meanwhile.

        Raises:
            KubectlError: kubectl is missing, or the kubeconfig has no such context.
        """
        from concurrent.futures import ThreadPoolExecutor

        from selfhealing.plugin.cluster.kubectl_proxy import (
            KubectlProxy,
            read_default_namespace,
        )

        target = self.target
        if self.namespace:
            with KubectlProxy(target) as cluster:
                yield Connection(cluster, self.namespace)
            return
        with ThreadPoolExecutor(1) as pool:
            namespace = pool.submit(read_default_namespace, target)
            with KubectlProxy(target) as cluster:
                yield Connection(cluster, namespace.result())


@dataclass(frozen=True, slots=True)
class Connection:
    """The cluster, and the namespace that is meant."""

    cluster: "KubectlProxy"
    namespace: str


def cluster_options(command: _Command) -> _Command:
    """Add the options that choose the cluster and the namespace, as the argument ``choice``."""

    def collect(**values: Any) -> Any:  # noqa: ANN401 - the arguments of any command
        choice = ClusterChoice(
            values.pop("kubeconfig") or "",
            values.pop("context") or "",
            values.pop("namespace") or "",
        )
        return command(choice=choice, **values)

    collect.__doc__ = command.__doc__
    collect.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    options = (
        click.option("-n", "--namespace", metavar="NAME", help="Its namespace."),
        click.option("--context", metavar="NAME", help="The context of the kubeconfig."),
        click.option("--kubeconfig", metavar="FILE", help="The kubeconfig."),
    )
    decorated: Any = collect
    for option in options:
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def output_option(command: _Command) -> _Command:
    """Add the option ``-o``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json", "yaml"]),
        default="text",
        show_default=True,
        help="How it is printed.",
    )(command)


def all_namespaces_option(command: _Command) -> _Command:
    """Add the option ``-A``."""
    return click.option("-A", "--all-namespaces", is_flag=True, help="The apps of all namespaces.")(
        command
    )


def complete_app_names(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of apps for the completion of the shell; none if they cannot be read."""
    from selfhealing.kube.errors import ApiError
    from selfhealing.plugin.cluster.kubectl_proxy import KubectlError
    from selfhealing.plugin.cluster.reader import list_apps

    given = context.params
    choice = ClusterChoice(
        *(given.get(key) or "" for key in ("kubeconfig", "context", "namespace"))
    )
    try:
        with choice.connect() as connection:
            apps = list_apps(connection.cluster, connection.namespace)
    except (ApiError, KubectlError):
        return []
    names = (str(each.app["metadata"]["name"]) for each in apps)
    return sorted(name for name in names if name.startswith(incomplete))


def app_argument(*, required: bool = True) -> Callable[[_Command], _Command]:
    """Return the decorator for the argument NAME."""
    return click.argument(
        "name",
        required=required,
        shell_complete=complete_app_names,
        metavar="NAME" if required else "[NAME]",
    )
