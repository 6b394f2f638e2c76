"""The Job: an app that runs to its end, and how often it is tried."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.spec import JobSpec, SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_none
from selfhealing.render.pod import is_job

DEFAULT_COMPLETIONS = 1
"""Kubernetes' default, where neither completions nor parallelism is given."""


def build_job(
    owner: Owner, spec: SelfHealingAppSpec, pod_template: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the batch/v1 Job of ``owner``, or None for an app that serves for ever.

    The selector, and the labels that it finds the Job's pods by, are left to the API server.
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
    """The hash of what can never be changed in a Job: another one asks for a new run.

    Only what the user wrote goes into it, not our labels: a new release of the operator must not
    run again what has been run.
    """
    job = spec.job or JobSpec()
    immutable_fields = {
        "pod": pod_template["spec"],
        "completions": job.completions or (None if job.parallelism else DEFAULT_COMPLETIONS),
    }
    return hashlib.sha256(orjson.dumps(immutable_fields, option=orjson.OPT_SORT_KEYS)).hexdigest()[
        :16
    ]
