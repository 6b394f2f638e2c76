"""Overlays of volumes."""

from typing import Final

from selfhealing.api import limits
from selfhealing.api.base import Rule
from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.api.limits import exactly_one_field, max_items, one_of
from selfhealing.crdgen.overlays.containers import PULL_POLICY
from selfhealing.crdgen.overlays.meta import CORE, LABEL_KEY
from selfhealing.crdgen.schema.overlay import Overlay

VOLUME_SOURCES: Final = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "hostPath",
    "image",
    "nfs",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
"""The volume sources that are offered."""

PROJECTED_SOURCES: Final = ("configMap", "downwardAPI", "secret", "serviceAccountToken")


def _projected_paths(source: str) -> str:
    """Return the CEL for the paths that one source of a projected volume writes."""
    return (
        f"(has({source}.secret) && has({source}.secret.items)"
        f" ? {source}.secret.items.map(i, i.path)"
        f" : has({source}.configMap) && has({source}.configMap.items)"
        f" ? {source}.configMap.items.map(i, i.path)"
        f" : has({source}.downwardAPI) && has({source}.downwardAPI.items)"
        f" ? {source}.downwardAPI.items.map(i, i.path) : [])"
    )


OVERLAYS: Final = {
    f"{CORE}.Volume": Overlay(
        drop=LEFT_OUT_FIELDS["Volume"],
        fields={
            "name": Overlay(
                keywords={"maxLength": 63},
                rules=(
                    Rule(
                        cel=f"self.matches('{limits.dns_label['pattern']}')",
                        message="a volume's name has small letters, digits and '-' inside",
                    ),
                ),
            ),
        },
        rules=(
            exactly_one_field(
                VOLUME_SOURCES,
                f"a volume has exactly one source: write one of {', '.join(VOLUME_SOURCES)}",
            ),
        ),
    ),
    f"{CORE}.KeyToPath": Overlay(
        fields={"key": limits.non_empty, "path": limits.relative_path, "mode": limits.file_mode}
    ),
    f"{CORE}.ConfigMapVolumeSource": Overlay(
        require=("name",),
        fields={
            "name": limits.dns_subdomain,
            "defaultMode": limits.file_mode,
            "items": max_items(64),
        },
    ),
    f"{CORE}.SecretVolumeSource": Overlay(
        require=("secretName",),
        fields={
            "secretName": limits.dns_subdomain,
            "defaultMode": limits.file_mode,
            "items": max_items(64),
        },
    ),
    f"{CORE}.ConfigMapProjection": Overlay(
        require=("name",), fields={"name": limits.dns_subdomain, "items": max_items(8)}
    ),
    f"{CORE}.SecretProjection": Overlay(
        require=("name",), fields={"name": limits.dns_subdomain, "items": max_items(8)}
    ),
    f"{CORE}.DownwardAPIProjection": Overlay(fields={"items": max_items(8)}),
    f"{CORE}.DownwardAPIVolumeSource": Overlay(
        fields={"defaultMode": limits.file_mode, "items": max_items(64)}
    ),
    f"{CORE}.DownwardAPIVolumeFile": Overlay(
        fields={
            "path": limits.relative_path,
            "mode": limits.file_mode,
            "fieldRef": Overlay(
                fields={
                    "fieldPath": {
                        "pattern": r"^metadata\.(name|namespace|uid|labels|annotations"
                        rf"|(labels|annotations)\['{LABEL_KEY}'\])$",
                        "maxLength": 320,
                    }
                }
            ),
            "resourceFieldRef": Overlay(require=("containerName",)),
        },
        rules=(
            exactly_one_field(
                ("fieldRef", "resourceFieldRef"), "write exactly one of fieldRef, resourceFieldRef"
            ),
        ),
    ),
    f"{CORE}.ServiceAccountTokenProjection": Overlay(
        fields={
            "expirationSeconds": {"minimum": 600, "maximum": 2**32},
            "path": limits.relative_path,
        }
    ),
    f"{CORE}.VolumeProjection": Overlay(
        drop=LEFT_OUT_FIELDS["VolumeProjection"],
        rules=(
            exactly_one_field(
                PROJECTED_SOURCES, f"write exactly one of {', '.join(PROJECTED_SOURCES)}"
            ),
        ),
    ),
    f"{CORE}.ProjectedVolumeSource": Overlay(
        fields={
            "defaultMode": limits.file_mode,
            "sources": Overlay(
                keywords=max_items(8),
                rules=(
                    Rule(
                        cel=f"self.all(s, {_projected_paths('s')}.all(p,"
                        f" self.map(t, {_projected_paths('t')}.filter(q, q == p).size())"
                        ".sum() == 1))",
                        message="two sources write the same path: give each file its own",
                    ),
                ),
            ),
        }
    ),
    f"{CORE}.EmptyDirVolumeSource": Overlay(
        fields={
            "medium": {"pattern": "^(Memory|HugePages(-[1-9][0-9]*[KMG]i)?)?$", "maxLength": 32}
        }
    ),
    f"{CORE}.HostPathVolumeSource": Overlay(
        fields={
            "path": limits.path_without_dot_dot,
            "type": one_of(
                "",
                "BlockDevice",
                "CharDevice",
                "Directory",
                "DirectoryOrCreate",
                "File",
                "FileOrCreate",
                "Socket",
            ),
        }
    ),
    f"{CORE}.CSIVolumeSource": Overlay(
        fields={
            "driver": {**limits.dns_subdomain, "maxLength": 63},
            "volumeAttributes": {"maxProperties": 64},
        }
    ),
    f"{CORE}.NFSVolumeSource": Overlay(
        fields={"server": limits.non_empty, "path": {"pattern": "^/", "maxLength": 1024}}
    ),
    f"{CORE}.PersistentVolumeClaimVolumeSource": Overlay(
        fields={"claimName": limits.dns_subdomain}
    ),
    f"{CORE}.ImageVolumeSource": Overlay(
        require=("reference",), fields={"reference": limits.non_empty, "pullPolicy": PULL_POLICY}
    ),
    f"{CORE}.EphemeralVolumeSource": Overlay(require=("volumeClaimTemplate",)),
    f"{CORE}.PersistentVolumeClaimSpec": Overlay(
        drop=LEFT_OUT_FIELDS["PersistentVolumeClaimSpec"],
        require=("accessModes", "resources"),
        fields={
            "accessModes": Overlay(
                keywords=max_items(4, minItems=1),
                items=one_of("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
                rules=(
                    Rule(
                        cel="!('ReadWriteOncePod' in self)"
                        " || self.all(mode, mode == 'ReadWriteOncePod')",
                        message="ReadWriteOncePod excludes the other access modes",
                    ),
                ),
            ),
            "storageClassName": limits.dns_subdomain_or_empty,
            "volumeAttributesClassName": limits.dns_subdomain_or_empty,
        },
    ),
    f"{CORE}.VolumeResourceRequirements": Overlay(
        require=("requests",),
        fields={
            "requests": Overlay(
                keywords={"maxProperties": 4},
                rules=(
                    Rule(
                        cel="'storage' in self && (type(self['storage']) == int"
                        " ? self['storage'] > 0"
                        " : isQuantity(self['storage'])"
                        " && quantity(self['storage']).isGreaterThan(quantity('0')))",
                        message="write the size, such as storage: 1Gi",
                    ),
                ),
            ),
            "limits": {"maxProperties": 4},
        },
    ),
}
