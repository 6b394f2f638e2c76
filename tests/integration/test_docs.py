"""The API server accepts every manifest in the documentation, and every part of a spec in it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.testkit import vpa
from hack.testkit.fixtures import build_app
from hack.testkit.kube_client import ROOT, Json, KubeClient
from hack.testkit.yaml_text import parse_yaml_documents

BLOCK = re.compile(r"^```yaml(?! alertmanager)[^\n]*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
"""The second word says of a block that it is for another program."""
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "zh" not in path.relative_to(ROOT).parts
)
"""The Chinese pages have the same blocks (tests/unit/test_docs.py)."""

MINIMAL_SPEC = {
    "image": "localhost/selfhealing-demo:dev",
    "port": 8080,
    "resources": {"limits": {"memory": "256Mi"}, "requests": {"memory": "64Mi"}},
}
"""What a part of a spec is added to."""


def build_deployment(part: Json) -> Json:
    """A Deployment with a patch of its pods, which leaves out the images."""
    labels = {"app": "part"}
    containers = [{"image": "example"} | container for container in part["containers"]]
    template = {"metadata": {"labels": labels}, "spec": part | {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "part"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def list_manifests(page: Path) -> Iterator[Json]:
    """The objects in the YAML blocks of a page; a part of a spec as an app with that part.

    A list is part of a file for another program, such as a rule for Prometheus.
    """
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        for content in parse_yaml_documents(match["text"]):
            if not isinstance(content, dict):
                continue
            if "kind" in content:
                yield content
            elif "template" in content.get("spec", ()):
                yield build_deployment(content["spec"]["template"]["spec"])
            else:
                yield build_app("", "part", MINIMAL_SPEC | content.get("spec", content))


CASES = [
    pytest.param(manifest, id=f"{page.relative_to(ROOT)}-{manifest['kind']}-{number}")
    for page in PAGES
    for number, manifest in enumerate(list_manifests(page))
]


def test_there_are_manifests() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize("manifest", CASES)
def test_the_api_server_accepts_it(kube: KubeClient, namespace: str, manifest: Json) -> None:
    """By a server-side apply, which refuses unknown fields, in a dry run."""
    if manifest["kind"] == "VerticalPodAutoscaler":
        vpa.ensure_vpa_served(kube)
    metadata = manifest["metadata"] | {"namespace": namespace}

    kube.apply(manifest | {"metadata": metadata}, dry_run=True)
