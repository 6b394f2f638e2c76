"""Add-ons: what they are made of, how their images are named, what their manifests ask for."""

import base64
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.localcluster import (
    addon_images,
    addons,
    certificates,
    contour,
    go_build,
    kube_router,
    metrics_stack,
    oci,
    prometheus,
    versions,
    vpa,
)
from hack.localcluster.addon_images import AddonTarget, ImageContent
from hack.localcluster.certificates import KeyPair
from hack.localcluster.engine import STOCK, Engine
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import is_rolled_out
from hack.localcluster.paths import Paths
from hack.localcluster.progress import DEFAULT_DURATIONS, ProgressReporter

Json = dict[str, Any]

BUILT_IMAGES = {**metrics_stack.STOCK_IMAGES, metrics_stack.DISCOVERY: "localhost/discovery:v1"}
RENDERED = {
    contour.NAME: lambda: contour.render_contour(contour.STOCK_IMAGES),
    kube_router.NAME: lambda: kube_router.render_kube_router(kube_router.STOCK_IMAGES),
    metrics_stack.NAME: lambda: metrics_stack.render_metrics_stack(BUILT_IMAGES),
    vpa.NAME: lambda: vpa.render_vpa(vpa.STOCK_IMAGES, KeyPair("certificate", "key")),
}
NAMES = sorted(RENDERED)


def render_objects(name: str, kind: str = "") -> list[Json]:
    found = list(yaml.safe_load_all(RENDERED[name]()))
    return [thing for thing in found if kind in ("", thing["kind"])]


def render_pods(name: str) -> list[Json]:
    return [thing["spec"]["template"] for thing in render_objects(name, "Deployment")]


def build_content(tmp_path: Path, text: str = "#!") -> ImageContent:
    program = tmp_path / "program"
    program.write_text(text)
    return ImageContent("thing", "v1.2.3", "usr/bin/thing", {"usr/bin/thing": program})


def build_deployment(**status: int) -> Json:
    return {
        "metadata": {"name": "vpa-updater", "generation": 2, "labels": {addons.LABEL: "vpa"}},
        "spec": {
            "replicas": 1,
            "template": {"spec": {"containers": [{"image": "registry.example/a/b:1.7.2"}]}},
        },
        "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, **status},
    }


def test_addons_are_named_once_and_in_order() -> None:
    assert addons.parse_addons("vpa,metrics-stack vpa") == ["vpa", "metrics-stack"]


def test_an_unknown_addon_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        ClusterError, match="'vpq' in ADDONS; there are: contour, kube-router, metrics-stack, vpa"
    ):
        addons.parse_addons("vpa,vpq")


def test_an_existing_cluster_gets_no_addons() -> None:
    addons.reject_existing_cluster([])
    with pytest.raises(ClusterError, match="ADDONS=vpa is not installed: leave ADDONS out"):
        addons.reject_existing_cluster(["vpa"])


@pytest.mark.parametrize("name", NAMES)
def test_everything_of_an_addon_is_in_its_namespace_which_is_marked(name: str) -> None:
    (namespace,) = render_objects(name, "Namespace")

    assert namespace["metadata"]["labels"] == {addons.LABEL: name}
    for thing in render_objects(name):
        place = thing["metadata"].get("namespace")
        assert place in (None, namespace["metadata"]["name"], "kube-system"), thing
        assert place != "kube-system" or thing["kind"] == "RoleBinding"


@pytest.mark.parametrize("name", NAMES)
def test_an_addon_s_pods_have_few_rights_and_an_end_to_their_memory(name: str) -> None:
    for pod in render_pods(name):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["readinessProbe"]
            assert container["livenessProbe"]


@pytest.mark.parametrize("name", sorted({*NAMES} - {kube_router.NAME}))
def test_an_addon_is_found_by_its_label_and_waited_for_by_name(name: str) -> None:
    found = render_objects(name, "Deployment")

    assert {thing["metadata"]["labels"][addons.LABEL] for thing in found} == {name}
    waited = {
        contour.NAME: contour.DEPLOYMENTS,
        metrics_stack.NAME: metrics_stack.DEPLOYMENTS,
        vpa.NAME: vpa.DEPLOYMENTS,
    }[name]
    assert sorted(thing["metadata"]["name"] for thing in found) == sorted(waited)


