"""Stages, images and what is shown meanwhile: whole or not at all, and the same for the same."""

import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hack.localcluster import (
    addon_images,
    build_stages,
    contour,
    go_build,
    images,
    kube_router,
    kwok,
    metrics_stack,
    node_image,
    oci,
    progress,
    reproducible,
    teardown,
    versions,
    vpa,
)
from hack.localcluster.__main__ import build_parser, main
from hack.localcluster.environment import list_variables, shell_lines
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import MANIFESTS, render_manifest
from hack.localcluster.locks import hold_lock
from hack.localcluster.paths import Paths
from hack.localcluster.subprocesses import run_checked, run_logged, run_unchecked
from hack.localcluster.wait import wait_until

INPUTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "clone", tmp_path / "cache", tmp_path / "run")


@pytest.fixture
def reporter(tmp_path: Path) -> progress.ProgressReporter:
    return progress.ProgressReporter(tmp_path / "timings.json", quiet=True)


@given(INPUTS, INPUTS)
def test_equal_inputs_and_only_those_give_an_equal_key(
    one: dict[str, str], two: dict[str, str]
) -> None:
    assert (build_stages.hash_stage("s", one) == build_stages.hash_stage("s", two)) == (one == two)


def test_a_key_does_not_run_its_parts_together() -> None:
    assert build_stages.hash_stage("s", {"a": "bc"}) != build_stages.hash_stage("s", {"ab": "c"})


def test_a_stage_is_built_once(paths: Paths, reporter: progress.ProgressReporter) -> None:
    calls = []

    def build(result: Path) -> None:
        calls.append(result)
        (result / "file").write_text("made")

    stage = build_stages.BuildStage("thing", {"x": "1"}, build)

    assert build_stages.ensure_built(paths, stage, reporter) == build_stages.ensure_built(
        paths, stage, reporter
    )
    assert (build_stages.result_path(paths, stage) / "file").read_text() == "made"
    assert len(calls) == 1


def test_an_interrupted_stage_leaves_no_result(
    paths: Paths, reporter: progress.ProgressReporter
) -> None:
    attempts = []

    def build(result: Path) -> None:
        assert not list(result.iterdir())  # nothing of the last try
        (result / "half").touch()
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyboardInterrupt

    stage = build_stages.BuildStage("thing", {}, build)
    with pytest.raises(KeyboardInterrupt):
        build_stages.ensure_built(paths, stage, reporter)

    assert not build_stages.result_path(paths, stage).exists()
    assert build_stages.ensure_built(paths, stage, reporter).is_dir()


def test_only_the_newest_results_of_a_stage_stay(
    paths: Paths, reporter: progress.ProgressReporter
) -> None:
    for number in range(4):
        build_stages.ensure_built(
            paths, build_stages.BuildStage("thing", {"n": str(number)}, lambda _: None), reporter
        )
    build_stages.ensure_built(
        paths, build_stages.BuildStage("thing-else", {}, lambda _: None), reporter
    )

    assert len(list(paths.artefacts.glob("thing-*"))) == 3


def test_two_processes_do_not_build_the_same(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with (
        hold_lock(file, seconds=1, resource="it"),
        pytest.raises(ClusterError, match="it is busy: process"),
        hold_lock(file, seconds=0.1, resource="it"),
    ):
        pytest.fail("had the lock twice")
    with hold_lock(file, seconds=0.1, resource="it"):
        pass


def test_an_archive_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    results = []
    for name in ("one.tar", "two.tar"):
        layer = oci.build_layer({"usr/local/bin/x": program})
        oci.write_archive(
            tmp_path / name, "localhost/x:1", layer, entrypoint=["/x"], architecture="amd64"
        )
        results.append((tmp_path / name).read_bytes())

    assert results[0] == results[1]


def test_an_archive_holds_what_its_manifest_names(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    layer = oci.build_layer({"usr/bin/x": program})
    oci.write_archive(
        tmp_path / "a.tar", "localhost/x:1", layer, entrypoint=[], architecture="amd64"
    )
    with tarfile.open(tmp_path / "a.tar") as tar:
        blobs = {name: (tar.extractfile(name) or io.BytesIO()).read() for name in tar.getnames()}

    index = json.loads(blobs["index.json"])
    named = index["manifests"][0]
    described = json.loads(blobs["blobs/sha256/" + named["digest"].removeprefix("sha256:")])
    for part in (described["config"], *described["layers"]):
        content = blobs["blobs/sha256/" + part["digest"].removeprefix("sha256:")]
        assert part["digest"] == oci.compute_digest(content)
        assert part["size"] == len(content)
    assert named["annotations"]["io.containerd.image.name"] == "localhost/x:1"


def test_folders_come_before_what_is_in_them() -> None:
    assert oci.list_folders({"a/b/c": 1, "a/d": 1}) == ["a", "a/b"]


def test_kube_proxys_files_are_picked_by_folder() -> None:
    names = [
        "./usr/sbin/xtables-nft-multi",
        "./usr/lib/x86_64-linux-gnu/libmnl.so.0",
        "./usr/lib/x86_64-linux-gnu/other/libmnl.so.0",
        "./usr/bin/bash",
    ]

    assert node_image.select_members(names) == names[:2]


def test_every_image_is_built_from_a_known_program() -> None:
    tools = "".join(
        (go_build.MODULES / name / "go.mod").read_text() for name in ("node", "coredns")
    )
    for _, _, program in node_image.IMAGES:
        found = f"/{program}\n" in tools or program in {"pause", "server"}
        assert found, program


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("node", "k8s.io/kubernetes", versions.KUBERNETES),
        ("node", "sigs.k8s.io/kind", versions.KIND),
        ("node", "sigs.k8s.io/kwok", versions.KWOK),
        ("node", "sigs.k8s.io/metrics-server", versions.METRICS_SERVER),
        ("node", "go.etcd.io/etcd/server/v3", versions.ETCD),
        ("coredns", "github.com/coredns/coredns", versions.COREDNS),
    ],
)
def test_the_versions_shown_are_those_built(module: str, path: str, version: str) -> None:
    assert f"{path} {version}" in (go_build.MODULES / module / "go.mod").read_text()


