"""The API never opens itself to others by accident."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from reactorsync_api.settings import ApiSettings

URL = "postgresql+psycopg://someone@127.0.0.1/reactorsync"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_login(host: str) -> None:
    settings = ApiSettings(database_url=SecretStr(URL), api_host=host)

    assert settings.api_token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "plant.example"])
def test_any_other_address_needs_authentication(host: str) -> None:
    with pytest.raises(ValidationError, match="REACTORSYNC_API_TOKEN"):
        ApiSettings(database_url=SecretStr(URL), api_host=host)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("a-token-of-some-length\n")
    monkeypatch.setenv("REACTORSYNC_API_TOKEN_FILE", str(secret))
    monkeypatch.setenv("REACTORSYNC_DATABASE_URL", URL)

    settings = ApiSettings(api_host="0.0.0.0")

    assert settings.api_token is not None
    assert settings.api_token.get_secret_value() == "a-token-of-some-length"
