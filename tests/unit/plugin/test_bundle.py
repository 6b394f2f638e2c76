"""The archive for a bug report, and the choice of a log."""

from dataclasses import replace

import pytest

from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.build import build_app
from selfhealing.plugin.view.bundle import LAST_APPLIED, build_files
from selfhealing.plugin.view.logs import choose_log
from selfhealing.plugin.view.objects import AppObjects
from tests.unit import builders as b
from tests.unit.plugin import apps

SECRET = "hunter2-is-secret"  # noqa: S105 - of the test
ENV = [{"name": "DB_PASSWORD", "value": SECRET}, {"name": "MODE", "value": "fast-and-loose"}]


def test_no_secret_is_in_the_archive() -> None:
    objects = apps.rolled_back_objects()
    objects.app["spec"] = {"image": "web:v1", "env": ENV}
    objects.app["metadata"]["annotations"] = {LAST_APPLIED: f'{{"x": "{SECRET}"}}', "kept": "yes"}
    objects.app["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    pod = b.pod("web-old-1", b.running(), container_spec={"env": ENV})
    objects = replace(objects, pods=[pod], gaps=("events cannot be shown",))
    logs = {"logs/web-old-1.app.log": f"connecting with {SECRET}\x1b[31m\n"}
    files = build_files(objects, build_app(objects), logs, {"evidence.yaml": []})

    assert [] == [path for path, text in files.items() if SECRET in text]
    assert "evidence.yaml" not in files
    assert "kept: 'yes'" in files["app.yaml"]
    assert "managedFields" not in files["app.yaml"]
    assert "\x1b" not in files["logs/web-old-1.app.log"]
    assert files["gaps.txt"] == "events cannot be shown\n"
    assert {"status.txt", "explain.txt", "history.txt", "history.html", "pods.yaml"} <= files.keys()


def test_an_app_without_a_spec_has_files_too() -> None:
    objects = AppObjects({**b.app(), "spec": None}, apps.NOW)

    assert "app.yaml" in build_files(objects, build_app(objects), {}, {})


def crashed(name: str, finished: float | None) -> apps.Json:
    last = b.termination(1, started=1, finished=finished)
    return b.pod(name, b.crash_loop(2, last), b.running(name="log"))


def test_the_log_before_is_that_of_the_container_that_died_last() -> None:
    pods = [crashed("web-old-1", 10), crashed("web-old-2", 20), crashed("web-old-3", None)]
    app = build_app(replace(apps.rolled_back_objects(), pods=pods))

    assert ("web-old-2", "app") == _names(app_choice := choose_log(app, before=True))
    assert app_choice.container.last_restart is not None
    assert ("web-old-1", "app") == _names(choose_log(app, before=True, pod="web-old-1"))


def test_the_log_now_is_that_of_a_container_that_is_not_ready() -> None:
    isolated = b.pod("web-y-1", b.running(), labels={"selfhealing.dev/quarantined": "web"})
    foreign = b.pod("web-x-1", b.running(), ownerReferences=[])
    pods = [b.pod("web-old-1", b.running()), crashed("web-old-2", 20), isolated, foreign]
    app = build_app(replace(apps.rolled_back_objects(), pods=pods))

    assert ("web-old-2", "app") == _names(choose_log(app, before=False))
    assert ("web-y-1", "app") == _names(choose_log(app, before=False, pod="web-y-1"))
    assert ("web-old-2", "log") == _names(choose_log(app, before=False, container="log"))
    with pytest.raises(PluginError, match="the pods are: web-old-1, web-old-2, web-y-1"):
        choose_log(app, before=False, pod="web-x-1")


def test_without_a_restart_there_is_no_log_before() -> None:
    app = build_app(apps.rolled_back_objects())

    with pytest.raises(PluginError, match="get configmap web-evidence"):
        choose_log(app, before=True)


def _names(choice: object) -> tuple[str, str]:
    return choice.pod.name, choice.container.name  # type: ignore[attr-defined]
