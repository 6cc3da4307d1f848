"""TLS to an API server: what is checked of it, and what is shown to it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reactorsync.kube import ApiUnavailable, Cluster, KubeClient
from reactorsync.kube.credentials import ClientCertificate, Credential, StaticCredentials

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates")

NAME = "plant.example"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ``NAME`` that vouches for itself, as client too, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            str(OPENSSL),
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
async def server(pair: Path) -> AsyncIterator[str]:
    """The address of a server that wants to see a client certificate, and answers everything."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pair / "cert.pem"))
    context.load_cert_chain(pair / "cert.pem", pair / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def credentials(pair: Path) -> StaticCredentials:
    certificate = ClientCertificate(
        (pair / "cert.pem").read_text(encoding="ascii"),
        (pair / "key.pem").read_text(encoding="ascii"),
    )
    return StaticCredentials(Credential(certificate=certificate))


async def ask(cluster: Cluster) -> None:
    async with KubeClient(cluster, field_manager="tests", timeout_seconds=5.0) as client:
        assert await client.get("/version") == {}


async def test_a_client_certificate_is_shown(server: str, pair: Path) -> None:
    authority = (pair / "cert.pem").read_text(encoding="ascii")

    await ask(
        Cluster(
            server,
            credentials=credentials(pair),
            certificate_authority=authority,
            tls_server_name=NAME,
        )
    )


async def test_a_server_of_another_name_is_refused(server: str, pair: Path) -> None:
    authority = (pair / "cert.pem").read_text(encoding="ascii")

    with pytest.raises(ApiUnavailable, match="cannot be reached"):
        await ask(Cluster(server, credentials=credentials(pair), certificate_authority=authority))


async def test_a_server_that_nobody_vouches_for_is_refused(server: str, pair: Path) -> None:
    with pytest.raises(ApiUnavailable, match="cannot be reached"):
        await ask(Cluster(server, credentials=credentials(pair), tls_server_name=NAME))


async def test_an_insecure_cluster_is_believed(server: str, pair: Path) -> None:
    await ask(Cluster(server, credentials=credentials(pair), is_insecure=True))
