"""Renders the Job of an app with restartPolicy OnFailure or Never."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.pod_spec import PodMetadataSpec
from selfhealing.api.spec import JobSpec, SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none
from selfhealing.render.monitoring import scrape_annotations
from selfhealing.render.pod import is_job

DEFAULT_COMPLETIONS = 1
"""Kubernetes' default if neither completions nor parallelism is given."""


def build_job(
    owner: Owner, spec: SelfHealingAppSpec, pod_template: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the batch/v1 Job of an app; None if the app is a Deployment.

    The API server sets the selector and the labels of the pods that it matches.
    """
    if not is_job(spec):
        return None
    job = spec.job or JobSpec()
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": build_metadata(
            owner, {names.ANNOTATION_RUN_HASH: run_hash(spec, pod_template)}
        ),
        "spec": {
            "template": pod_template,
            **omit_none(
                backoffLimit=job.backoff_limit,
                activeDeadlineSeconds=job.active_deadline_seconds,
                completions=job.completions,
                parallelism=job.parallelism,
            ),
        },
    }


def run_hash(spec: SelfHealingAppSpec, pod_template: Mapping[str, Any]) -> str:
    """Return the hash of the Job's immutable fields; a different hash means a new Job.

    The operator's labels and its default for ``enableServiceLinks`` are not part of it: a new
    version of the operator must not rerun a Job.
    """
    job = spec.job or JobSpec()
    given = spec.pod_metadata or PodMetadataSpec()
    immutable_fields = {
        **omit_empty(labels=given.labels, annotations=given.annotations),
        **omit_empty(scraping=scrape_annotations(spec)),
        "pod": {
            key: value
            for key, value in pod_template["spec"].items()
            if key != "enableServiceLinks" or spec.enable_service_links is not None
        },
        "completions": job.completions or (None if job.parallelism else DEFAULT_COMPLETIONS),
    }
    return hashlib.sha256(orjson.dumps(immutable_fields, option=orjson.OPT_SORT_KEYS)).hexdigest()[
        :16
    ]
