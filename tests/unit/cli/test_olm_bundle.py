"""The bundle for OLM: it is valid for OLM, and installs what deploy/operator.yaml does."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from hack.localcluster.subprocesses import run_unchecked
from hack.testkit.go_programs import build_program
from hack.testkit.yaml_text import parse_yaml, parse_yaml_documents
from selfhealing.cli.installation import NAME, Installation, build_manifests
from selfhealing.cli.olm_bundle import main

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
OLM = ROOT / "deploy" / "olm"
BUNDLE = OLM / "bundle"
SOURCES = (
    "crd/selfhealingapp.yaml",
    "deploy/chart/Chart.yaml",
    "deploy/olm/icon.svg",
    "examples/01-minimal.yaml",
)
CREATED_BY_OLM = {
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRoleBinding",
    "Deployment",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the files that a bundle is made of."""
    for source in SOURCES:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, tmp_path / source)
    return tmp_path


def load(path: str) -> Json:
    content: Json = parse_yaml((BUNDLE / path).read_text())
    return content


def find_complaints(bundle: Path) -> str:
    """Return what the validators of the Operator Framework say; nothing of a valid bundle."""
    done = run_unchecked([str(build_program("bundle", quiet=True)), str(bundle)])
    return done.stdout + done.stderr


def test_the_published_files_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--check"])
    assert "" == capsys.readouterr().out


def test_no_file_is_left_over(copy: Path) -> None:
    main([], copy)

    assert list_files(ROOT) == list_files(copy)


def list_files(root: Path) -> set[Path]:
    folder = root / "deploy/olm"
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_another_image(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is all that differs."""
    main([], copy)
    image = "registry.example.com/operator@sha256:0"

    assert 1 == main(["--check", "--image", image], copy)
    lines = capsys.readouterr().out.splitlines()
    added = {line[1:].strip() for line in lines if line[0] == "+" and line[:3] != "+++"}
    assert {f"containerImage: {image}", f"image: {image}"} == added


def test_the_operator_framework_accepts_it() -> None:
    assert "" == find_complaints(BUNDLE)


def test_the_operator_framework_is_asked(copy: Path) -> None:
    """A bundle without the CRD that it owns is refused."""
    main([], copy)
    bundle = copy / "deploy/olm/bundle"
    (bundle / "manifests/selfhealingapp.yaml").unlink()

    assert 'owned CRD "selfhealing.dev/v1alpha1, Kind=SelfHealingApp" not found' in find_complaints(
        bundle
    )


def key(manifest: Json) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_every_object_of_the_manifests_is_somewhere() -> None:
    """OLM makes the ServiceAccount, roles and bindings by the ClusterServiceVersion."""
    crd = BUNDLE / "manifests/selfhealingapp.yaml"  # large, and compared by the first test
    files = set((BUNDLE / "manifests").glob("*.yaml")) - {crd}
    bundled = {key(parse_yaml(file.read_text())) for file in files}
    outside = {key(each) for each in parse_yaml_documents((OLM / "policies.yaml").read_text())}
    expected = {key(each) for each in build_manifests(Installation())}

    assert {"ClusterServiceVersion"} == {kind for kind, _ in bundled - expected}
    assert outside < expected
    by_olm = expected - bundled - outside
    assert CREATED_BY_OLM | {"ClusterRole"} == {kind for kind, _ in by_olm}
    assert {name for kind, name in by_olm if kind == "ClusterRole"} == {NAME}


def test_deployment_and_rights_are_those_of_the_manifests() -> None:
    install = load(f"manifests/{NAME}.clusterserviceversion.yaml")["spec"]["install"]["spec"]
    [deployment] = install["deployments"]
    own = {each["kind"]: each for each in build_manifests(Installation()) if key(each)[1] == NAME}
    [lease_role] = [each for each in build_manifests(Installation()) if each["kind"] == "Role"]

    assert own["Deployment"]["spec"] == deployment["spec"]
    assert own["Deployment"]["metadata"]["labels"] == deployment["label"]
    for role, permissions in (
        (own["ClusterRole"], "clusterPermissions"),
        (lease_role, "permissions"),
    ):
        assert [{"serviceAccountName": NAME, "rules": role["rules"]}] == install[permissions]


def test_the_image_has_the_labels_that_the_bundle_has() -> None:
    """OLM reads the labels, tools for folders the file."""
    lines = (OLM / "bundle.Dockerfile").read_text().splitlines()
    labels = dict(line.removeprefix("LABEL ").split("=") for line in lines if "LABEL" in line)

    assert load("metadata/annotations.yaml")["annotations"] == labels
