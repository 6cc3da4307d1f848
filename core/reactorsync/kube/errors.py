"""What can go wrong between us and an API server. No message holds a secret."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue


class KubeConfigError(Exception):
    """How to reach the cluster cannot be read; the message says where and what to do."""


class ApiError(Exception):
    """The API server answered with an error, a ``metav1.Status``.

    ``code`` is the HTTP status, ``reason`` its word in CamelCase such as ``NotFound``, and
    ``details`` what the server says beyond that, for example ``causes``, one for each bad field.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(f"{code} {reason}: {message}" if reason else f"{code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details: Mapping[str, JsonValue] = details or {}


class ApiUnavailable(Exception):
    """There was no answer, or only "not now"; the same request may succeed later."""
