"""The CEL rules of the pod: its metadata, containers and namespaces.

They repeat checks of pkg/apis/core/validation/validation.go of Kubernetes 1.36, so that
``kubectl apply`` refuses what the API server would refuse in the Deployment.
"""

from typing import Final

from selfhealing.api.base import Rule
from selfhealing.api.names import ANNOTATION_RESTARTED_AT, GROUP, LABEL_APP

_OTHER_CONTAINERS: Final = ("initContainers", "sidecars")
"""The lists of containers beside the app's, whose fields are those of the spec itself."""

NO_OPERATOR_LABELS: Final = Rule(
    # The last four are set by the Deployment and the Job controller.
    cel=f"!self.exists(key, key.startsWith('{GROUP}/') || key.startsWith('batch.kubernetes.io/')"
    " || key in ['app.kubernetes.io/managed-by', 'pod-template-hash', 'controller-uid',"
    " 'job-name'])",
    message=f"the labels app.kubernetes.io/managed-by, {GROUP}/*, pod-template-hash, job-name,"
    " controller-uid and batch.kubernetes.io/* are set by the operator and Kubernetes: remove them;"
    f" select the pods by {LABEL_APP}, or by a label of your own such as example.com/tier",
    reason="FieldValueForbidden",
)

NO_OBSOLETE_POD_ANNOTATIONS: Final = Rule(
    cel=f"!self.exists(key, key in ['{ANNOTATION_RESTARTED_AT}', 'kubernetes.io/config.mirror']"
    r" || key.matches('^(container[.])?(apparmor[.]security[.]beta|seccomp[.]security[.]alpha)[.]"
    "kubernetes[.]io/'))",
    message=f"{ANNOTATION_RESTARTED_AT} and kubernetes.io/config.mirror are written by Kubernetes:"
    " remove them; instead of an annotation of apparmor or seccomp write"
    " securityContext.appArmorProfile or seccompProfile",
    reason="FieldValueForbidden",
)

_HAS_APP_LABEL: Final = (
    "(has({0}.podMetadata) && has({0}.podMetadata.labels) && 'app' in {0}.podMetadata.labels)"
)

APP_LABEL_STAYS: Final = Rule(
    # A NetworkPolicy selects the pods by it, or by the label that replaces it.
    cel="!has(self.networkPolicy) || !has(oldSelf.networkPolicy)"
    f" || {_HAS_APP_LABEL.format('self')} == {_HAS_APP_LABEL.format('oldSelf')}",
    message="with the label app the pods that run would escape the networkPolicy until they are"
    " replaced: first remove networkPolicy, and write it again when the new pods are there",
    field_path=".podMetadata",
)

BIDIRECTIONAL_NEEDS_PRIVILEGED: Final = Rule(
    cel="!has(self.volumeMounts) || self.volumeMounts.all(m, !has(m.mountPropagation)"
    " || m.mountPropagation != 'Bidirectional')"
    " || (has(self.securityContext) && has(self.securityContext.privileged)"
    " && self.securityContext.privileged)",
    message="Bidirectional mounts need securityContext.privileged: true",
    field_path=".volumeMounts",
)


def _mounts_name_volumes(field: str) -> Rule:
    """Return the rule that all volume mounts in ``field`` name a volume of the spec."""
    known = "has(self.volumes) && self.volumes.exists(v, v.name == m.name)"
    if field == "volumeMounts":
        all_known = f"self.volumeMounts.all(m, {known})"
    else:
        all_known = f"self.{field}.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, {known}))"
    return Rule(
        cel=f"!has(self.{field}) || {all_known}",
        message="a volumeMount names a volume that does not exist: add it under volumes",
        field_path=f".{field}",
    )


UNIQUE_CONTAINER_NAMES: Final = Rule(
    cel="!has(self.initContainers) || !has(self.sidecars)"
    " || !self.initContainers.exists(i, self.sidecars.exists(s, s.name == i.name))",
    message="an init container and a sidecar have the same name: rename one of them",
    field_path=".initContainers",
)

_GRACE_PERIOD: Final = (
    "(has(self.terminationGracePeriodSeconds) ? self.terminationGracePeriodSeconds : 30)"
)


def _hook_outlasts_grace_period(owner: str) -> str:
    """Return the CEL for: a hook of this container sleeps longer than the grace period."""
    return " || ".join(
        f"(has({owner}.lifecycle.{hook}) && has({owner}.lifecycle.{hook}.sleep)"
        f" && {owner}.lifecycle.{hook}.sleep.seconds > {_GRACE_PERIOD})"
        for hook in ("preStop", "postStart")
    )


_SLEEP_TOO_LONG_MESSAGE: Final = (
    "a hook sleeps longer than terminationGracePeriodSeconds (30 if not given):"
    " sleep less, or raise it"
)


def _sleeps_within_grace_period(field: str) -> Rule:
    """Return the rule that no hook of the containers in ``field`` sleeps too long."""
    return Rule(
        cel=f"!has(self.{field}) || !self.{field}.exists(c, has(c.lifecycle)"
        f" && ({_hook_outlasts_grace_period('c')}))",
        message=_SLEEP_TOO_LONG_MESSAGE,
        field_path=f".{field}",
    )


