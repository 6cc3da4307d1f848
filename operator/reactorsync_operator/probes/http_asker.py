"""HTTP probes: a GET to an address that a scenario names, by the operator's own hand.

Whoever may write a scenario thereby makes the operator send requests from inside the cluster, with
what its network position allows: that is server-side request forgery, offered as a feature. So it
is fenced in:

- Only hosts that whoever runs the operator has listed are asked; with no list, none is.
- Link-local addresses are refused whatever the list says, for the metadata services of clouds,
  which give credentials to whoever can ask, live there; so are the others that are known. Loopback
  is asked only when the list names that very address: what listens there trusts this pod. The check
  is made on the very addresses that are then connected to, so that a name that answers differently
  the second time (DNS rebinding) gains nothing.
- A redirect is an answer, not an instruction: its status is compared, its target is not asked.
- Nothing but the status is looked at: bodies are not read, so they can neither fill memory nor
  leak into ``status``. No proxy from the environment, no cookies, no credentials are used.
- What is told of a failure names its kind and nothing that the other side said.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterator
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from reactorsync.resources.scenario import HttpProbe

TIMEOUT_SECONDS: Final = 5.0
"""How long a host may take to be connected to, and then to answer."""

_CONNECTIONS: Final = 64
_CONNECTIONS_PER_HOST: Final = 4

PER_SCENARIO: Final = 2
"""Questions of one scenario that are open at once: who asks slow hosts holds up only itself."""

_METADATA: Final = frozenset(
    {
        ipaddress.ip_address("fd00:ec2::254"),  # Amazon, IPv6
        ipaddress.ip_address("100.100.100.200"),  # Alibaba
        ipaddress.ip_address("168.63.129.16"),  # Azure
        ipaddress.ip_address("192.0.0.192"),  # Oracle
    }
)

_IPV4_INSIDE: Final = (
    # As networks without IPv4 write them (RFC 6052, RFC 8215).
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("64:ff9b:1::/96"),
    # IPv4-compatible ones (RFC 4291), long out of use, which some systems still connect to.
    ipaddress.IPv6Network("::/96"),
)
"""IPv6 addresses whose last 32 bits are an IPv4 address."""

_NOT_ASKED: Final = "link-local and metadata addresses are not asked"
_LOOPBACK: Final = "loopback is asked only where the address itself is listed"


class Refused(Exception):
    """The address must not be asked."""


class AllowedHosts:
    """The hosts that may be asked: ``name``, ``name:port``, or ``*.domain`` for all below it.

    An IPv6 address may stand in brackets, and must before a port: ``[2001:db8::1]:8080``.
    """

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = frozenset(map(_normal, hosts))

    def check(self, url: str) -> URL:
        """Return the address, parsed as it will be asked.

        Raises:
            Refused: it is none, or its host is not allowed.
        """
        try:
            address = URL(url)
            host, port = _normal(address.host or ""), address.port
        except ValueError as error:
            raise Refused("no address that can be asked") from error
        if address.scheme not in ("http", "https") or not host:
            raise Refused("no address that can be asked")
        if address.user is not None or address.password is not None:
            raise Refused("addresses with credentials are not asked")
        if _is_forbidden(host):
            raise Refused(_NOT_ASKED)
        above = host.split(".")
        wildcards = {"*." + ".".join(above[start:]) for start in range(1, len(above))}
        named = {host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
        if not (named | wildcards) & self._hosts:
            raise Refused(f"host not allowed: {host[:128]}")
        if _is_loopback(host) and not named & self._hosts:
            raise Refused(_LOOPBACK)
        return address


def _normal(host: str) -> str:
    """Return a host, with or without a port, in the one way that is compared."""
    host = host.strip().lower().rstrip(".")
    if not host.startswith("[") and host.count(":") < 2:
        return host
    inside, _, port = host.removeprefix("[").partition("]")
    try:
        inside = str(ipaddress.IPv6Address(inside))
    except ValueError:
        return host
    return f"[{inside}]{port}" if port else inside


class GuardedResolver(AbstractResolver):
    """Resolves names, and withholds the addresses that are never to be connected to."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``. Raises ``OSError`` when none is left."""
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if not _is_forbidden(one["host"])]
        if found and not allowed:
            raise OSError(_NOT_ASKED)
        # Only names are resolved: an address that is listed comes to nobody's ears here.
        abroad = [one for one in allowed if not _is_loopback(one["host"])]
        if allowed and not abroad:
            raise OSError(_LOOPBACK)
        return abroad

    async def close(self) -> None:
        """Close what it asks."""
        await self._resolver.close()


class HttpAsker:
    """Asks addresses for their status; to be used in one event loop and closed."""

    def __init__(self, hosts: Collection[str], *, resolver: AbstractResolver | None = None) -> None:
        self._hosts = AllowedHosts(hosts)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, probe: HttpProbe) -> tuple[bool, str]:
        """Return whether the address answered as expected, and what was seen.

        Raises:
            Refused: the address must not be asked.
        """
        address = self._hosts.check(probe.url)
        session = self._session = self._session or self._connect()
        try:
            async with session.get(address, allow_redirects=False) as response:
                seen = f"answered {response.status}"
                # Not released but closed: a body of any length stays unread.
                response.close()
        except TimeoutError:
            return False, f"no answer within {TIMEOUT_SECONDS:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return False, f"no answer ({type(error).__name__})"
        return response.status == probe.status, f"{seen}, expected {probe.status}"

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _connect(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS,
                limit_per_host=_CONNECTIONS_PER_HOST,
                resolver=GuardedResolver(self._resolver),
                use_dns_cache=False,
                force_close=True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # No total, which would count the time that a question waits for others to end.
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS
            ),
            headers={"User-Agent": "reactorsync-operator"},
            trust_env=False,
            auto_decompress=False,
        )


def _addresses(host: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Yield the address that ``host`` is, and the one inside it; nothing for a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if any(address in network for network in _IPV4_INSIDE):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not address.is_loopback:
            yield inner


def _is_forbidden(host: str) -> bool:
    """Return whether ``host`` is an address (not a name) that is never asked."""
    return any(
        address.is_link_local or address.is_unspecified or address in _METADATA
        for address in _addresses(host)
    )


def _is_loopback(host: str) -> bool:
    return any(address.is_loopback for address in _addresses(host))
