"""What can be wrong with a resource, as one tree.

::

    SelfHealingError
    └── InvalidSpecError    the spec of a resource cannot be read; only its author can put it right

A message names the field by its path, says what was found and what to write instead: it is shown
as it is in the resource's status, in an Event and by the command line.
"""

from dataclasses import dataclass


class SelfHealingError(Exception):
    """The root of every error that this program raises on purpose."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a spec."""

    path: str
    """The field as a user writes it: ``spec.probes.liveness``."""

    detail: str
    """What was found and what to write instead."""

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class InvalidSpecError(SelfHealingError):
    """The spec of a resource cannot be read. Trying again does not help; an edit does."""

    def __init__(self, *field_errors: FieldError) -> None:
        super().__init__("; ".join(str(problem) for problem in field_errors))
        self.field_errors = field_errors
