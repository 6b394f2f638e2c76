"""A sample of the crashes and stale views of ``make sieve``, another one each time."""

import logging
import os
import random
import time
import uuid

import pytest

from hack.sieve.campaign import record_references, run_tasks
from hack.sieve.results import Result, describe_failure, sample_faults
from hack.sieve.stories import STORIES
from hack.testkit.fault_points import FaultKind

logger = logging.getLogger(__name__)

pytestmark = pytest.mark.usefixtures("kube", "fake_nodes")

SEED = os.environ.get("SIEVE_SEED") or uuid.uuid4().hex[:8]
STORY_COUNT = 4
JOBS = 4

LIMIT_SECONDS = 75
"""No story with a fault begins later than this: it shares the machine with all other tests."""


def test_a_sample_of_faults() -> None:
    """The end, and what was created and deleted, is that of the undisturbed story."""
    until = time.monotonic() + LIMIT_SECONDS
    stories = random.Random(SEED).sample(list(STORIES), STORY_COUNT)  # noqa: S311 - a sample
    references = record_references(stories, JOBS)
    tasks = [
        (story, (fault,), references[story])
        for story in stories
        for fault in sample_faults(references[story].list_faults(story), f"{SEED} {story}")
    ]
    # One kind of fault after the other, so that each has its turn before the time is over.
    tasks.sort(key=lambda task: list(FaultKind).index(task[1][0].kind))
    results: list[Result] = []

    run_tasks(tasks, JOBS, results.append, until)

    logger.info("SIEVE_SEED=%s: %s", SEED, results)
    assert results, "no story was told in time"
    failed = [describe_failure(result) for result in results if result.differences]
    assert not failed, "\n".join([f"SIEVE_SEED={SEED}", *failed])
