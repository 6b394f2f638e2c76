"""The fields of Kubernetes' own types that a SelfHealingApp does not have, and why.

The CRD drops them, the reference page gives the reasons, and ``import`` names them.
"""

from collections.abc import Mapping
from typing import Final

_NO_WINDOWS: Final = "the nodes are Linux"
_HAS_CSI: Final = "deprecated, or replaced by CSI drivers"
_BLOCK: Final = "raw block devices belong to apps with state of their own"
_RULES: Final = "healing goes by restarts, of which a rule for exit codes hides some"
_CHOSEN: Final = "the cluster chooses it; for none there is `service.headless`"
_EMPTY: Final = "an ephemeral volume starts empty"
_PROVISIONED: Final = "an ephemeral volume is always provisioned"
_NO_HOOK: Final = "Kubernetes accepts it, but it has no effect"

LEFT_OUT_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "PodSpec": {
        "activeDeadlineSeconds": "for a Job there is `job.activeDeadlineSeconds`; in a Deployment"
        " each pod would fail at that age",
        "ephemeralContainers": "`kubectl debug` adds them to running pods",
        "nodeName": "it bypasses the scheduler: write `nodeSelector` or `affinity`",
        "os": _NO_WINDOWS,
        "overhead": "Kubernetes sets it from the RuntimeClass",
        "preemptionPolicy": "Kubernetes sets it from the PriorityClass",
        "priority": "Kubernetes sets it from the PriorityClass",
        "resources": "healing and VPA change the resources of containers, which those of the whole"
        " pod would have to follow",
        "schedulingGates": "each new pod, also that of a rollback, would wait for another"
        " controller",
        "schedulingGroup": "behind a feature gate",
        "serviceAccount": "deprecated: `serviceAccountName`",
    },
    "Container": {"restartPolicyRules": _RULES, "volumeDevices": _BLOCK},
    "ContainerPort": {
        "hostIP": "a host port is open on every address of the node",
        "hostPort": "the app's own: `ports[].hostPort`",
    },
    "EnvVarSource": {"fileKeyRef": "beta: let the app read the file"},
    "SecurityContext": {
        "procMount": "anything but the default shows more of the node's /proc",
        "windowsOptions": _NO_WINDOWS,
    },
    "PodSecurityContext": {"windowsOptions": _NO_WINDOWS},
    "Lifecycle": {"stopSignal": "behind a feature gate"},
    "LifecycleHandler": {"tcpSocket": _NO_HOOK},
    "Volume": {
        **dict.fromkeys(
            (
                "awsElasticBlockStore",
                "azureDisk",
                "azureFile",
                "cephfs",
                "cinder",
                "flexVolume",
                "flocker",
                "gcePersistentDisk",
                "gitRepo",
                "glusterfs",
                "photonPersistentDisk",
                "portworxVolume",
                "quobyte",
                "rbd",
                "scaleIO",
                "storageos",
                "vsphereVolume",
            ),
            _HAS_CSI,
        ),
        **dict.fromkeys(("fc", "iscsi"), "a CSI driver does it better"),
    },
    "VolumeProjection": dict.fromkeys(
        ("clusterTrustBundle", "podCertificate"), "behind feature gates"
    ),
    "PersistentVolumeClaimSpec": {
        "dataSource": _EMPTY,
        "dataSourceRef": _EMPTY,
        "selector": _PROVISIONED,
        "volumeName": _PROVISIONED,
        "volumeMode": _BLOCK,
    },
    "ServiceSpec": {
        "clusterIP": _CHOSEN,
        "clusterIPs": _CHOSEN,
        "externalIPs": "whoever may set them can take over the traffic of others",
        "externalName": "it leads to another host, not to the pods",
        "healthCheckNodePort": "the cluster chooses it",
        "loadBalancerIP": "deprecated: an annotation of the load balancer",
    },
}
"""By the name of a type of core/v1: the fields, and the reason for each."""