SLEEP_WITHIN_GRACE_PERIOD: Final = Rule(
    cel=f"!has(self.lifecycle) || !({_hook_outlasts_grace_period('self')})",
    message=_SLEEP_TOO_LONG_MESSAGE,
    field_path=".lifecycle",
)


def _no_restart_to_resize(field: str) -> Rule:
    """Return the rule that a pod that never restarts is resized without a restart."""
    restarts = "{0}.resizePolicy.exists(p, p.restartPolicy != 'NotRequired')"
    return Rule(
        cel="!has(self.restartPolicy) || self.restartPolicy != 'Never' || !"
        + (
            f"(has(self.{field}) && {restarts.format('self')})"
            if field == "resizePolicy"
            else f"(has(self.{field}) && self.{field}.exists(c, has(c.resizePolicy)"
            f" && {restarts.format('c')}))"
        ),
        message="with restartPolicy: Never no container may be restarted to be resized:"
        " write restartPolicy: NotRequired in resizePolicy",
        field_path=f".{field}",
    )


def _claims_are_listed(field: str) -> Rule:
    """Return the rule that the resource claims in ``field`` are among those of the pod."""
    known = "has(self.resourceClaims) && self.resourceClaims.exists(r, r.name == claim.name)"
    claims = (
        "!has({0}.resources) || !has({0}.resources.claims) || {0}.resources.claims.all(claim, {1})"
    )
    return Rule(
        cel=claims.format("self", known)
        if field == "resources"
        else f"!has(self.{field}) || self.{field}.all(c, {claims.format('c', known)})",
        message="resources.claims names a claim that the pod does not have: add it under"
        " resourceClaims",
        field_path=f".{field}",
    )


ANNOTATIONS_NEED_CREATE: Final = Rule(
    cel="self.create || !has(self.annotations) || self.annotations.size() == 0",
    message="only an account that the operator creates has annotations: write create: true,"
    " or annotate the other one yourself",
    field_path=".annotations",
    reason="FieldValueForbidden",
)

ONE_SERVICE_ACCOUNT: Final = Rule(
    cel="!has(self.serviceAccountName) || !has(self.serviceAccount) || !self.serviceAccount.create",
    message="serviceAccountName names an account that exists, and serviceAccount creates one:"
    " keep one of them",
    field_path=".serviceAccountName",
    reason="FieldValueForbidden",
)

NO_HOST_NAMESPACES_WITHOUT_HOST_USERS: Final = Rule(
    cel="!has(self.hostUsers) || self.hostUsers || !((has(self.hostNetwork) && self.hostNetwork)"
    " || (has(self.hostPID) && self.hostPID) || (has(self.hostIPC) && self.hostIPC))",
    message="with hostUsers: false the pods share nothing with the node:"
    " remove hostNetwork, hostPID and hostIPC, or hostUsers",
    field_path=".hostUsers",
)

ONE_PROCESS_NAMESPACE: Final = Rule(
    cel="!(has(self.hostPID) && self.hostPID && has(self.shareProcessNamespace)"
    " && self.shareProcessNamespace)",
    message="with hostPID the containers see the processes of each other and of the node:"
    " remove shareProcessNamespace, or hostPID",
    field_path=".shareProcessNamespace",
)

DNS_NONE_NEEDS_NAMESERVERS: Final = Rule(
    cel="!has(self.dnsPolicy) || self.dnsPolicy != 'None' || (has(self.dnsConfig)"
    " && has(self.dnsConfig.nameservers) && self.dnsConfig.nameservers.size() > 0)",
    message="dnsPolicy: None leaves no name server: write dnsConfig.nameservers, or another policy",
    field_path=".dnsPolicy",
)

HOSTNAME_OVERRIDE_IS_THE_ONLY_ONE: Final = Rule(
    cel="!has(self.hostnameOverride) || !((has(self.hostNetwork) && self.hostNetwork)"
    " || (has(self.setHostnameAsFQDN) && self.setHostnameAsFQDN))",
    message="hostnameOverride excludes hostNetwork and setHostnameAsFQDN: keep one of them",
    field_path=".hostnameOverride",
    reason="FieldValueForbidden",
)

POD_RULES: Final = (
    *(_mounts_name_volumes(field) for field in ("volumeMounts", *_OTHER_CONTAINERS)),
    BIDIRECTIONAL_NEEDS_PRIVILEGED,
    UNIQUE_CONTAINER_NAMES,
    SLEEP_WITHIN_GRACE_PERIOD,
    *(_sleeps_within_grace_period(field) for field in _OTHER_CONTAINERS),
    *(_no_restart_to_resize(field) for field in ("resizePolicy", *_OTHER_CONTAINERS)),
    *(_claims_are_listed(field) for field in ("resources", *_OTHER_CONTAINERS)),
    ONE_SERVICE_ACCOUNT,
    APP_LABEL_STAYS,
    NO_HOST_NAMESPACES_WITHOUT_HOST_USERS,
    ONE_PROCESS_NAMESPACE,
    DNS_NONE_NEEDS_NAMESERVERS,
    HOSTNAME_OVERRIDE_IS_THE_ONLY_ONE,
)
"""The rules of the whole spec about its pods."""