def test_the_policy_controller_runs_on_real_nodes_only_and_has_an_end_to_its_memory() -> None:
    """It writes iptables of the node, and so is privileged."""
    (workload,) = render_objects(kube_router.NAME, "DaemonSet")
    spec = workload["spec"]["template"]["spec"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    (container,) = spec["containers"]

    assert term["matchExpressions"] == [{"key": "type", "operator": "NotIn", "values": ["kwok"]}]
    assert workload["metadata"]["labels"][addons.LABEL] == kube_router.NAME
    assert container["resources"]["limits"]["memory"]
    assert container["readinessProbe"]
    assert container["livenessProbe"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}, True),
        ({"currentNumberScheduled": 2, "updatedNumberScheduled": 1, "numberAvailable": 2}, False),
        ({"currentNumberScheduled": 2, "updatedNumberScheduled": 2}, False),
    ],
)
def test_a_daemon_set_is_rolled_out_when_each_node_has_its_last_state(
    status: dict[str, int], *, expected: bool
) -> None:
    workload = {
        "metadata": {"generation": 1},
        "spec": {},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, **status},
    }

    assert is_rolled_out(workload) is expected


@pytest.mark.parametrize("name", sorted({*NAMES} - {contour.NAME}))
def test_no_right_to_read_secrets_or_to_write_what_is_not_its_own(name: str) -> None:
    for role in render_objects(name, "ClusterRole"):
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"], role
            assert "*" not in rule["verbs"], role


@pytest.mark.parametrize("name", NAMES)
def test_an_addon_stays_where_node_failures_do_not_reach_it(name: str) -> None:
    for pod in render_pods(name):
        affinity = pod["spec"]["affinity"]["nodeAffinity"]
        (choice,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert choice["preference"]["matchExpressions"][0]["key"].endswith("control-plane")


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_of_an_addon_has_an_expected_time(name: str) -> None:
    for stage in (f"add-on {name}", f"{name}-images", "load add-on images"):
        assert stage in DEFAULT_DURATIONS
    for module in (
        contour.NAME,
        kube_router.NAME,
        metrics_stack.MODULE,
        metrics_stack.DISCOVERY,
        vpa.MODULE,
    ):
        assert f"go-{module}" in DEFAULT_DURATIONS


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (metrics_stack.MODULE, f"sigs.k8s.io/prometheus-adapter {versions.PROMETHEUS_ADAPTER}"),
        (vpa.MODULE, f"{vpa.PATH} {versions.VPA}"),
        (contour.NAME, f"{contour.PATH} {versions.CONTOUR}"),
        (kube_router.NAME, f"{kube_router.PATH} {versions.KUBE_ROUTER}"),
        (contour.NAME, f"{contour.GATEWAY_API_PATH} {versions.GATEWAY_API}"),
        (contour.NAME, f"go-control-plane/envoy v{versions.ENVOY}"),
        *((vpa.MODULE, f"\t{vpa.PATH}/pkg/{program}\n") for program in vpa.PROGRAMS),
    ],
)
def test_the_versions_shown_are_those_built(module: str, line: str) -> None:
    assert line in (go_build.MODULES / module / "go.mod").read_text()


