"""Shortens the cluster's messages to their cause, so that the text is the same on each retry.

The messages of Kubernetes are long, name another pod, port or waiting time on each retry, and have
the cause at their end. The known texts are those of Kubernetes 1.36, containerd 2 and runc; an
unknown text is cut.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from selfhealing.api.linear_regex import Pattern, compile_pattern

MAX_LENGTH: Final = 120
"""The longest text of another component in a message, in characters."""

_PULL_CAUSES: Final[Mapping[Pattern, str]] = {
    compile_pattern(pattern): cause
    for pattern, cause in {
        r"rate limit|toomanyrequests|too many requests": "the registry limits the request rate",
        r"denied|authorization failed|unauthorized|forbidden": (
            "access is denied, or there is no such image"
        ),
        r"no match for platform|no matching manifest": "there is none for the node's platform",
        r"not found|manifest unknown|name unknown": "not found",
        r"no such host|name resolution|server misbehaving": "the registry's name is not resolved",
        r"connection refused|no route to host|unreachable": "the registry is out of reach",
        r"x509|certificate": "the registry's certificate is not trusted",
        r"http response to https client": "the registry speaks HTTP, not HTTPS",
        r"timeout|timed out|deadline exceeded": "the registry does not answer in time",
        r"no space left": "no space is left on the node",
        r"signature validation failed": "its signature is not valid",
        r"unexpected status|registry is unavailable|\beof\b|reset by peer": "the registry fails",
    }.items()
}
"""Patterns in the message of a failed pull and their causes; the first that matches counts."""

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
_START_PREFIX: Final = compile_pattern(
    r"(?s)^.*(?:container init|container process|create failed): "
)
_FORBIDDEN_PREFIX: Final = compile_pattern(r'^(?:pods? "[^"]+"|\S+) is forbidden: ')
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
    cause = _BACKOFF_PREFIX.sub("", message)
    lowered = _QUOTED.sub("", cause).lower()
    for pattern, meaning in _PULL_CAUSES.items():
        if pattern.search(lowered):
            return meaning
    return shorten(cause.rpartition(": ")[2])


def start_cause(message: str) -> str:
    """Why the container runtime could not start a container: the end of its chain of errors."""
    return shorten(_START_PREFIX.sub("", message, count=1).removesuffix(": unknown"))


def scheduling_cause(message: str) -> str:
    """Why the scheduler finds no node, without its sentences on claims and preemption."""
    return first_sentence(_NODES_PREFIX.sub("", message))


def refusal_cause(message: str) -> str:
    """Why the API server refused a pod, without the pod's generated name."""
    return shorten(_FORBIDDEN_PREFIX.sub("", message))


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