def test_kubernetes_staging_modules_are_replaced_by_the_same_release() -> None:
    text = (go_build.MODULES / "node" / "go.mod").read_text()
    replaced = [line.split()[-1] for line in text.splitlines() if " => k8s.io/" in line]

    assert replaced == ["v0." + versions.KUBERNETES.removeprefix("v1.")] * 33


def test_the_version_stamped_is_what_clients_parse() -> None:
    flags = versions.version_ldflags("v1.36.3")

    assert "gitVersion=v1.36.3" in flags
    assert "gitMajor=1 " in flags
    assert flags.endswith("gitMinor=36")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/amd64", (1, 27, 0)),
        ("no go", None),
    ],
)
def test_gos_version_is_read(text: str, version: tuple[int, int, int] | None) -> None:
    assert go_build.parse_go_version(text) == version


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0.1, 1e4))
def test_the_bar_only_moves_forward_and_is_never_full_early(
    elapsed: float, more: float, expected: float
) -> None:
    now, later = (progress.bar_fraction(at, expected) for at in (elapsed, elapsed + more))

    assert 0 <= now <= later <= 1


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (65, "1:05")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert progress.format_duration(seconds) == text


def test_a_resumed_build_does_not_promise_the_next_one_to_be_as_short() -> None:
    assert progress.expected_seconds(5, 350) == 350
    assert progress.expected_seconds(700, 350) == 700
    assert progress.expected_seconds(None, 350) == 350


def test_without_a_terminal_there_are_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.ProgressReporter(tmp_path / "timings.json").show_stage("thing", "a note"):
        pass

    assert capsys.readouterr().out == "  thing (a note): done in 0 s\n"
    assert threading.active_count() < 5


def test_times_are_remembered(tmp_path: Path) -> None:
    timings = tmp_path / "timings.json"
    timings.write_text('{"thing": 20.0}')

    assert progress.ProgressReporter(timings).expected_duration("thing") == 20.0
    timings.write_text("damaged")
    assert (
        progress.ProgressReporter(timings).expected_duration("go-node")
        == progress.DEFAULT_DURATIONS["go-node"]
    )


def test_a_failed_program_shows_its_last_words() -> None:
    with pytest.raises(ClusterError, match="exit code 3:\nlast words"):
        run_checked(["sh", "-c", "echo last words >&2; exit 3"])


def test_a_missing_program_is_an_answer() -> None:
    assert run_unchecked(["no-such-program-anywhere"]).returncode == 127


def test_a_hanging_program_is_an_answer() -> None:
    assert run_unchecked(["sleep", "5"], seconds=0.1).returncode == 124


def test_a_long_program_is_ended_at_its_limit_with_its_children(tmp_path: Path) -> None:
    marker = tmp_path / "alive"
    script = f"(sleep 2; touch {marker}) & sleep 5"

    with pytest.raises(ClusterError, match="did not finish within"):
        run_logged(["sh", "-c", script], tmp_path / "log", seconds=0.3)

    threading.Event().wait(2.2)
    assert not marker.exists()


def test_a_wait_has_an_end_and_advice() -> None:
    with pytest.raises(ClusterError, match="it did not happen within 0 s; look there"):
        wait_until("it", 0, lambda: False, "look there")


@pytest.mark.parametrize("name", sorted(path.stem for path in MANIFESTS.glob("*.yaml")))
def test_manifests_are_filled_in_completely(name: str) -> None:
    images_by_addon = {
        "contour": contour.STOCK_IMAGES,
        "kube-router": kube_router.STOCK_IMAGES,
        "metrics-stack": metrics_stack.STOCK_IMAGES,
        "vpa": vpa.STOCK_IMAGES,
    }
    words = (
        "image",
        "settings",
        "certificate",
        "key",
        "scrape_job",
        "companions",
        *addon_images.template_values(images_by_addon.get(name, {})),
    )
    assert "${" not in render_manifest(name, **dict.fromkeys(words, "localhost/x:1"))


