"""HTTP sessions that are let in: a credential goes with each request, and is renewed in time."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

import aiohttp

from reactorsync.kube.cluster import Cluster, present
from reactorsync.kube.credentials import ClientCertificate
from reactorsync.kube.errors import ApiUnavailable, KubeConfigError

USER_AGENT: Final = "reactorsync"

CONNECT_SECONDS: Final = 10.0

_UNAUTHORIZED: Final = 401


def open_session(
    cluster: Cluster,
    *,
    connections: int,
    timeout: aiohttp.ClientTimeout | None = None,
    user_agent: str = USER_AGENT,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """Return a session for requests to ``cluster.server``; whoever opens it closes it.

    It authenticates every request by itself, with a token that was read again or a credential
    plugin that was asked again where needed: hand it to kopf as ``kopf.AiohttpSession``. At most
    ``connections`` are open at once, 0 for any number; ``traces`` see its requests. Must be called
    inside an event loop.

    Raises:
        KubeConfigError: the TLS settings of the cluster cannot be used.
    """
    context = cluster.ssl_context()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=context),
        headers={"User-Agent": user_agent},
        timeout=timeout or aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        proxy=cluster.proxy,
        middlewares=(_Admission(cluster, context),),
        trace_configs=list(traces),
        # A token must go to the server alone: cookies and redirects have no place here.
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _Admission:
    """Adds what gets a request in; when it was refused, once more with a new credential."""

    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        self._cluster = cluster
        self._credentials = cluster.credentials
        self._context = context
        self._presented: ClientCertificate | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        credential = await self._credentials.current()
        self._present(credential.certificate)
        if self._cluster.tls_server_name is not None:
            request.server_hostname = self._cluster.tls_server_name
        if credential.authorization is not None:
            request.headers["Authorization"] = credential.authorization
        response = await handler(request)
        if response.status != _UNAUTHORIZED or not self._credentials.refuse(credential):
            return response
        renewed = await self._credentials.current()
        if renewed == credential:
            return response
        response.close()
        self._present(renewed.certificate)
        if renewed.authorization is not None:
            request.headers["Authorization"] = renewed.authorization
        return await handler(request)

    def _present(self, certificate: ClientCertificate | None) -> None:
        if certificate is None or certificate == self._presented:
            return
        try:
            present(self._context, certificate)
        except KubeConfigError as error:
            # A plugin's: it may give a better one next time.
            raise ApiUnavailable(str(error)) from error
        self._presented = certificate
