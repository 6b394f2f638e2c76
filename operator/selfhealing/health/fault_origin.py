"""Tells from the cluster's own words whether a version or its surroundings are at fault.

The known texts are those of Kubernetes 1.36 (pkg/kubelet/kuberuntime, pkg/volume, pkg/scheduler),
containerd 2 and runc. A text that names nothing known leaves the question to a comparison of pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from selfhealing.api.config_refs import CONFIG_MAP, SECRET
from selfhealing.api.linear_regex import Pattern, compile_pattern
from selfhealing.health.messages import PullCause, classify_pull, strip_quoted
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.template_change import PERSISTENT_VOLUME_CLAIM, Reference


class FaultOrigin(Enum):
    """What the text of a fault proves."""

    VERSION_CONTENT = auto()
    """The content of the version: an image, a command or a reference that does not exist."""
    ENVIRONMENT = auto()
    """The registry, the network, a node, a volume: no version is at fault."""
    UNDETERMINED = auto()
    """Nothing: a crash, a kill, a probe, or an unknown text."""


@dataclass(frozen=True, slots=True)
class FaultSource:
    """What the text of a fault says.

    Attributes:
        origin: what it proves.
        is_image: the fault is the pull of an image.
        reference: the object, or the key in it, that is missing; its name is empty if unknown.
        volume: the pod's volume that cannot be mounted; empty if it is another fault.
    """

    origin: FaultOrigin
    is_image: bool = False
    reference: Reference | None = None
    volume: str = ""


_RUNTIME_DIAGNOSES: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.OOM_KILLED,
        DiagnosisType.NOT_READY_TOO_LONG,
    }
)
"""Diagnoses of containers that have started. Their text is about the app, such as the answer to a
probe ("connection refused"), and proves nothing."""

_IMAGE_FAULTS: Final = frozenset(
    {PullCause.NOT_FOUND, PullCause.INVALID_NAME, PullCause.WRONG_PLATFORM}
)
"""The causes of a failed pull that lie in the image; all others lie in its surroundings."""

_PULL: Final = compile_pattern(
    r"(?i)pulling image|pull and unpack|pull image|failed to resolve reference|image name"
)
_KINDS: Final[Mapping[str, str]] = {
    "configmap": CONFIG_MAP,
    "config": CONFIG_MAP,
    "secret": SECRET,
    "persistentvolumeclaim": PERSISTENT_VOLUME_CLAIM,
}
_MISSING_OBJECT: Final = compile_pattern(
    r'(?i)\b(configmap|secret|persistentvolumeclaim)s? "([^"]{1,253})" not found'
)
_MISSING_KEY: Final = compile_pattern(
    r"(?i)couldn't find key ([-._a-z0-9]{1,253}) in (configmap|secret) [^/ ]{1,63}/([^ ,]{1,253})"
)
_MISSING_FILE_KEY: Final = compile_pattern(
    r"(?i)references non-existent (config|secret) key: ([-._a-z0-9]{1,253})"
)
_VOLUME: Final = compile_pattern(
    r'(?i)(?:for volume "|unmounted volumes=\[)([-a-z0-9]{1,63})["\] ,]'
)

_ORIGINS: Final[Mapping[Pattern, FaultOrigin]] = {
    compile_pattern(f"(?i){pattern}"): origin
    for pattern, origin in {
        # A limit that is too low for the container to start, which the version may have lowered.
        r"init was oom-killed|unable to set memory limit": FaultOrigin.UNDETERMINED,
        r"no space left|disk quota exceeded|input/output error"
        r"|too many open files|cannot allocate memory|resource temporarily unavailable"
        r"|device or resource busy|cgroup|fork/exec|dbus|ttrpc|transport is closing": (
            FaultOrigin.ENVIRONMENT
        ),
        r"sandbox|network plugin|networkplugin|\bcni\b|ipam|no such host|no route to host"
        r"|connection (?:refused|reset)|timed out|timeout|deadline exceeded|x509": (
            FaultOrigin.ENVIRONMENT
        ),
        r"mountvolume|mountdevice|attachvolume|multi-attach|attach or mount|unmounted volumes"
        r"|is reserved for|failed to reserve|services have not yet been read|not registered"
        r"|failed to sync (?:configmap|secret) cache|failed calling webhook": (
            FaultOrigin.ENVIRONMENT
        ),
        r"\bexec\b.*(?:executable file|exec format error|no such file or directory"
        r"|permission denied|is a directory|not a directory)"
        r"|chdir to cwd.*(?:no such file|permission denied|not a directory)"
        r"|unable to find (?:user|group)|no command specified|runasnonroot and image": (
            FaultOrigin.VERSION_CONTENT
        ),
    }.items()
}
"""Patterns in the text of a fault and what it proves; the first that matches counts. The command
and all names are removed from the text before."""


_MAX_REMEMBERED: Final = 256
"""Texts of which it is remembered what they prove: an attribution asks up to four times for the
same one, and each reconcile again. The cache cuts a text to ``views.TEXT_LIMIT`` characters."""


@lru_cache(maxsize=_MAX_REMEMBERED)
def classify_fault(diagnosis_type: DiagnosisType, text: str) -> FaultSource:
    """Tell what the text of a fault proves.

    Args:
        diagnosis_type: what is wrong.
        text: the words of the kubelet, the scheduler or the API server; empty without any.
    """
    if diagnosis_type in _RUNTIME_DIAGNOSES:
        return FaultSource(FaultOrigin.UNDETERMINED)
    if diagnosis_type is DiagnosisType.IMAGE_PULL_FAILING or _PULL.search(text):
        return _classify_pull(text)
    if (missing := _find_missing_reference(text)) is not None:
        return FaultSource(FaultOrigin.VERSION_CONTENT, reference=missing)
    plain = strip_quoted(text)
    origin = next(
        (origin for pattern, origin in _ORIGINS.items() if pattern.search(plain)),
        FaultOrigin.UNDETERMINED,
    )
    volume = _VOLUME.search(text)
    return FaultSource(origin, volume=volume[1] if volume else "")


def _classify_pull(text: str) -> FaultSource:
    cause = classify_pull(text)
    if cause is None:
        return FaultSource(FaultOrigin.UNDETERMINED, is_image=True)
    is_image_fault = cause in _IMAGE_FAULTS
    origin = FaultOrigin.VERSION_CONTENT if is_image_fault else FaultOrigin.ENVIRONMENT
    return FaultSource(origin, is_image=True)


def _find_missing_reference(text: str) -> Reference | None:
    if (match := _MISSING_KEY.search(text)) is not None:
        return Reference(_KINDS[match[2].lower()], match[3].rstrip(".;:"), match[1])
    if (match := _MISSING_OBJECT.search(text)) is not None:
        return Reference(_KINDS[match[1].lower()], match[2])
    if (match := _MISSING_FILE_KEY.search(text)) is not None:
        return Reference(_KINDS[match[1].lower()], "", match[2])
    return None