def test_the_scraped_port_and_label_are_the_operator_s() -> None:
    names = (Path(__file__).parents[3] / "operator/selfhealing/api/names.py").read_text()
    program = (go_build.MODULES / metrics_stack.DISCOVERY / "main.go").read_text()
    job = metrics_stack.build_scrape_job(from_source=False)
    kept = [rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"]

    assert 'PORT_NAME: Final = "http"' in names
    assert kept == ["http", "Running"]
    assert job["kubernetes_sd_configs"][0]["selectors"][0]["label"] == "selfhealing.dev/app"
    assert 'portName = "http"' in program
    assert 'label    = "selfhealing.dev/app"' in program


def test_both_ways_of_discovery_give_the_same_labels() -> None:
    program = (go_build.MODULES / metrics_stack.DISCOVERY / "main.go").read_text()
    job = metrics_stack.build_scrape_job(from_source=False)
    labels = {rule["target_label"] for rule in job["relabel_configs"] if "target_label" in rule}

    assert labels == {"namespace", "pod", "app"}
    for label in labels:
        assert f'"{label}": ' in program


def test_the_discovery_runs_beside_prometheus_only_where_it_is_made() -> None:
    for images, companions in (
        (BUILT_IMAGES, ["localhost/discovery:v1"]),
        (metrics_stack.STOCK_IMAGES, []),
    ):
        found = yaml.safe_load_all(metrics_stack.render_metrics_stack(images))
        pod = next(
            thing["spec"]["template"]["spec"]
            for thing in found
            if thing["kind"] == "Deployment" and thing["metadata"]["name"] == "prometheus"
        )
        assert [container["image"] for container in pod["initContainers"]] == companions
        assert [container["name"] for container in pod["containers"]] == ["prometheus"]


def test_prometheus_settings_are_read_as_yaml_with_one_job() -> None:
    (config,) = (
        yaml.safe_load(thing["data"]["prometheus.yml"])
        for thing in render_objects(metrics_stack.NAME, "ConfigMap")
        if "prometheus.yml" in thing["data"]
    )

    assert config["global"]["scrape_interval"] == "5s"
    assert config["scrape_configs"] == [metrics_stack.build_scrape_job(from_source=True)]


def test_the_adapter_s_queries_filter_by_what_they_are_asked_for() -> None:
    (rules,) = (
        yaml.safe_load(thing["data"]["config.yaml"])["rules"]
        for thing in render_objects(metrics_stack.NAME, "ConfigMap")
        if "config.yaml" in thing["data"]
    )

    shown = [rule["name"]["as"] for rule in rules]
    assert shown == ["http_requests_per_second", "http_requests_queued"]
    for rule in rules:
        query = rule["metricsQuery"]
        assert query.count("<<.Series>>") == query.count("<<.LabelMatchers>>")
        assert query.count("by (<<.GroupBy>>)") == query.count("sum(")


def test_the_webhook_never_stops_a_pod_and_never_waits_long() -> None:
    (webhooks,) = render_objects(vpa.NAME, "MutatingWebhookConfiguration")
    (secret,) = render_objects(vpa.NAME, "Secret")

    for webhook in webhooks["webhooks"]:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] <= 5
        client = webhook["clientConfig"]
        assert f"{client['service']['name']}.{client['service']['namespace']}.svc" == vpa.HOST
        assert base64.b64decode(client["caBundle"]).decode() == "certificate"
    assert vpa.parse_key_pair(secret) == KeyPair("certificate", "key")


def test_pods_start_anew_when_their_settings_or_certificate_change() -> None:
    def settings(key: str) -> set[str]:
        text = vpa.render_vpa(vpa.STOCK_IMAGES, KeyPair(key, key))
        found = [thing for thing in yaml.safe_load_all(text) if thing["kind"] == "Deployment"]
        return {
            thing["spec"]["template"]["metadata"]["annotations"]["selfhealing.dev/settings"]
            for thing in found
        }

    assert len(settings("a")) == 1
    assert settings("a") == settings("a")
    assert settings("a") != settings("b")


def test_a_good_certificate_is_kept_and_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    good = certificates.create_certificate(vpa.HOST)

    assert vpa.reuse_or_create_certificate(good) == good
    assert not certificates.is_valid_certificate(good, "other.svc")
    assert not certificates.is_valid_certificate(
        KeyPair(good.certificate, certificates.create_certificate("x").key), vpa.HOST
    )
    assert not certificates.is_valid_certificate(KeyPair("", ""), vpa.HOST)
    monkeypatch.setattr(certificates, "_RENEW_SECONDS", 11 * 365 * 24 * 3600)
    assert not certificates.is_valid_certificate(good, vpa.HOST)
    made = vpa.reuse_or_create_certificate(good)
    assert made != good
    assert "BEGIN CERTIFICATE" in vpa.reuse_or_create_certificate(None).certificate


@pytest.mark.parametrize(
    "secret", [None, {}, {"data": None}, {"data": {"tls.crt": "eA=="}}, {"data": {"tls.crt": "*"}}]
)
def test_a_secret_without_a_certificate_counts_as_none(secret: Json | None) -> None:
    assert vpa.parse_key_pair(secret) is None


def test_an_image_s_name_stands_for_its_content(tmp_path: Path) -> None:
    one = build_content(tmp_path)
    parts = [tmp_path / "part-1"]
    first = addon_images.describe_images_stage("a", [one], parts)

    assert addon_images.image_reference(first, one).startswith(
        f"{versions.SOURCE_REPOSITORY}/thing:v1.2.3-"
    )
    assert addon_images.describe_images_stage("a", [one], parts).key == first.key
    assert addon_images.describe_images_stage("a", [one], [tmp_path / "part-2"]).key != first.key


