"""The errors of a resource.

::

    SelfHealingError
    └── InvalidSpecError    the spec is invalid until its author edits it

A message has the path of the field, its value and what to write instead. The status and Events of
the resource show it unchanged.
"""

from dataclasses import dataclass


class SelfHealingError(Exception):
    """The base class of the errors of this package."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid field of a spec."""

    path: str
    """The path of the field, such as ``spec.probes.liveness``."""

    detail: str
    """Its value, and what to write instead."""

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class InvalidSpecError(SelfHealingError):
    """The spec of a resource is invalid until it is edited; a retry does not help."""

    def __init__(self, *field_errors: FieldError) -> None:
        super().__init__("; ".join(str(problem) for problem in field_errors))
        self.field_errors = field_errors
