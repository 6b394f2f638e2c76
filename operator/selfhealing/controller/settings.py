"""The operator's settings, read from environment variables and flags.

The setting ``workers`` is the variable ``SELFHEALING_WORKERS`` and the flag ``--workers``; the flag
takes precedence. ``kopf run`` reads only the variables.
"""

import argparse
import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from selfhealing.api.config_refs import ConfigWatch
from selfhealing.api.linear_regex import compile_pattern

MetricsAuth = Literal["off", "token"]

ENVIRONMENT_PREFIX: Final = "SELFHEALING_"


_SERVICE_LINK: Final = compile_pattern(
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
"""Variables that Kubernetes sets for each Service of a namespace: some have the same prefix."""


class SettingsError(ValueError):
    """A setting has an invalid value; the message names it and the values that are valid."""


def split_commas(value: str) -> tuple[str, ...]:
    """Split a list as people write it: ``a,b`` and ``a, b`` are the same."""
    return tuple(part for word in value.split(",") if (part := word.strip()))


def _split_text(value: object) -> object:
    return split_commas(value) if isinstance(value, str) else value


class Settings(BaseModel):
    """All settings with their defaults; times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    namespaces: Annotated[tuple[str, ...], BeforeValidator(_split_text)] = Field(
        default=(), description="Namespaces to serve, separated by commas; empty for all of them."
    )
    workers: int = Field(
        default=16, ge=1, le=256, description="Apps that are reconciled at the same time."
    )
    debounce: float = Field(
        default=0.05, ge=0, le=5, description="Wait for more changes of an app before acting."
    )
    status_interval: float = Field(
        default=0.5,
        ge=0,
        le=60,
        description="At least this long between two status writes of an app.",
    )
    relist_interval: float = Field(
        default=300, ge=5, description="How often everything is listed to find missed deletions."
    )
    request_timeout: float = Field(
        default=15, gt=0, le=300, description="Longest that one request to the API server may take."
    )
    leader_election: Literal["auto", "on", "off"] = Field(
        default="auto", description="Whether only the holder of a Lease acts; auto: in a cluster."
    )
    lease_name: str = Field(default="selfhealing-operator", description="The Lease's name.")
    lease_namespace: str = Field(
        default="", description="The Lease's namespace; empty for the operator's own."
    )
    lease_duration: float = Field(
        default=15, ge=3, description="How long a silent leader is waited for."
    )
    lease_renew: float = Field(
        default=2,
        ge=0.5,
        validate_default=True,
        description="How often the leader renews, and the others look.",
    )
    healing_scale: float = Field(
        default=1,
        gt=0,
        le=10,
        description="Every time of healing is multiplied by this: less to try it out, or to test.",
    )
    healing_quiet: float = Field(
        default=60,
        ge=0,
        le=3600,
        description="How long after its start the operator begins no healing, times the scale.",
    )
    config_watch: ConfigWatch = Field(
        default="configmaps",
        description="What replaces the pods that read it when it changes: configmaps, all "
        "(ConfigMaps and Secrets), off. What is left out is not read and needs no right.",
    )
    stall_limit: float = Field(
        default=30, ge=5, description="A loop or a queue this far behind fails the liveness probe."
    )
    metrics_port: int = Field(
        default=8080, ge=0, le=65535, description="Port of /metrics; 0 for none."
    )
    metrics_auth: MetricsAuth = Field(
        default="off",
        description="Who may read /metrics: everybody who reaches the port (off), or who has the "
        "right to get the URL /metrics and sends a token (token).",
    )
    metrics_tls_cert_file: str = Field(
        default="",
        description="File with the certificate chain (PEM) with which /metrics is served over "
        "TLS; empty for plain HTTP. It is read again when it changes.",
    )
    metrics_tls_key_file: str = Field(
        default="",
        validate_default=True,
        description="File with the private key (PEM) of that certificate, without a password.",
    )
    health_port: int = Field(
        default=8081,
        ge=0,
        le=65535,
        description="Port of /healthz (not with kopf run); 0 for none.",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Log lines for people or machines; auto: text in a terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )

    @field_validator("lease_renew")
    @classmethod
    def _validate_lease_renew(cls, renew: float, info: ValidationInfo) -> float:
        """Reject an interval in which a leader cannot renew twice before it gives up."""
        duration = info.data.get("lease_duration")
        if duration is not None and renew > duration / 3:
            raise ValueError(
                f"at most a third of {_variable_name('lease_duration')}, which is {duration:g}"
            )
        return renew

    @field_validator("metrics_tls_key_file")
    @classmethod
    def _validate_metrics_tls(cls, key_file: str, info: ValidationInfo) -> str:
        """Reject one of the two files without the other."""
        if bool(key_file) != bool(info.data.get("metrics_tls_cert_file")):
            cert_variable = _variable_name("metrics_tls_cert_file")
            raise ValueError(f"give this and {cert_variable} together, or neither of them")
        return key_file

    @property
    def metrics_tls_files(self) -> tuple[str, str] | None:
        """The certificate of the metrics and its key; None for plain HTTP."""
        if not self.metrics_tls_cert_file:
            return None
        return self.metrics_tls_cert_file, self.metrics_tls_key_file


def load_settings(environment: Mapping[str, str], arguments: Sequence[str] = ()) -> Settings:
    """Read the settings from ``environment`` and the flags in ``arguments``.

    Raises:
        SettingsError: a value is invalid, or a variable with the prefix names no setting.
        SystemExit: ``--help`` or an unknown flag was given.
    """
    values: dict[str, Any] = {
        field: value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
        and (
            (field := name.removeprefix(ENVIRONMENT_PREFIX).lower()) in Settings.model_fields
            or not _SERVICE_LINK.search(name)
        )
    }
    flags = vars(build_parser().parse_args(arguments))
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_format_error(detail) for detail in error.errors())) from None


def _format_error(error: Mapping[str, Any]) -> str:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.0)
        return (
            f"{_variable_name(name)} is no setting; the nearest is {_variable_name(nearest[0])} "
            "(see --help)"
        )
    return f"{_variable_name(name)}={error['input']!r}: {error['msg']}"


def _variable_name(name: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="selfhealing-operator",
        description="Runs the SelfHealingApp operator against the cluster of KUBECONFIG, or the "
        "one it runs in.",
        epilog=f"Each flag is also a variable: --workers is {ENVIRONMENT_PREFIX}WORKERS."
        " `selfhealing-operator import --help`: make a SelfHealingApp of a Deployment.",
    )
    for name, field in Settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        parser.add_argument(
            "--" + name.replace("_", "-"),
            metavar="VALUE",
            help=f"{field.description} Default: {default if default != '' else 'empty'}.",
        )
    return parser
