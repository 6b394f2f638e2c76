"""What Kubernetes takes where a probe does not say."""

from typing import Final

DEFAULT_PERIOD: Final = 10
DEFAULT_FAILURES: Final = 3
DEFAULT_TIMEOUT: Final = 1
"""The defaults of periodSeconds, failureThreshold and timeoutSeconds (core/v1 Probe)."""
