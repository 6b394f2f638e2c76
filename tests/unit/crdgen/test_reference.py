"""The reference page."""

import pytest

from selfhealing.crdgen import reference


@pytest.fixture(scope="module")
def page() -> str:
    return reference.render_page()


@pytest.mark.parametrize(
    "line",
    [
        (
            "| `replicas` | integer | `1` | ≥ 0 |"
            " The number of pods, if there is no `autoscaling`; 0 stops the app."
            " It is always set, so that an autoscaler of another kind may scale this resource. |"
        ),
        (
            "| `port` | integer |  | 1 to 65535 | The port that the app listens on:"
            " the Service's target and the default of every probe."
            " Its name is http; with another name, protocol or application protocol write it"
            " under `ports`. |"
        ),
        (
            "| `imagePullPolicy` | Always \\| IfNotPresent \\| Never |  |  |"
            " When to pull the image; Kubernetes' default depends on the tag. |"
        ),
        "| `env` | core/v1 Container.env |  |  | Environment variables. |",
        "| `command` | list of string |  |  | Replaces the image's ENTRYPOINT. |",
        "| `service.enabled` | boolean | `true` |  | False: no Service. |",
        (
            "| `autoscaling.maxReplicas` | integer | **required** | ≥ 1 |"
            " The maximum number of pods. |"
        ),
        (
            "- `spec.replicas`: replicas and autoscaling exclude each other: remove replicas (the"
            " autoscaler stays between minReplicas and maxReplicas), or remove autoscaling."
        ),
        "- `spec.service.nodePort`: nodePort needs type: NodePort or LoadBalancer.",
        "| core/v1 PodSpec | overhead | Kubernetes sets it from the RuntimeClass |",
        (
            "| core/v1 PodSpec | preemptionPolicy, priority |"
            " Kubernetes sets it from the PriorityClass |"
        ),
        (
            "| `restarts.byReason` | map of integer |"
            " The total by the reason why the container ended. |"
        ),
        "| `pods[].lastRestart.at` | time | When it ended. |",
        (
            "| `conditions` | list of meta/v1 Condition |"
            " Ready, Reconciled, Progressing, Healthy, Paused; where they apply Reconciling and"
            " Stalled (as kstatus defines them), ScalingActive, IngressReady, RouteAccepted,"
            " PodSecurityAdmitted and OwnershipVerified. |"
        ),
    ],
)
def test_a_field_is_a_row(page: str, line: str) -> None:
    """A row has path, type, default, rule and meaning."""
    assert line in page.splitlines()


def test_the_conditions_are_not_taken_apart(page: str) -> None:
    """Conditions are Kubernetes' own type."""
    assert "conditions[].type" not in page


def test_a_row_is_one_line(page: str) -> None:
    """A description of several lines would end a Markdown table."""
    rows = [line for line in page.splitlines() if line.startswith("|")]

    assert [] == [row for row in rows if not row.endswith("|")]
