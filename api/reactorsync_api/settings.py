"""Settings of the API."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from reactorsync.loopback import is_loopback
from reactorsync.settings import DatabaseSettings, KafkaSettings


class ApiSettings(KafkaSettings, DatabaseSettings):
    """Settings of ``reactorsync-api``.

    Without a token the API serves this machine only: it refuses to start on any other address.
    """

    api_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    api_port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    api_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token every request must carry; must be set beyond loopback.",
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Origins of browser pages that may call the API, as a JSON list.",
    )

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if self.api_token is None and not is_loopback(self.api_host):
            raise ValueError(
                f"REACTORSYNC_API_HOST is {self.api_host}, which others can reach: set "
                "REACTORSYNC_API_TOKEN (or REACTORSYNC_API_TOKEN_FILE), or listen on 127.0.0.1"
            )
        return self
