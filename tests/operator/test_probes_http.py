"""Asking addresses that scenarios name, and which are not asked."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from reactorsync.resources.scenario import HttpProbe
from reactorsync_operator.probes import http_asker
from reactorsync_operator.probes.http_asker import (
    AllowedHosts,
    GuardedResolver,
    HttpAsker,
    Refused,
)


class Server:
    """A real server on this machine; ``path`` tells what it answers."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.sent = 0
        self.port = 0

    def url(self, path: str = "/ok", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        match request.path:
            case "/away":
                raise web.HTTPFound("http://elsewhere.example/secret")
            case "/slow":
                await asyncio.sleep(30)
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 65536)
                    self.sent += 65536
                    await asyncio.sleep(0)
            case "/down":
                return web.Response(status=503)
        return web.Response(text="fine")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with server.running():
        yield server


@pytest.fixture
async def asker() -> AsyncIterator[HttpAsker]:
    asker = HttpAsker(["127.0.0.1"])
    yield asker
    await asker.close()


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/ok", 200, (True, "answered 200, expected 200")),
        ("/down", 200, (False, "answered 503, expected 200")),
        ("/down", 503, (True, "answered 503, expected 503")),
        ("/away", 200, (False, "answered 302, expected 200")),
        ("/away", 302, (True, "answered 302, expected 302")),
    ],
)
async def test_the_status_is_all_that_counts(
    server: Server, asker: HttpAsker, path: str, status: int, answer: tuple[bool, str]
) -> None:
    assert await asker.ask(HttpProbe(url=server.url(path), status=status)) == answer
    assert server.requests == [path]


async def test_a_name_that_leads_to_this_machine_is_not_followed(server: Server) -> None:
    asker = HttpAsker(["localhost"])
    passed, seen = await asker.ask(HttpProbe(url=server.url(host="localhost")))
    await asker.close()
    assert not passed
    assert seen.startswith("no answer (Client")
    assert server.requests == []


async def test_a_body_of_any_length_stays_unread(server: Server, asker: HttpAsker) -> None:
    assert (await asker.ask(HttpProbe(url=server.url("/endless"))))[0]
    await asyncio.sleep(0.3)
    assert server.sent < 32 << 20


async def test_who_does_not_answer_in_time_has_not_answered(
    server: Server, asker: HttpAsker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_asker, "TIMEOUT_SECONDS", 0.2)
    assert await asker.ask(HttpProbe(url=server.url("/slow"))) == (
        False,
        "no answer within 0.2 s",
    )


async def test_nobody_there(asker: HttpAsker) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        passed, seen = await asker.ask(HttpProbe(url=url))
    assert not passed
    assert seen == "no answer (ClientConnectorError)"


@pytest.mark.parametrize(
    ("hosts", "url"),
    [
        (["grafana.example"], "https://grafana.example/api/health"),
        (["Grafana.Example."], "http://GRAFANA.example./"),
        (["grafana.example:3000"], "http://grafana.example:3000/"),
        (["*.monitoring.svc"], "http://prometheus.monitoring.svc:9090/-/healthy"),
        (["10.0.0.7"], "http://10.0.0.7/"),
        (["::1"], "http://[::1]:8080/"),
        (["[2001:db8::1]:8080"], "http://[2001:DB8:0::1]:8080/"),
        (["[2001:db8::1]"], "http://[2001:db8::1]:8080/"),
        (["127.0.0.1"], "http://127.0.0.1/"),
    ],
)
def test_hosts_on_the_list_are_asked(hosts: list[str], url: str) -> None:
    assert AllowedHosts(hosts).check(url).host


@pytest.mark.parametrize(
    ("hosts", "url", "why"),
    [
        ([], "http://grafana.example/", "host not allowed: grafana.example"),
        (["grafana.example"], "http://evil.example/", "host not allowed: evil.example"),
        (["grafana.example:3000"], "http://grafana.example/", "host not allowed"),
        (["*.svc"], "http://svc/", "host not allowed: svc"),
        (["*.example"], "http://grafana.example.evil.com/", "host not allowed"),
        (["grafana.example"], "http://grafana.example@evil.example/", "credentials"),
        (["grafana.example"], "http://grafana.example:x@evil.example/", "credentials"),
        (["grafana.example"], "ftp://grafana.example/", "no address"),
        (["grafana.example"], "http://", "no address"),
        (["grafana.example"], "http://grafana.example:port/", "no address"),
        (["169.254.169.254"], "http://169.254.169.254/latest/meta-data/", "link-local"),
        (["fe80::1"], "http://[fe80::1%25eth0]/", "link-local"),
        (["::ffff:169.254.169.254"], "http://[::ffff:169.254.169.254]/", "link-local"),
        (["64:ff9b::a9fe:a9fe"], "http://[64:ff9b::a9fe:a9fe]/", "link-local"),
        (["100.100.100.200"], "http://100.100.100.200/", "metadata"),
        (["fd00:ec2::254"], "http://[fd00:ec2::254]/", "metadata"),
        (["0.0.0.0"], "http://0.0.0.0/", "metadata"),
        (["168.63.129.16"], "http://168.63.129.16/", "metadata"),
        (["192.0.0.192"], "http://192.0.0.192/", "metadata"),
        (["::a9fe:a9fe"], "http://[::a9fe:a9fe]/", "link-local"),
        (["[2001:db8::1]:8080"], "http://[2001:db8::1]:8081/", "host not allowed"),
        (["*.0.0.1"], "http://127.0.0.1/", "loopback"),
    ],
)
def test_all_others_are_refused(hosts: list[str], url: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        AllowedHosts(hosts).check(url)


class Lying(AbstractResolver):
    """A name server in the hands of somebody else."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for one in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_leads_to_metadata_is_not_followed() -> None:
    asker = HttpAsker(["innocent.example"], resolver=Lying("169.254.169.254"))
    passed, seen = await asker.ask(HttpProbe(url="http://innocent.example/"))
    await asker.close()
    assert not passed
    assert seen.startswith("no answer (Client")


async def test_of_several_addresses_the_harmless_are_left() -> None:
    resolver = GuardedResolver(Lying("169.254.169.254", "127.0.0.1", "10.0.0.7"))
    assert [one["host"] for one in await resolver.resolve("x")] == ["10.0.0.7"]
