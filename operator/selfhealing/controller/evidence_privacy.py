"""Reads the values that are masked in all text about an app: its variables and its Secrets."""

import asyncio
import logging
from itertools import chain
from typing import Any, Final

from selfhealing.api.config_refs import SECRET, ConfigWatch
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.cache.views import AppKey
from selfhealing.evidence.known_values import (
    build_known_values,
    find_env_values,
    find_secret_values,
)
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import CONFIG_SOURCES, Resource
from selfhealing.render.references import find_references

logger = logging.getLogger(__name__)

Json = dict[str, Any]

MAX_SECRETS: Final = 20
"""The most Secrets of an app that are read for one evidence."""
READ_TIMEOUT: Final = 5.0
"""Seconds for all of them."""


class EvidencePrivacy:
    """Tells which values are masked in all text about an app."""

    def __init__(self, client: Client, config_watch: ConfigWatch) -> None:
        """Create it.

        Args:
            client: the API client.
            config_watch: the setting of that name; Secrets are read only with "all".
        """
        self._client = client
        self._secrets: Resource | None = next(
            (source for source in CONFIG_SOURCES[config_watch] if source.kind == SECRET), None
        )

    async def read_known_values(
        self, app: AppKey, spec: SelfHealingAppSpec, *pod_specs: Json
    ) -> tuple[str, ...]:
        """Read the values that are masked: variables of the pods, and data of the app's Secrets.

        A Secret that cannot be read is left to the patterns.

        Args:
            app: the app.
            spec: its spec, which refers to the Secrets.
            pod_specs: the specs of its pods, of which the variables are looked at.
        """
        public = (app.name, app.namespace, spec.image)
        env_values = chain.from_iterable(find_env_values(pod, public) for pod in pod_specs)
        return build_known_values(chain(env_values, await self._read_secrets(app, spec)))

    async def _read_secrets(self, app: AppKey, spec: SelfHealingAppSpec) -> list[str]:
        """Return the values in the app's Secrets; one Secret at a time is held."""
        values: list[str] = []
        if self._secrets is None:
            return values
        names = sorted(ref.name for ref in find_references(spec) if ref.kind == SECRET)
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                for name in names[:MAX_SECRETS]:
                    secret = await self._client.get(self._secrets, app.namespace, name)
                    if secret is not None:
                        values += find_secret_values(secret)
                    del secret
        except (TimeoutError, ApiError) as error:
            logger.warning("%s: a Secret cannot be read to mask its values: %s", app, error)
        return values
