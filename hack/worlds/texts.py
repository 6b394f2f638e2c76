"""The texts of faults of the environment, as containerd 2 and Kubernetes 1.36 write them."""

from typing import Final

_IMAGE: Final = "registry.example/library/web"

RATE_LIMIT: Final = (
    "failed to copy: httpReadSeeker: failed open: unexpected status code "
    "https://registry.example/v2/library/web/manifests/sha256:0f1e: 429 Too Many Requests - "
    "Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."
)
NO_DNS: Final = (
    f'failed to resolve reference "{_IMAGE}": failed to do request: Head '
    '"https://registry.example/v2/library/web/manifests/2": dial tcp: lookup '
    "registry.example on 10.96.0.10:53: no such host"
)
BAD_CERTIFICATE: Final = (
    f'failed to resolve reference "{_IMAGE}": failed to do request: Head '
    '"https://registry.example/v2/library/web/manifests/2": tls: failed to verify '
    "certificate: x509: certificate signed by unknown authority"
)
NO_CREDENTIALS: Final = (
    f'failed to resolve reference "{_IMAGE}": failed to authorize: failed to fetch oauth token: '
    "unexpected status from GET request to https://auth.registry.example/token: 401 Unauthorized"
)
WRONG_PLATFORM: Final = "no match for platform in manifest: not found"
NO_SPACE: Final = (
    "failed to extract layer sha256:4c1d: write /var/lib/containerd/io.containerd.snapshotter"
    ".v1.overlayfs/snapshots/77/fs/usr/lib/libc.so: no space left on device"
)
NO_NETWORK: Final = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for "
    'sandbox "5b1c": plugin type="calico" failed (add): error getting ClusterInformation: '
    "connection is unauthorized: Unauthorized"
)
WEBHOOK_DOWN: Final = (
    'Internal error occurred: failed calling webhook "validate.policy.example.com": failed to '
    'call webhook: Post "https://policy.policy-system.svc:443/validate?timeout=10s": dial tcp '
    "10.96.14.3:443: connect: connection refused"
)
NODE_LOW_ON_DISK: Final = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 204Mi. "
    "Container app was using 12Mi, request is 0, has larger consumption of ephemeral-storage. "
)
