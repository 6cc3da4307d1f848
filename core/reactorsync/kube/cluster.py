"""Which cluster to talk to: the one we run in, or one that a kubeconfig names."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reactorsync.kube.credentials import (
    ClientCertificate,
    Credentials,
    StaticCredentials,
    TokenFile,
)
from reactorsync.kube.errors import KubeConfigError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server and how to be let in.

    ``server`` is its URL without a slash at the end. ``certificate_authority`` is PEM; ``None``
    trusts what the system trusts. ``namespace`` is the one to use where none is named.
    """

    server: str
    credentials: Credentials = field(default_factory=StaticCredentials)
    certificate_authority: str | None = field(default=None, repr=False)
    is_insecure: bool = False
    tls_server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    namespace: str = "default"

    def ssl_context(self) -> ssl.SSLContext:
        """Return a new context that checks the server as asked, without a client certificate.

        Raises:
            KubeConfigError: the certificate authority is no certificate.
        """
        try:
            context = ssl.create_default_context(cadata=self.certificate_authority)
        except ssl.SSLError as error:
            raise KubeConfigError(
                f"the certificate authority of {self.server} is no PEM certificate"
            ) from error
        if self.is_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def present(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Make ``context`` present a client certificate on the connections it makes from now on.

    Raises:
        KubeConfigError: the certificate or its key cannot be used.
    """
    # Python's ssl reads them from files alone.
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="ascii") as file:
        try:
            file.write(f"{certificate.certificate}\n{certificate.key}\n")
            file.flush()
            context.load_cert_chain(file.name, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise KubeConfigError(
                "the client certificate or its key is no PEM, or they do not "
                "belong together, or the key is encrypted"
            ) from error


def _no_password() -> str:
    # Without this, OpenSSL would ask on the terminal.
    raise ValueError("the key is encrypted")


def load_cluster(kubeconfig: Path | None = None, *, context: str | None = None) -> Cluster:
    """Return the cluster to talk to.

    That is the one of ``kubeconfig`` if given, else the one whose pod this process runs in, else
    the one of ``$KUBECONFIG`` or ``~/.kube/config``. ``context`` chooses in a kubeconfig, and so
    asks for one; without it the current one counts.

    Raises:
        KubeConfigError: there is none, or it cannot be used; says what to do.
    """
    cluster = _named_or_found(kubeconfig, context)
    # What is wrong with it is to be said now, not at the first request.
    cluster.ssl_context()
    return cluster


def _named_or_found(kubeconfig: Path | None, context: str | None) -> Cluster:
    # Here, since that module makes what this one defines.
    from reactorsync.kube.kubeconfig import from_files

    if kubeconfig is not None:
        return from_files([kubeconfig], context=context)
    if context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return in_cluster()
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    files = named or [Path.home() / ".kube" / "config"]
    found = [file for file in files if file.is_file()]
    if not found:
        listed = ", ".join(str(file) for file in files)
        raise KubeConfigError(
            f"no cluster: this is no pod, and there is no kubeconfig ({listed}); "
            "name one or set KUBECONFIG"
        )
    return from_files(found, context=context)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Cluster:
    """Return the cluster whose pod this process runs in, as its service account.

    Raises:
        KubeConfigError: the pod has no service account mounted.
    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or os.environ.get(
        "KUBERNETES_SERVICE_PORT", "443"
    )
    token, authority = folder / "token", folder / "ca.crt"
    try:
        if not token.read_text(encoding="utf-8").strip():
            raise KubeConfigError(f"{token} is empty")
        certificate_authority = authority.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KubeConfigError(
            "this pod has no service account to use: set automountServiceAccountToken, "
            f"or name a kubeconfig ({error})"
        ) from error
    namespace = folder / "namespace"
    return Cluster(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        credentials=TokenFile(token),
        certificate_authority=certificate_authority,
        namespace=namespace.read_text(encoding="utf-8").strip()
        if namespace.is_file()
        else "default",
    )
