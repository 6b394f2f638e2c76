"""What holds for the attribution of any set of pods."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from hypothesis import given, strategies as st

from tests.unit.builders import pod, running
from tests.unit.health.situations import (
    RESOLVE,
    STALLED,
    UNDER_WAY,
    Json,
    blames_version,
    build_template,
    crashing,
    diagnose,
    judge,
    unready,
    waiting_pod,
)

CONTAINERS: Final = st.sampled_from(["app", "proxy", "injected"])
PODS: Final = st.lists(
    st.tuples(
        st.sampled_from(["abc", "def"]),
        CONTAINERS,
        st.sampled_from(["crash", "ready", "unready", "pull"]),
    ),
    min_size=1,
    max_size=7,
)


def build_pods(kinds: Sequence[tuple[str, str, str]], *, prefix: str = "p") -> list[Json]:
    """The pods of a drawn situation."""
    result = []
    for n, (template_hash, container, state) in enumerate(kinds):
        name = f"web-{template_hash}-{prefix}{n}"
        if state == "crash":
            result.append(crashing(name, container))
        elif state == "pull":
            result.append(waiting_pod(name, "ErrImagePull", f"{RESOLVE}not found", container))
        else:
            result.append(unready(name) if state == "unready" else pod(name, running()))
    return result


WITH_PROXY: Final = build_template(sidecars=[{"name": "proxy", "image": "p:1"}])
NEW_WITH_PROXY: Final = build_template("web:v2", sidecars=[{"name": "proxy", "image": "p:2"}])


@given(PODS, st.randoms())
def test_names_and_order_change_nothing(
    kinds: list[tuple[str, str, str]],
    random: Any,  # noqa: ANN401 - Hypothesis' random
) -> None:
    """Only what the pods show counts."""
    pods = build_pods(kinds)
    renamed = build_pods(kinds, prefix="x")
    random.shuffle(renamed)
    templates = {"good": WITH_PROXY, "new": NEW_WITH_PROXY}

    assert judge(*pods, **templates) == judge(*renamed, **templates)


@given(PODS)
def test_a_container_that_both_versions_have_changes_nothing(
    kinds: list[tuple[str, str, str]],
) -> None:
    """It is in both templates, and fails in no pod."""
    extra = {"name": "extra", "image": "extra:1"}
    good, new = deepcopy(WITH_PROXY), deepcopy(NEW_WITH_PROXY)
    for template in (good, new):
        template["spec"]["containers"].append(extra)
    pods = build_pods(kinds)
    with_extra = deepcopy(pods)
    for each in with_extra:
        each["spec"]["containers"].append(extra)
        each["status"]["containerStatuses"].append(running(name="extra"))

    assert judge(*pods, good=WITH_PROXY, new=NEW_WITH_PROXY) == judge(
        *with_extra, good=good, new=new
    )


@given(PODS)
def test_a_template_that_changed_nothing_is_never_blamed(
    kinds: list[tuple[str, str, str]],
) -> None:
    """Whatever its pods show."""
    for conditions in ([UNDER_WAY], [STALLED]):
        assert not blames_version(
            judge(
                *build_pods(kinds), good=WITH_PROXY, new=deepcopy(WITH_PROXY), conditions=conditions
            )
        )


@given(PODS)
def test_a_comparison_is_short(kinds: list[tuple[str, str, str]]) -> None:
    """It has a limit in the status."""
    found = diagnose(*build_pods(kinds), good=WITH_PROXY, new=NEW_WITH_PROXY)

    assert all(len(each.comparison) <= 256 for each in found)
