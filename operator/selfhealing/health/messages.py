"""Shortens the cluster's messages to their cause, so that the text is the same on each retry.

The messages of Kubernetes are long, name another pod, port or waiting time on each retry, and have
the cause at their end. The known texts are those of Kubernetes 1.36, containerd 2 and runc; an
unknown text is cut.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from selfhealing.api.linear_regex import Pattern, compile_pattern

MAX_LENGTH: Final = 120
"""The longest text of another component in a message, in characters."""

MAX_QUOTED: Final = 8
"""Quoted names that are removed from a text."""


class PullCause(StrEnum):
    """Why an image cannot be pulled; the value is a clause for people."""

    RATE_LIMITED = "the registry limits the request rate"
    ACCESS_DENIED = "access is denied, or there is no such image"
    NODE_STORE_BROKEN = "the node cannot unpack it"
    NAME_NOT_RESOLVED = "the registry's name is not resolved"
    UNREACHABLE = "the registry is out of reach"
    CERTIFICATE_NOT_TRUSTED = "the registry's certificate is not trusted"
    NOT_HTTPS = "the registry speaks HTTP, not HTTPS"
    TIMEOUT = "the registry does not answer in time"
    NO_SPACE = "no space is left on the node"
    INVALID_NAME = "its name is not valid"
    WRONG_PLATFORM = "there is none for the node's platform"
    NOT_FOUND = "not found"
    SIGNATURE_INVALID = "its signature is not valid"
    REGISTRY_FAILS = "the registry fails"


_PULL_CAUSES: Final[Mapping[Pattern, PullCause]] = {
    compile_pattern(pattern): cause
    for pattern, cause in {
        r"rate limit|toomanyrequests|too many requests": PullCause.RATE_LIMITED,
        r"denied|authorization failed|unauthorized|forbidden": PullCause.ACCESS_DENIED,
        r"failed to extract|content digest|parent snapshot": PullCause.NODE_STORE_BROKEN,
        r"no such host|name resolution|server misbehaving": PullCause.NAME_NOT_RESOLVED,
        r"connection refused|no route to host|unreachable": PullCause.UNREACHABLE,
        r"x509|certificate": PullCause.CERTIFICATE_NOT_TRUSTED,
        r"http response to https client": PullCause.NOT_HTTPS,
        r"timeout|timed out|deadline exceeded": PullCause.TIMEOUT,
        r"no space left": PullCause.NO_SPACE,
        r"invalid reference format|couldn't parse image": PullCause.INVALID_NAME,
        r"no match for platform|no matching manifest": PullCause.WRONG_PLATFORM,
        r"not found|manifest unknown|name unknown": PullCause.NOT_FOUND,
        r"signature validation failed": PullCause.SIGNATURE_INVALID,
        r"unexpected status|registry is unavailable|\beof\b|reset by peer": (
            PullCause.REGISTRY_FAILS
        ),
    }.items()
}
"""Patterns in the message of a failed pull and their causes; the first that matches counts. What
says that the registry, the network or the node is at fault comes before what says that the image
does not exist: only the latter is blamed on a version."""

_SIGNALS: Final[Mapping[int, str]] = {
    130: "SIGINT",
    132: "SIGILL",
    134: "SIGABRT",
    135: "SIGBUS",
    136: "SIGFPE",
    137: "SIGKILL",
    139: "SIGSEGV",
    143: "SIGTERM",
}
"""Exit codes that stand for a signal (128 + its number)."""

_BACKOFF_PREFIX: Final = compile_pattern(
    r'^(?:Back-off pulling image "[^"]*"(?:: )?)?(?:ErrImagePull: )?'
)
_QUOTED: Final = compile_pattern(r'"[^"]*"')
_NODES_PREFIX: Final = compile_pattern(r"^0/\d+ nodes are available: ")
_NO_AFFINITY_MATCH: Final = compile_pattern(
    r"\b(?P<count>\d{1,6}) node\(s\) didn't match pod affinity rules"
)
"""Of the scheduler's filter InterPodAffinity (pkg/scheduler/framework/plugins, Kubernetes 1.36)."""
_START_PREFIX: Final = compile_pattern(
    r"(?s)^.*(?:container init|container process|create failed): "
)
_FORBIDDEN_PREFIX: Final = compile_pattern(r'^(?:pods? "[^"]+"|\S+) is forbidden: ')
_PULL_SECRETS: Final = compile_pattern(
    r"^Unable to retrieve some image pull secrets \((?P<names>[a-z0-9., -]{1,253})\)"
)
_FAILED_SETUP: Final = compile_pattern(
    r'^(?:MountVolume|AttachVolume|MapVolume)\.\w+ failed for volume "(?P<volume>[^"]{1,253})" : '
)
_UNMOUNTED: Final = compile_pattern(
    r"^Unable to attach or mount volumes: unmounted volumes=\[(?P<volumes>[^\]]{1,253})\]"
)
_MISSING_CONFIG: Final = compile_pattern(
    r'(?:configmap|secret) "[^"]{1,253}" not found|references non-existent (?:config|secret) key'
)
_OWN_LIMIT: Final = compile_pattern(
    r'^(?:Usage of EmptyDir volume "(?P<volume>[^"]{1,63})" exceeds the limit'
    r"|Container (?P<container>\S{1,63}) exceeded its local ephemeral storage limit"
    r"|Pod ephemeral local storage usage exceeds the total limit of containers)"
    r' "?(?P<limit>[0-9A-Za-z.]{1,32})'
)
"""Messages of evictions for a limit of the pod itself (pkg/kubelet/eviction, Kubernetes 1.36)."""

