"""Decides who may read the metrics: the API server is asked, as for its own /metrics.

A TokenReview tells whose a bearer token is, a SubjectAccessReview whether he may ``get`` the
non-resource URL ``/metrics``. controller-runtime's WithAuthenticationAndAuthorization does the same
(pkg/metrics/filters), with the same ClusterRoles.
"""

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from cachetools import TTLCache

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource

logger = logging.getLogger(__name__)

Json = dict[str, Any]

METRICS_PATH: Final = "/metrics"

CACHE_TTL: Final = 30.0
"""Seconds for which an answer is kept: two scrapes of Prometheus at its usual 15 s."""
READER_TTL: Final = 3600.0
"""Seconds for which a token that was allowed is reviewed before others."""
CACHE_SIZE: Final = 128
"""The most answers that are kept."""
MAX_CONCURRENT_REVIEWS: Final = 4
MAX_REVIEWS_PER_SECOND: Final = 10
"""The most tokens that are reviewed at the same time, and in a second. Further requests are refused
at once, so that a flood of invalid tokens is not passed on to the API server."""
MAX_TOKEN_LENGTH: Final = 8192
"""The longest token that is reviewed; one of a ServiceAccount has about 1,000 characters."""
LOG_INTERVAL: Final = 60.0
"""Seconds between two log lines about reviews that fail."""


class Access(Enum):
    """The answer to a request for the metrics; its value is the HTTP status."""

    ALLOWED = 200
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNKNOWN = 503
    """The API server cannot be asked now, or too many requests wait for it."""


class MetricsAuthorizer:
    """Asks the API server about bearer tokens, with a cache."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._client = client
        self._clock = clock
        # By digest: a token must not be readable in the memory of the process.
        self._answers: TTLCache[bytes, Access] = TTLCache(CACHE_SIZE, CACHE_TTL, timer=clock)
        self._readers: TTLCache[bytes, None] = TTLCache(CACHE_SIZE, READER_TTL, timer=clock)
        """Tokens that were allowed: a flood of others neither displaces nor delays their review."""
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REVIEWS)
        self._last_second: TTLCache[int, None] = TTLCache(MAX_REVIEWS_PER_SECOND, 1, timer=clock)
        self._reviews = itertools.count()
        self._logged_at = float("-inf")

    async def authorize(self, authorization: str) -> Access:
        """Decide on a request by its Authorization header; empty if it has none."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
            return Access.UNAUTHENTICATED
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._answers.get(digest)
        if known is not None:
            return known
        if digest not in self._readers:
            if self._slots.locked() or len(self._last_second) == MAX_REVIEWS_PER_SECOND:
                return Access.UNKNOWN
            self._last_second[next(self._reviews)] = None
        async with self._slots:
            try:
                answer = await self._review(token)
            except ApiError as error:
                self._log_failure(error)
                return Access.UNKNOWN
        self._answers[digest] = answer
        if answer is Access.ALLOWED:
            self._readers[digest] = None
        else:
            self._readers.pop(digest, None)
        return answer

    async def _review(self, token: str) -> Access:
        token_review = await self._create_review(TOKEN_REVIEWS, {"token": token})
        status = token_review.get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            return Access.UNAUTHENTICATED
        access_review = await self._create_review(
            SUBJECT_ACCESS_REVIEWS,
            {
                "user": user["username"],
                "groups": user.get("groups") or [],
                "uid": user.get("uid") or "",
                "extra": user.get("extra") or {},
                "nonResourceAttributes": {"path": METRICS_PATH, "verb": "get"},
            },
        )
        is_allowed = (access_review.get("status") or {}).get("allowed") is True
        return Access.ALLOWED if is_allowed else Access.FORBIDDEN

    async def _create_review(self, resource: Resource, spec: Json) -> Json:
        """Create a review, which is not stored: the answer is its status."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
        return await self._client.create(resource, body)

    def _log_failure(self, error: ApiError) -> None:
        now = self._clock()
        if now >= self._logged_at + LOG_INTERVAL:
            self._logged_at = now
            logger.warning("metrics are refused, as their readers cannot be reviewed: %s", error)
