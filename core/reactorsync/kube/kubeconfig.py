"""Reading kubeconfig files, as kubectl does."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import aiohttp
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from reactorsync.kube.cluster import Cluster, present
from reactorsync.kube.credentials import (
    ClientCertificate,
    Credential,
    Credentials,
    ExecPlugin,
    StaticCredentials,
    TokenFile,
)
from reactorsync.kube.errors import KubeConfigError


def _to_kebab(name: str) -> str:
    return name.replace("_", "-")


class _Part(BaseModel):
    """What is not read here is passed over; what was read stays out of error messages."""

    model_config = ConfigDict(
        alias_generator=_to_kebab,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


class _ClusterPart(_Part):
    server: str
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None


class _Variable(_Part):
    name: str
    value: str


class _ExecPart(_Part):
    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    api_version: str
    command: str
    args: list[str] | None = None
    env: list[_Variable] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False


class _UserPart(_Part):
    token: str | None = None
    token_file: Annotated[str | None, Field(alias="tokenFile")] = None
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: _ExecPart | None = None
    auth_provider: dict[str, object] | None = None


class _ContextPart(_Part):
    cluster: str
    user: str = ""
    namespace: str | None = None


class _NamedCluster(_Part):
    name: str
    cluster: _ClusterPart


class _NamedUser(_Part):
    name: str
    user: _UserPart | None = None


class _NamedContext(_Part):
    name: str
    context: _ContextPart


class _File(_Part):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


P = TypeVar("P")


def from_files(files: Sequence[Path], *, context: str | None) -> Cluster:
    """Return the cluster of a context; of several files, the first that names a thing counts.

    Raises:
        KubeConfigError: a file cannot be read, or what the context needs is missing or unusable.
    """
    read = [(file, _read(file)) for file in files]
    title = ", ".join(str(file) for file in files)
    chosen = context or next((one.current_context for _, one in read if one.current_context), None)
    if not chosen:
        raise KubeConfigError(f"{title}: no current-context is set; name a context")
    last_first = read[::-1]
    contexts = {
        each.name: (file, each.context) for file, one in last_first for each in one.contexts or ()
    }
    clusters = {
        each.name: (file, each.cluster) for file, one in last_first for each in one.clusters or ()
    }
    users = {
        each.name: (file, each.user or _UserPart())
        for file, one in last_first
        for each in one.users or ()
    }
    _, of_context = _named(title, "context", chosen, contexts)
    cluster_file, cluster = _named(title, "cluster", of_context.cluster, clusters)
    user_file, user = (
        _named(title, "user", of_context.user, users)
        if of_context.user
        else (cluster_file, _UserPart())
    )
    authority = _text(
        cluster_file,
        "certificate-authority",
        file=cluster.certificate_authority,
        data=cluster.certificate_authority_data,
    )
    if not cluster.server.startswith(("https://", "http://")):
        raise KubeConfigError(f"{cluster_file}: cluster '{of_context.cluster}' has no server URL")
    return Cluster(
        server=cluster.server.rstrip("/"),
        credentials=_credentials(user_file, of_context.user, user, cluster, authority),
        certificate_authority=authority,
        is_insecure=cluster.insecure_skip_tls_verify,
        tls_server_name=cluster.tls_server_name,
        proxy=cluster.proxy_url,
        namespace=of_context.namespace or "default",
    )


def _read(file: Path) -> _File:
    try:
        return _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise KubeConfigError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Without the error: it would quote lines of the file, and those may be secret.
        raise KubeConfigError(f"{file} is not YAML ({type(error).__name__})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise KubeConfigError(f"{file}: {where}: {first['msg']}") from None


def _named(title: str, what: str, name: str, known: dict[str, P]) -> P:
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise KubeConfigError(f"{title}: there is no {what} '{name}' (known: {listed})")
    return known[name]


def _credentials(
    file: Path, name: str, user: _UserPart, cluster: _ClusterPart, authority: str | None
) -> Credentials:
    certificate = _certificate(file, name, user)
    if user.auth_provider is not None:
        raise KubeConfigError(
            f"{file}: user '{name}' uses auth-provider, which Kubernetes removed; use exec instead"
        )
    if user.exec is not None:
        return _plugin(file, user.exec, cluster, authority)
    if user.token_file:
        return TokenFile(_beside(file, user.token_file), certificate)
    if user.token:
        return StaticCredentials(Credential(f"Bearer {user.token}", certificate))
    if user.username and user.password is not None:
        basic = aiohttp.encode_basic_auth(user.username, user.password)
        return StaticCredentials(Credential(basic, certificate))
    return StaticCredentials(Credential(None, certificate))


def _plugin(
    file: Path, plugin: _ExecPart, cluster: _ClusterPart, authority: str | None
) -> ExecPlugin:
    told: dict[str, object] = {
        "server": cluster.server,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
    }
    if authority is not None:
        told["certificate-authority-data"] = base64.b64encode(authority.encode()).decode()
    if cluster.tls_server_name:
        told["tls-server-name"] = cluster.tls_server_name
    if cluster.proxy_url:
        told["proxy-url"] = cluster.proxy_url
    has_folder = "/" in plugin.command
    return ExecPlugin(
        command=str(_beside(file, plugin.command)) if has_folder else plugin.command,
        arguments=tuple(plugin.args or ()),
        environment={variable.name: variable.value for variable in plugin.env or ()},
        api_version=plugin.api_version,
        cluster=told if plugin.provide_cluster_info else None,
        install_hint=plugin.install_hint or "",
    )


def _certificate(file: Path, name: str, user: _UserPart) -> ClientCertificate | None:
    certificate = _text(
        file,
        "client-certificate",
        file=user.client_certificate,
        data=user.client_certificate_data,
    )
    key = _text(file, "client-key", file=user.client_key, data=user.client_key_data)
    if (certificate is None) != (key is None):
        raise KubeConfigError(
            f"{file}: user '{name}' needs both client-certificate and client-key, or neither"
        )
    if not certificate or not key:
        return None
    try:
        present(ssl.create_default_context(), pair := ClientCertificate(certificate, key))
    except KubeConfigError as error:
        raise KubeConfigError(f"{file}: user '{name}': {error}") from error
    return pair


def _text(kubeconfig: Path, what: str, *, file: str | None, data: str | None) -> str | None:
    """Return the content of ``data``, or else of ``file``; kubectl prefers them so, too."""
    try:
        if data:
            return base64.b64decode(data, validate=True).decode("ascii")
        if file:
            return _beside(kubeconfig, file).read_text(encoding="ascii")
    except OSError as error:
        raise KubeConfigError(f"{kubeconfig}: {what} '{file}': {error.strerror}") from error
    except (binascii.Error, UnicodeDecodeError):
        raise KubeConfigError(f"{kubeconfig}: {what} holds no PEM text") from None
    return None


def _beside(kubeconfig: Path, file: str) -> Path:
    """Return the path a kubeconfig names: relative ones count from its own folder."""
    return kubeconfig.parent / file
