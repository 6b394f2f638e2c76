"""The page names all injections of operator-chaos, and only tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / folder / "crash-consistency.md" for folder in ("", "zh")]
TEST = re.compile(r"`(?P<module>test_\w+\.py)::(?P<function>test_\w+)`")
INJECTIONS = [
    "PodKill",
    "NetworkPartition",
    "CRDMutation",
    "ConfigDrift",
    "WebhookDisrupt",
    "RBACRevoke",
    "FinalizerBlock",
    "ClientFault",
    "OwnerRefOrphan",
    "QuotaExhaustion",
    "WebhookLatency",
    "NamespaceDeletion",
    "LabelStomping",
    "SecretDeletion",
    "DeploymentScaleZero",
    "LeaderElectionDisrupt",
    "CrashLoopInject",
    "ImageCorrupt",
    "ResourceDeletion",
    "PDBBlock",
]
"""As api/v1alpha1/types.go of opendatahub-io/operator-chaos names them."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_injection_has_a_test(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    named = TEST.findall(text)
    rows = [
        name for name in INJECTIONS if re.search(rf"^\| {name} \| .*`test_", text, re.MULTILINE)
    ]

    assert INJECTIONS == rows
    for module, function in named:
        source = (ROOT / "tests" / "integration" / module).read_text(encoding="utf-8")
        assert f"def {function}(" in source, (module, function)
