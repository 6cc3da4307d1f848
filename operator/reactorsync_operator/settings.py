"""Settings of the operator."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import NoDecode

from reactorsync.settings import KafkaSettings

_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABELS: Final = rf"^{_LABEL}(\.{_LABEL})*$"


class OperatorSettings(KafkaSettings):
    """How the operator works."""

    control_plane: Literal["postgres", "kubernetes"] = Field(
        default="postgres",
        description="Where the resources live: tables of Postgres, or custom resources.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description=(
            "SQLAlchemy URL, postgresql+psycopg://user:password@host:port/name; needed by the "
            "control plane postgres alone."
        ),
    )
    kubeconfig: Path | None = Field(
        default=None,
        description=(
            "File that says how to reach the API server. Without it: the service account of the "
            "pod, else KUBECONFIG, else ~/.kube/config."
        ),
    )
    kube_context: str | None = Field(
        default=None, description="Context of the kubeconfig to use instead of its current one."
    )
    namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        max_length=100,
        description="Namespaces to serve, comma-separated; empty serves the whole cluster.",
    )
    lease_namespace: str | None = Field(
        default=None,
        max_length=63,
        pattern=_LABELS,
        description="Namespace of the leader's Lease; without it the namespace of the pod.",
    )
    lease_name: str = Field(
        default="reactorsync-operator",
        max_length=253,
        pattern=_LABELS,
        description="Name of the Lease. Operators that serve the same objects must share it.",
    )
    identity: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=200,
        description="Name of this process among those that may lead; in a pod, the pod's name.",
    )
    environment: str | None = Field(
        default=None,
        max_length=63,
        description=(
            "What this cluster is, for example staging. A scenario meant for another environment "
            "does not run here."
        ),
    )
    guard_max_targets_percent: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Largest share of a namespace's reactors that one scenario may act on.",
    )
    guard_max_severe_runs: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Most runs with a severe stage at the same time; 0 sets no limit.",
    )
    probe_http_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        max_length=100,
        description="Hosts that HTTP probes may ask, comma-separated; empty allows none.",
    )
    status_interval_seconds: float = Field(
        default=1.0,
        ge=0.0,
        le=60.0,
        description="Least time between two writes of one object's status.",
    )
    resync_seconds: float = Field(
        default=30.0,
        ge=1.0,
        le=3600.0,
        description="How often a watch asks for changes even though nobody told it of any.",
    )
    sweep_seconds: float = Field(
        default=300.0,
        ge=10.0,
        le=86_400.0,
        description="Time between two full lists of all resources, which heal what a watch missed.",
    )
    watch_inactivity_seconds: float = Field(
        default=40.0,
        ge=5.0,
        le=70.0,
        description=(
            "A watch on which the API server says nothing for so long is made anew; after twice "
            "the time the process counts as deaf and /healthz fails."
        ),
    )
    queue_limit_seconds: float = Field(
        default=60.0,
        ge=5.0,
        le=3600.0,
        description="Objects that wait while none is planned for longer make /healthz fail.",
    )
    generator_capacity: int = Field(
        default=5000,
        ge=1,
        description=(
            "Readings per second that one generator is to make at most; with a "
            "generator_workload, where the reckoning begins until their own load was measured."
        ),
    )
    generator_pool_file: Path | None = Field(
        default=None,
        description=(
            'File that gets {"replicas": n}, the number of generators the fleet needs, for whoever '
            "starts them. Without it the pool is left alone."
        ),
    )
    generator_workload: str | None = Field(
        default=None,
        pattern=rf"^(statefulset|deployment)/{_LABEL}(\.{_LABEL})*$",
        max_length=265,
        description=(
            "statefulset/NAME or deployment/NAME of the generators, which the operator scales. "
            "Without it the pool is left alone."
        ),
    )
    generator_namespace: str | None = Field(
        default=None,
        max_length=63,
        pattern=_LABELS,
        description="Namespace of generator_workload; without it that of the lease.",
    )
    generator_min_replicas: int = Field(
        default=1, ge=0, le=512, description="Fewest generators to run."
    )
    generator_max_replicas: int = Field(
        default=64,
        ge=1,
        le=512,
        description="Most generators to run; more than there are shards would have nothing to do.",
    )

    @property
    def served_namespaces(self) -> tuple[str, ...] | None:
        """The namespaces to serve, ``None`` for all."""
        return self.namespaces or None

    @field_validator("namespaces", "probe_http_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("namespaces")
    @classmethod
    def _check_namespaces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if re.fullmatch(_LABEL, name) is None:
                raise ValueError(f"'{name}' is no name of a namespace")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.control_plane == "postgres":
            if self.database_url is None:
                raise _wrong("database_url", "needed by the control plane postgres")
            for field in ("namespaces", "generator_workload"):
                if getattr(self, field):
                    raise _wrong(field, "only the control plane kubernetes can do that")
        elif self.generator_workload is not None and self.generator_pool_file is not None:
            raise _wrong("generator_pool_file", "must not be set with generator_workload")
        if self.generator_min_replicas > self.generator_max_replicas:
            raise _wrong("generator_min_replicas", "must not exceed generator_max_replicas")
        return self


def _wrong(field: str, message: str) -> ValidationError:
    """Return the error of one field, so that the report names its variable."""
    return ValidationError.from_exception_data(
        "OperatorSettings",
        [
            InitErrorDetails(
                type=PydanticCustomError("combination", message),
                loc=(field,),
                input=None,
            )
        ],
    )