_GENERATED_SUFFIX: Final = "-[a-z0-9]{1,10}-[a-z0-9]{5}"
"""What a Deployment's ReplicaSet appends to the name of a pod."""


def shorten(text: str, limit: int = MAX_LENGTH) -> str:
    """Cut ``text`` to ``limit`` characters, at the end of a word if possible."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    whole_words = head.rsplit(" ", 1)[0]
    return (whole_words if len(whole_words) > limit // 2 else head).rstrip(" ,;:") + "…"


def pull_cause(message: str) -> str:
    """Why an image could not be pulled; empty if the message does not say."""
    known = classify_pull(message)
    return known or shorten(_BACKOFF_PREFIX.sub("", message).rpartition(": ")[2])


def classify_pull(message: str) -> PullCause | None:
    """Return the known cause of a failed pull; None if the message names none."""
    lowered = strip_quoted(_BACKOFF_PREFIX.sub("", message)).lower()
    return next((cause for pattern, cause in _PULL_CAUSES.items() if pattern.search(lowered)), None)


def strip_quoted(text: str) -> str:
    """Remove what is quoted in a text, also where it is repeated without quotes.

    The names of images, files and commands may contain the text of an error.
    """
    rest = _QUOTED.sub("", text)
    for match in islice(_QUOTED.finditer(text), MAX_QUOTED):
        name = match[0].strip('"')
        if not name.isalnum():
            rest = rest.replace(name, "") if name else rest
    return rest


def start_cause(message: str) -> str:
    """Why the container runtime could not start a container: the end of its chain of errors."""
    return shorten(_START_PREFIX.sub("", message, count=1).removesuffix(": unknown"))


def scheduling_cause(message: str) -> str:
    """Why the scheduler finds no node, without its sentences on claims and preemption."""
    return first_sentence(_NODES_PREFIX.sub("", message))


def count_affinity_misfits(message: str) -> int:
    """Count the nodes that the scheduler says only the pod affinity keeps the pod from.

    That filter comes last: such a node has passed all the others, those on free resources, too.
    """
    match = _NO_AFFINITY_MATCH.search(message)
    return int(match["count"]) if match is not None else 0


def refusal_cause(message: str) -> str:
    """Why the API server refused a pod, without the pod's generated name."""
    return shorten(_FORBIDDEN_PREFIX.sub("", message))


def missing_pull_secrets(message: str) -> str:
    """The names of the image pull secrets that the kubelet cannot read; empty if none is named."""
    match = _PULL_SECRETS.match(message)
    return shorten(match["names"]) if match is not None else ""


def mount_cause(message: str) -> str:
    """Why a volume is not there, in a clause that names the volume if the message does."""
    setup, unmounted = _FAILED_SETUP.match(message), _UNMOUNTED.match(message)
    if setup is not None:
        return f"cannot mount volume {setup['volume']}: {shorten(message[setup.end() :])}"
    if unmounted is not None:
        return f"waits for its volumes: {shorten(unmounted['volumes'].replace(' ', ', '))}"
    return f"cannot mount a volume: {shorten(message)}"


def is_missing_config(message: str) -> bool:
    """Whether a volume is not there because its ConfigMap, Secret or key does not exist."""
    return _MISSING_CONFIG.search(message) is not None


class OwnLimit(NamedTuple):
    """The storage limit that a pod was evicted for: of a volume, a container, or the pod."""

    volume: str
    container: str
    limit: str

    def describe(self, mount_path: str = "") -> str:
        """Say whose limit it is; ``mount_path``: where the volume is mounted, if it is known."""
        if self.volume:
            return (
                f"{shorten(mount_path) or f'volume {self.volume}'} over its limit of {self.limit}"
            )
        subject = f"container {self.container}" if self.container else "the pod"
        return f"{subject} over its storage limit of {self.limit}"


def find_own_limit(message: str) -> OwnLimit | None:
    """Find the limit of its own that a pod was evicted for; None if it was for another reason."""
    match = _OWN_LIMIT.match(message)
    if match is None:
        return None
    parts = match.groupdict()
    return OwnLimit(parts["volume"] or "", parts["container"] or "", parts["limit"].rstrip("."))


def first_sentence(message: str) -> str:
    """The first sentence of a message: the others often contain changing numbers."""
    return shorten(message.split(". ", 1)[0].rstrip("."))


def strip_pod_names(text: str, app_name: str) -> str:
    """Replace the names of an app's pods: the message is about the app, not about one pod."""
    return re.sub(rf"\b{re.escape(app_name)}{_GENERATED_SUFFIX}\b", f"{app_name}-…", text)


def summarize_pods(pod_names: Sequence[str], message: str) -> str:
    """Put the first pod's name before a message: "web-1 and 2 more: keeps crashing"."""
    other_count = len(pod_names) - 1
    return f"{pod_names[0]}{f' and {other_count} more' if other_count else ''}: {message}"


def format_duration(delta: timedelta) -> str:
    """Format a duration in minutes if it is a whole number of them: "10 minutes", "90 seconds"."""
    seconds = int(delta.total_seconds())
    number, unit = (seconds, "second") if seconds % 60 else (seconds // 60, "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def format_elapsed(delta: timedelta) -> str:
    """Format an elapsed time to the second: "2 h 5 min 3 s"."""
    minutes, seconds = divmod(int(delta.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def describe_exit_code(code: int) -> str:
    """Describe an exit code and the signal that it stands for: "exit code 137, SIGKILL"."""
    signal = _SIGNALS.get(code)
    return f"exit code {code}, {signal}" if signal else f"exit code {code}"
