"""Overlays of the Service."""

from typing import Final

from selfhealing.api.left_out_fields import LEFT_OUT_FIELDS
from selfhealing.crdgen.overlays.meta import CORE
from selfhealing.crdgen.schema.overlay import Overlay

OVERLAYS: Final = {
    f"{CORE}.ServiceSpec": Overlay(
        drop=LEFT_OUT_FIELDS["ServiceSpec"],
    ),
    f"{CORE}.ClientIPConfig": Overlay(
        # MaxClientIPServiceAffinitySeconds in pkg/apis/core/types.go
        fields={"timeoutSeconds": {"minimum": 1, "maximum": 86400}}
    ),
}
