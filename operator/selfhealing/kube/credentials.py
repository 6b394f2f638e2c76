"""Loads the credentials for kopf's watches and for the operator's API client.

In a cluster these are the pod's service account, elsewhere the kubeconfig. The official client
reads it, so exec plugins, OIDC and client certificates work as in kubectl.
"""

import os
from pathlib import Path

import kopf
from kubernetes.aio import config
from kubernetes.aio.client import Configuration


async def load_configuration() -> Configuration:
    """Load the current credentials.

    Raises:
        kubernetes.aio.config.ConfigException: neither a service account nor a kubeconfig exists.
    """
    configuration = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


async def build_connection_info() -> kopf.ConnectionInfo:
    """Return the credentials as kopf's watches need them."""
    configuration = await load_configuration()
    token = await configuration.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=token.rpartition(" ")[2] if token else None,  # "Bearer TOKEN" or "bearer TOKEN"
    )


def own_namespace() -> str | None:
    """Return the namespace of the operator's pod; None outside a cluster."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else None
