"""Who we are to an API server, and how that is renewed while we run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from reactorsync.kube.errors import ApiUnavailable

TOKEN_FILE_SECONDS: Final = 60.0
"""How long the content of a token file is used. The kubelet renews it long before it expires."""

_EXPIRES_EARLY: Final = timedelta(seconds=30)
"""A credential counts as expired so much earlier, that no request is under way with a stale one."""

_PLUGIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class ClientCertificate:
    """A certificate chain and its key, both PEM."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What goes with a request: an ``Authorization`` header, a client certificate, or neither."""

    authorization: str | None = None
    certificate: ClientCertificate | None = None


class Credentials(Protocol):
    """A source of credentials."""

    async def current(self) -> Credential:
        """Return a credential that is good now. Raises :class:`ApiUnavailable`."""
        ...

    def refuse(self, credential: Credential) -> bool:
        """Take note that the server did not accept it; return whether a new one may be had."""
        ...


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """A credential that never changes."""

    credential: Credential = field(default_factory=Credential, repr=False)

    async def current(self) -> Credential:
        """See :meth:`Credentials.current`."""
        return self.credential

    def refuse(self, credential: Credential) -> bool:
        """See :meth:`Credentials.refuse`."""
        return False


@dataclass(slots=True)
class TokenFile:
    """A bearer token in a file that somebody else renews: it is read again and again.

    A client certificate may go with it. While the file cannot be read, the last token is used.
    """

    path: Path
    certificate: ClientCertificate | None = field(default=None, repr=False)
    clock: Callable[[], float] = time.monotonic
    _credential: Credential | None = field(default=None, init=False, repr=False)
    _read_again_at: float = field(default=0.0, init=False, repr=False)

    async def current(self) -> Credential:
        """See :meth:`Credentials.current`."""
        if self._credential is None or self.clock() >= self._read_again_at:
            # A local file of a kilobyte: quicker read than handed to a thread.
            self._read()
        if self._credential is None:
            raise ApiUnavailable(f"no token in {self.path}")
        return self._credential

    def refuse(self, credential: Credential) -> bool:
        """See :meth:`Credentials.refuse`: whether the file holds another token by now."""
        self._read()
        return self._credential != credential

    def _read(self) -> None:
        try:
            token = self.path.read_text(encoding="utf-8").strip()
        except OSError:
            return
        if token:
            self._credential = Credential(f"Bearer {token}", self.certificate)
            self._read_again_at = self.clock() + TOKEN_FILE_SECONDS


class _Message(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class _PluginStatus(_Message):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _PluginAnswer(_Message):
    api_version: str
    kind: Literal["ExecCredential"]
    status: _PluginStatus


@dataclass(slots=True)
class ExecPlugin:
    """A program that prints credentials, as ``client.authentication.k8s.io`` specifies.

    Its answer is used until ``expirationTimestamp``, or until the server refuses it. Whatever it
    writes to standard error goes to ours; it cannot ask questions.
    """

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str = "client.authentication.k8s.io/v1"
    cluster: Mapping[str, object] | None = None
    install_hint: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _credential: Credential | None = field(default=None, init=False, repr=False)
    _expires: datetime | None = field(default=None, init=False, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def current(self) -> Credential:
        """See :meth:`Credentials.current`."""
        async with self._turn:
            if self._credential is None or (
                self._expires is not None and self.now() >= self._expires - _EXPIRES_EARLY
            ):
                await self._ask()
            if self._credential is None:
                raise ApiUnavailable(f"{self._title} gave no credentials")
            return self._credential

    def refuse(self, credential: Credential) -> bool:
        """See :meth:`Credentials.refuse`: the plugin is asked again."""
        if self._credential == credential:
            self._credential = None
        return True

    @property
    def _title(self) -> str:
        return f"credential plugin '{self.command}'"

    async def _ask(self) -> None:
        answer = _parse(self._title, await self._run())
        if answer.api_version != self.api_version:
            raise ApiUnavailable(
                f"{self._title} answers with {answer.api_version}, not {self.api_version}"
            )
        status = answer.status
        certificate = None
        if status.client_certificate_data and status.client_key_data:
            certificate = ClientCertificate(status.client_certificate_data, status.client_key_data)
        if not status.token and certificate is None:
            raise ApiUnavailable(f"{self._title} gave neither a token nor a certificate with key")
        self._credential = Credential(
            f"Bearer {status.token}" if status.token else None, certificate
        )
        self._expires = status.expiration_timestamp
        if self._expires is not None and self._expires.tzinfo is None:
            self._expires = self._expires.replace(tzinfo=UTC)

    async def _run(self) -> bytes:
        spec: dict[str, object] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = dict(self.cluster)
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        environment = {
            **os.environ,
            **self.environment,
            "KUBERNETES_EXEC_INFO": json.dumps(info),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                self.command,
                *self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            hint = f"; {self.install_hint}" if self.install_hint else ""
            raise ApiUnavailable(f"{self._title} cannot be run: {error.strerror}{hint}") from error
        try:
            async with asyncio.timeout(_PLUGIN_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise ApiUnavailable(f"{self._title} took over {_PLUGIN_SECONDS:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise ApiUnavailable(f"{self._title} ended with exit code {process.returncode}")
        return output


def _parse(title: str, output: bytes) -> _PluginAnswer:
    try:
        return _PluginAnswer.model_validate_json(output)
    except ValidationError as error:
        # Without the error as cause: it could show what was printed, and that is secret.
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "answer"
        raise ApiUnavailable(f"{title}: its {where} is not as specified") from None
