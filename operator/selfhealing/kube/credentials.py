"""Credentials, once, for kopf's watches and for the operator's own writes.

In a cluster they are the pod's service account, elsewhere the kubeconfig with everything that
kubectl understands (exec plugins, OIDC, client certificates), read by the official client.
"""

import os
from pathlib import Path

import kopf
from kubernetes.aio import config
from kubernetes.aio.client import Configuration


async def load_configuration() -> Configuration:
    """Read the credentials anew.

    Raises:
        kubernetes.aio.config.ConfigException: neither a service account nor a kubeconfig is there.
    """
    configuration = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


async def build_connection_info() -> kopf.ConnectionInfo:
    """The credentials in the form that kopf's watches take."""
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
    """The namespace of the pod that this process runs in; None outside a cluster."""
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else None
