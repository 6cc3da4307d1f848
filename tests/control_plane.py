"""A Kubernetes API server with its etcd, started from binaries as envtest does.

There is no node, no scheduler and no controller: what is created is stored, validated, watched and
authorized as in any cluster, and that is all.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import yaml

from reactorsync_local.supervisor import Command, LogFile, Service, SupervisedProcess, free_port

ASSETS_VARIABLE: Final = "KUBEBUILDER_ASSETS"
DEFAULT_ASSETS: Final = Path("/usr/local/kubebuilder/bin")

_ADMIN_TOKEN: Final = "admin-token"  # of a server that listens on loopback for one run of tests
_LOOPBACK: Final = "127.0.0.1"

_AUDIT_POLICY: Final = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    resources:
      - {group: reactorsync.dev}
      - {group: events.k8s.io}
      - {group: apps}
      - {group: coordination.k8s.io, resources: [leases]}
  - level: None
"""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The two programs, wherever they lie."""

    etcd: Path
    api_server: Path

    @classmethod
    def find(cls) -> Self | None:
        """Look where ``KUBEBUILDER_ASSETS`` says, else in kubebuilder's folder, else on PATH."""
        assets = Path(os.environ.get(ASSETS_VARIABLE) or DEFAULT_ASSETS)
        etcd, api_server = (_program(name, assets) for name in ("etcd", "kube-apiserver"))
        return cls(etcd, api_server) if etcd is not None and api_server is not None else None

    @property
    def version(self) -> str:
        """The API server's version, as ``1.36.2``."""
        printed = subprocess.run(
            [self.api_server, "--version"], capture_output=True, text=True, check=True
        ).stdout
        return printed.split()[-1].removeprefix("v")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One answered request for what an operator works with, as the API server recorded it."""

    at: datetime
    user: str
    verb: str
    resource: str
    """With the subresource, as ``reactors/status``."""
    namespace: str
    name: str
    code: int


class ControlPlane:
    """An API server that may be stopped and started again, on the same data and port.

    All methods belong to one event loop, which must outlive the processes: the kernel ends them
    with the thread that started them. With ``audited`` it keeps a record of who asked for what.
    """

    def __init__(self, folder: Path, binaries: Binaries, *, audited: bool = False) -> None:
        self.binaries = binaries
        self._audited = audited
        self.kubeconfig = folder / "kubeconfig"
        """For a cluster administrator; written by :meth:`start`."""
        self._folder = folder
        self._etcd_port = free_port()
        self._peer_port = free_port(avoid={self._etcd_port})
        self._port = free_port(avoid={self._etcd_port, self._peer_port})
        self._etcd = self._supervised("etcd", self._etcd_command, self._etcd_answers)
        self._api_server = self._supervised("api-server", self._api_command, self._api_answers)

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{_LOOPBACK}:{self._port}"

    @property
    def certificate(self) -> Path:
        """What the API server's certificate is verified with."""
        return self._folder / "certs" / "apiserver.crt"

    @property
    def api_server_pid(self) -> int | None:
        """Pid of the API server, while it runs."""
        return self._api_server.pid

    async def start(self) -> None:
        """Start both and wait until the API server is ready."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "tokens.csv").write_text(f'{_ADMIN_TOKEN},admin,admin,"system:masters"\n')
        (self._folder / "audit-policy.yaml").write_text(_AUDIT_POLICY)
        await self._etcd.start()
        try:
            await self.start_api_server()
        except BaseException:
            await self._etcd.stop()
            raise
        cluster = {"server": self.server, "certificate-authority": str(self.certificate)}
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig(cluster, token=_ADMIN_TOKEN)))

    async def stop(self) -> None:
        """Stop both. The data stays."""
        await self.stop_api_server()
        await self._etcd.stop()

    async def start_api_server(self) -> None:
        """Start the API server alone."""
        await self._api_server.start()

    async def stop_api_server(self) -> None:
        """Stop the API server alone: connections end, its port refuses new ones."""
        await self._api_server.stop(deadline_seconds=5)

    def read(self, path: str) -> bytes:
        """GET a path of the API server, such as ``/metrics``. Raises ``OSError``."""
        return _read(f"{self.server}{path}", self.certificate, timeout_seconds=30)

    def audit(self) -> list[AuditEntry]:
        """Return what was asked so far, in the order of the answers."""
        lines = (self._folder / "audit.log").read_text().splitlines()
        return [_audit_entry(json.loads(line)) for line in lines]

    def _supervised(
        self, name: str, command: Callable[[], Command], answers: Callable[[], Awaitable[bool]]
    ) -> SupervisedProcess:
        service = Service(name=name, command=command, ready=answers, ready_seconds=60)
        return SupervisedProcess(service, log=LogFile(self._folder / f"{name}.log"))

    def _etcd_command(self) -> Command:
        client, peer = (f"http://{_LOOPBACK}:{port}" for port in (self._etcd_port, self._peer_port))
        options = {
            "data-dir": str(self._folder / "etcd"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            # The operating system survives these tests, so nothing has to be forced to the disk.
            "unsafe-no-fsync": "true",
        }
        return Command(argv=(str(self.binaries.etcd), *_flags(options)))

    def _api_command(self) -> Command:
        certificates = self._folder / "certs"
        # Made by the server itself at its first start; one key may serve both purposes here.
        key = str(certificates / "apiserver.key")
        options = {
            "etcd-servers": f"http://{_LOOPBACK}:{self._etcd_port}",
            "bind-address": _LOOPBACK,
            "advertise-address": _LOOPBACK,
            "secure-port": str(self._port),
            "cert-dir": str(certificates),
            "token-auth-file": str(self._folder / "tokens.csv"),
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-cluster-ip-range": "10.96.0.0/16",
            # Without controllers nobody makes the default service account it asks for.
            "disable-admission-plugins": "ServiceAccount",
        }
        if self._audited:
            options["audit-policy-file"] = str(self._folder / "audit-policy.yaml")
            options["audit-log-path"] = str(self._folder / "audit.log")
        return Command(argv=(str(self.binaries.api_server), *_flags(options)))

    async def _etcd_answers(self) -> bool:
        return await asyncio.to_thread(_is_ok, f"http://{_LOOPBACK}:{self._etcd_port}/health")

    async def _api_answers(self) -> bool:
        if not self.certificate.exists():
            return False
        return await asyncio.to_thread(_is_ok, f"{self.server}/readyz", self.certificate)


def _audit_entry(event: dict[str, Any]) -> AuditEntry:
    target = event["objectRef"]
    subresource = target.get("subresource")
    return AuditEntry(
        at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        user=event["user"]["username"],
        verb=event["verb"],
        resource=f"{target['resource']}/{subresource}" if subresource else target["resource"],
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=event["responseStatus"]["code"],
    )


def kubeconfig(cluster: Mapping[str, object], *, token: str) -> dict[str, object]:
    """Return a kubeconfig for whoever has ``token``; ``cluster`` is as kubeconfigs have it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": dict(cluster)}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }


def _program(name: str, assets: Path) -> Path | None:
    found = shutil.which(name, path=str(assets)) or shutil.which(name)
    return Path(found) if found else None


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _read(url: str, certificate: Path | None, *, timeout_seconds: float) -> bytes:
    """GET ``url``, trusting ``certificate`` alone."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {_ADMIN_TOKEN}"})
    trust = ssl.create_default_context(cafile=certificate) if certificate is not None else None
    with urllib.request.urlopen(request, timeout=timeout_seconds, context=trust) as response:
        return bytes(response.read())


def _is_ok(url: str, certificate: Path | None = None) -> bool:
    try:
        _read(url, certificate, timeout_seconds=2)
    except OSError:
        return False
    return True