def test_what_a_node_has_counts_only_if_both_note_and_containerd_say_so() -> None:
    wanted = {"a:dev": "sha256:1", "b:dev": "sha256:2", "c:dev": "sha256:3"}
    answer = "a:dev sha256:1\nb:dev sha256:old\nc:dev sha256:3\n--\na:dev\nb:dev\n"

    assert images.compare_images(answer, wanted) == ["b:dev", "c:dev"]
    assert images.compare_images("", wanted) == list(wanted)


def test_a_build_context_is_stable_and_without_caches(tmp_path: Path) -> None:
    for name in ("app/x.py", "app/__pycache__/x.pyc", "operator/.hidden/y", "tests/z.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "Dockerfile.app").write_text("FROM x")
    for target in ("one.tar", "two.tar"):
        images.write_context(tmp_path, "Dockerfile.app", tmp_path / target)

    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == ["Dockerfile.app", "app/x.py"]
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_build_context_leaves_out_what_docker_does() -> None:
    """An image has the same files, whether the tool or a person builds it."""
    root = Path(__file__).parents[3]
    lines = (root / ".dockerignore").read_text().splitlines()
    folders = [line.rstrip("/") for line in lines if line.endswith("/") and line[0] not in "!#"]
    packed = [name for name, _ in images.context_members(root)]

    assert ["operator/selfhealing/crdgen", "operator/selfhealing/plugin"] == folders
    assert [] == [name for name in packed if name.startswith(tuple(folders))]
    assert "operator/selfhealing/__main__.py" in packed


def inspected(ident: str, *layers: str, **config: object) -> dict[str, Any]:
    """What Docker tells of an image."""
    return {"Id": ident, "RootFS": {"Layers": list(layers)}, "Config": config}


def test_how_two_builds_compare() -> None:
    first = inspected("1", "base", "code", User="10001", Image="parent-1")

    assert [] == reproducible.list_differences(first, first)
    assert "both builds are 1" == reproducible.describe_equality(first, first)

    later = inspected("2", "base", "code", User="10001", Image="parent-2")

    assert [] == reproducible.list_differences(first, later)
    assert reproducible.describe_equality(first, later).startswith("the same 2 layers")

    other = inspected("3", "base", "pip", "code", User="0", Image="parent-1")

    assert reproducible.list_differences(first, other) == [
        "2 and 3 layers",
        "layer 2 is code and pip",
        "User is 10001 and 0",
    ]


def test_fake_nodes_turn_real_pods_away() -> None:
    node = kwok.build_node(3)

    assert node["metadata"]["labels"]["type"] == "kwok"
    assert node["spec"]["taints"] == [
        {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
    ]
    assert int(node["status"]["allocatable"]["pods"]) * 10 >= 2000


@given(st.integers(0, 30), st.integers(0, 30))
def test_scaling_fake_nodes_down_removes_the_last_ones(there: int, wanted: int) -> None:
    existing = [f"kwok-node-{number}" for number in range(there)]

    left = set(existing) - set(kwok.list_surplus_nodes(existing, wanted))

    assert left == {f"kwok-node-{number}" for number in range(min(there, wanted))}


def test_deleted_clones_are_told_from_living_ones(paths: Paths, tmp_path: Path) -> None:
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    for root in (paths.root, alive, dead):
        clone = Paths(root, paths.cache, paths.run_root)
        clone.clone_data.mkdir(parents=True)
        (clone.clone_data / "clone").write_text(f"{root}\n")

    assert [clone.root for clone in teardown.list_other_clones(paths)] == [alive]
    assert [clone.root for clone in teardown.list_orphaned_clones(paths)] == [dead]


def test_the_environment_can_be_sourced(paths: Paths) -> None:
    spaced = Paths(Path("/a b"), paths.cache, paths.run_root)
    lines = shell_lines(list_variables(spaced, {"DOCKER_HOST": "unix:///x"}))

    answer = run_unchecked(["sh", "-c", f'{lines}\necho "$KUBECONFIG|$DOCKER_HOST|$PATH"'])

    kubeconfig, docker, path = answer.stdout.strip().split("|")
    assert kubeconfig == "/a b/.cluster/kubeconfig"
    assert docker == "unix:///x"
    assert path.startswith("/a b/.cluster/bin:/")


def test_every_command_of_make_exists() -> None:
    targets = (Path(go_build.MODULES).parent / "localcluster.mk").read_text()
    for line in targets.splitlines():
        if "$(CLUSTER_TOOL)" in line and "=" not in line:
            build_parser().parse_args([line.split("$(CLUSTER_TOOL)")[1].split()[0]])


def test_an_error_is_one_sentence_without_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADDONS", "unheard-of")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert main(["up"]) == 1
    assert capsys.readouterr().err.startswith("error: unknown add-on 'unheard-of'")
