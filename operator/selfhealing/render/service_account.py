"""Renders the ServiceAccount of an app that has one of its own."""

from typing import Any

from selfhealing.api.names import SERVICE_ACCOUNT
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata


def build_service_account(owner: Owner, spec: SelfHealingAppSpec) -> dict[str, Any] | None:
    """Return the core/v1 ServiceAccount of an app; None if it does not ask for one.

    Its token is mounted only where the pods ask for it: most apps call no Kubernetes API.
    """
    account = spec.service_account
    if account is None or not account.create:
        return None
    return {
        "apiVersion": "v1",
        "kind": SERVICE_ACCOUNT,
        "metadata": build_metadata(owner, account.annotations),
        "automountServiceAccountToken": False,
    }


def service_account_name(app: str, spec: SelfHealingAppSpec) -> str | None:
    """Return the name of the account that the pods of ``app`` run as; None for the default one."""
    if spec.service_account is not None and spec.service_account.create:
        return app
    return spec.service_account_name
