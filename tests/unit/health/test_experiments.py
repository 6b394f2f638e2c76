"""What the answers to a dry run and a comparison with the nodes mean."""

import pytest

from selfhealing.health.experiments import (
    NO_EXPERIMENTS,
    DryRun,
    Experiments,
    NodeFit,
    judge_dry_run,
    judge_node_fit,
)

SECURITY = 'pods "web-x" is forbidden: violates PodSecurity "restricted:latest": privileged'
QUOTA = (
    'pods "web-x" is forbidden: exceeded quota: small, requested: cpu=2, used: cpu=3, '
    "limited: cpu=4"
)
IMPOSSIBLE = QUOTA.replace("requested: cpu=2", "requested: cpu=8,pods=1")
WEBHOOK = 'Internal error occurred: failed calling webhook "policy.example.com": timeout'


@pytest.mark.parametrize(
    ("new", "good", "needs_more", "expected"),
    [
        (None, "", False, DryRun.UNKNOWN),
        ("", None, False, DryRun.UNKNOWN),
        (WEBHOOK, "", False, DryRun.UNKNOWN),
        ("", "", False, DryRun.BOTH_ACCEPTED),
        ("", SECURITY, False, DryRun.ONLY_STABLE_REFUSED),
        (SECURITY, "", False, DryRun.ONLY_NEW_REFUSED),
        (SECURITY, SECURITY, False, DryRun.BOTH_REFUSED),
        (SECURITY, QUOTA, False, DryRun.ONLY_NEW_REFUSED),
        (QUOTA, SECURITY, True, DryRun.BOTH_REFUSED),
        (QUOTA, "", True, DryRun.ONLY_NEW_REFUSED),
        (QUOTA, "", False, DryRun.UNKNOWN),
        (QUOTA, QUOTA, True, DryRun.BOTH_REFUSED),
        (IMPOSSIBLE, QUOTA, True, DryRun.ONLY_NEW_REFUSED),
        (IMPOSSIBLE, IMPOSSIBLE, True, DryRun.BOTH_REFUSED),
        (f"{IMPOSSIBLE}=", "exceeded quota: small", True, DryRun.BOTH_REFUSED),
    ],
)
def test_dry_run(
    new: str | None,
    good: str | None,
    needs_more: bool,  # noqa: FBT001 - a table's column
    expected: DryRun,
) -> None:
    """Only what the new pod alone is refused for is its version's."""
    assert expected is judge_dry_run(new, good, needs_more=needs_more)


@pytest.mark.parametrize(
    ("new_fits", "stable_fits", "grows", "expected"),
    [
        (True, True, False, NodeFit.FITS),
        (True, False, True, NodeFit.FITS),
        (False, False, False, NodeFit.NOTHING_FITS),
        (False, True, False, NodeFit.ONLY_STABLE_FITS),
        (False, True, True, NodeFit.ONLY_STABLE_FITS_NOW),
    ],
)
def test_node_fit(new_fits: bool, stable_fits: bool, grows: bool, expected: NodeFit) -> None:  # noqa: FBT001
    """An autoscaler may bring what no node has yet."""
    assert expected is judge_node_fit(new_fits=new_fits, stable_fits=stable_fits, may_grow=grows)


@pytest.mark.parametrize(
    ("new_fits", "stable_fits", "expected"),
    [
        (True, True, NodeFit.ONLY_AFFINITY_FAILS),
        (True, False, NodeFit.FITS),
        (False, True, NodeFit.ONLY_STABLE_FITS),
    ],
)
def test_a_pod_affinity(new_fits: bool, stable_fits: bool, expected: NodeFit) -> None:  # noqa: FBT001
    """It matters only where both pods would fit without it."""
    assert expected is judge_node_fit(
        new_fits=new_fits, stable_fits=stable_fits, may_grow=False, only_affinity_fails=True
    )


def test_in_words() -> None:
    """What is not known is not told."""
    refused = Experiments(DryRun.ONLY_NEW_REFUSED, SECURITY, NodeFit.NOTHING_FITS)

    assert ("", "") == (NO_EXPERIMENTS.describe_dry_run(), NO_EXPERIMENTS.describe_node_fit())
    assert "dry run: both pods are accepted" == Experiments(DryRun.BOTH_ACCEPTED).describe_dry_run()
    assert (
        'dry run: only the new pod is refused: violates PodSecurity "restricted:latest": privileged'
    ) == refused.describe_dry_run()
    assert "nodes: no node could take a pod of either version" == refused.describe_node_fit()