def test_an_archive_holds_the_program_under_its_name(tmp_path: Path) -> None:
    one = build_content(tmp_path)
    stage = addon_images.describe_images_stage("a", [one], [])
    result = tmp_path / "result"
    result.mkdir()
    stage.build(result)

    with tarfile.open(result / "thing.tar") as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        assert addon_images.image_reference(stage, one).encode() in index.read()
        assert oci.compute_digest(oci.build_layer(one.files)).encode() in b"".join(
            (tar.extractfile(member) or index).read() for member in tar.getmembers()
        )


@pytest.mark.parametrize(
    ("image", "version"),
    [
        (f"{versions.SOURCE_REPOSITORY}/vpa-updater:v1.7.2-0123abcd", "v1.7.2"),
        (f"{versions.SOURCE_REPOSITORY}/kwok:v0.8.0", "v0.8.0"),
        ("registry.example:5000/prometheus:v3.16.0-rc.0", "v3.16.0-rc.0"),
    ],
)
def test_an_image_s_version_is_shown_as_people_know_it(image: str, version: str) -> None:
    assert addon_images.image_version(image) == version


def test_only_what_a_node_has_not_is_loaded() -> None:
    assert addon_images.missing_images("a:1\nb:1\nsha256:0\n", ["a:1", "c:1", "b:2"]) == [
        "b:2",
        "c:1",
    ]
    assert addon_images.missing_images("", []) == []
    assert addon_images.group_by_missing(
        {"n1": ["a"], "n2": [], "n3": ["a"], "n4": ["a", "b"]}
    ) == {
        ("a",): ["n1", "n3"],
        ("a", "b"): ["n4"],
    }


def test_with_the_stock_image_nothing_is_made(tmp_path: Path) -> None:
    def make(_site: AddonTarget) -> tuple[list[ImageContent], list[Path]]:
        pytest.fail("made something")

    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "run")
    engine = Engine(STOCK, {}, "kind", "kubectl", "node:1", "127.0.0.1", 0)
    site = AddonTarget(paths, engine, ProgressReporter(tmp_path / "timings.json", quiet=True))

    assert addon_images.ensure_images(site, "a", {"x": "y:1"}, make) == {"x": "y:1"}


def test_prometheus_is_picked_from_debian_with_what_it_loads_and_shows() -> None:
    wanted = [
        "./usr/bin/prometheus",
        "./lib/x86_64-linux-gnu/libc.so.6",
        "./lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "./lib64/ld-linux-x86-64.so.2",
        "./lib/ld-linux-aarch64.so.1",
        "./usr/share/prometheus/web/templates/_base.html",
        "./usr/share/nodejs/popper.js/dist/umd/popper.min.js",
        "./usr/share/doc/prometheus/changelog.Debian.gz",
    ]
    unwanted = [
        "./usr/bin/promtool",
        "./lib/x86_64-linux-gnu/libm.so.6",
        "./usr/share/doc/prometheus/NOTICE",
        "./usr/share/javascript/moment-timezone/data/packed/latest.json",
        "./etc/passwd",
    ]

    assert prometheus.select_members([*wanted, *unwanted]) == wanted


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("prometheus (2.42.0+ds-5+deb12u1) bookworm; urgency=medium", "2.42.0"),
        ("prometheus (1:3.5.1-1) unstable; urgency=low", "3.5.1"),
    ],
)
def test_prometheus_version_is_read_from_its_changelog(line: str, version: str) -> None:
    assert prometheus.parse_version(line) == version


def test_a_changelog_without_a_version_is_an_error() -> None:
    with pytest.raises(ClusterError, match="does not say its version"):
        prometheus.parse_version("")


def test_a_deployment_runs_when_all_of_it_is_of_its_last_state_and_available() -> None:
    assert is_rolled_out(build_deployment(availableReplicas=1))


@pytest.mark.parametrize(
    "found",
    [
        None,
        build_deployment(),
        build_deployment(availableReplicas=1, replicas=2),
        build_deployment(availableReplicas=1, observedGeneration=1),
    ],
)
def test_a_deployment_does_not_run_while_it_changes(found: Json | None) -> None:
    assert not is_rolled_out(found)


def test_the_status_names_what_is_installed_and_what_does_not_run() -> None:
    lines = addons.summarize_addons([build_deployment(availableReplicas=1), build_deployment()])

    assert lines == ["vpa: vpa-updater 1.7.2, vpa-updater 1.7.2 (not available)"]
    assert addons.summarize_addons([]) == []
