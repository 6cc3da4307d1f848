"""Settings: environment variables and secret files, one documented class per part.

A part's class derives from :class:`Settings`; what several parts share is a class here. Every
variable starts with ``REACTORSYNC_``; any of them may instead be given as a file, by the same name
with ``_FILE`` appended (``REACTORSYNC_DATABASE_URL_FILE=/run/secrets/database-url``).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from reactorsync.wire.topics import Topics

PREFIX: Final = "REACTORSYNC_"


class SettingsError(Exception):
    """The settings cannot be used; the text has one line per variable."""


class _SecretFiles(PydanticBaseSettingsSource):
    """Reads ``<VARIABLE>_FILE``; the file's trailing newline is not part of the value."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except OSError as error:
            raise SettingsError(
                f"{PREFIX}{field_name.upper()}_FILE: cannot read {path}: {error.strerror}"
            ) from error

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


def _upper_case(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper_case)
]


class Settings(BaseSettings):
    """Base of all settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    log_level: LogLevel = Field(default="INFO", description="Lowest level that is logged.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or one JSON object a line."
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address the probes and metrics are served on."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of /metrics, /healthz and /readyz of parts without an API; 0 picks one.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, secret files."""
        return init_settings, env_settings, _SecretFiles(settings_cls)


class KafkaSettings(Settings):
    """How to reach the broker, and how its topics are laid out."""

    kafka_bootstrap: str = Field(
        default="127.0.0.1:9092", description="host:port of one or more brokers, comma-separated."
    )
    kafka_session_timeout_ms: int = Field(
        default=2500,
        ge=1000,
        le=60_000,
        description="Time after which a silent member of a consumer group is taken for dead.",
    )
    topic_prefix: str = Field(default="reactorsync", description="First part of topic names.")
    shards: int = Field(
        default=8,
        ge=1,
        le=512,
        description="Partitions of the sharded topics: upper bound on useful generators.",
    )
    topic_slot_seconds: int | None = Field(
        default=None,
        ge=60,
        description="Length of a time slot of the busy topics; set for the embedded broker only.",
    )

    @property
    def topics(self) -> Topics:
        """The topics these settings describe."""
        return Topics(
            prefix=self.topic_prefix, shards=self.shards, slot_seconds=self.topic_slot_seconds
        )


class DatabaseSettings(Settings):
    """How to reach Postgres."""

    database_url: SecretStr = Field(
        description="SQLAlchemy URL, postgresql+psycopg://user:password@host:port/name."
    )


def explain_settings_error(error: ValidationError) -> SettingsError:
    """Turn Pydantic's report into one line per variable."""
    lines = [
        f"{PREFIX}{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
        for item in error.errors()
    ]
    return SettingsError("\n".join(lines))
