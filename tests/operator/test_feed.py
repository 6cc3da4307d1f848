"""The fleet as kopf and the lists tell of it, on an API server that misbehaves on demand."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import kmock as kmocks
import pytest

from reactorsync.kube import ApiUnavailable, KubeClient
from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync_operator.edge import feed as feeds
from reactorsync_operator.edge.feed import KopfFeed
from reactorsync_operator.edge.invalid_specs import InvalidSpecs
from reactorsync_operator.edge.kopf_watch import is_no_further_attempt
from reactorsync_operator.edge.namespaces import is_gone
from reactorsync_operator.fleet import Fleet, WorkKey
from reactorsync_operator.leadership import always
from reactorsync_operator.metrics import MISSED_EVENTS
from reactorsync_operator.watcher import View, Views
from tests.operator.api_server import ApiServer, JsonObject

pytestmark = pytest.mark.kmock(cls=kmocks.RawHandler)


class Followed:
    """A fleet and the feed that keeps it."""

    def __init__(
        self,
        server: ApiServer,
        client: KubeClient,
        *,
        inactivity: float = 40,
        namespaces: Collection[str] | None = None,
        sweep_seconds: float | None = None,
    ) -> None:
        self.server = server
        self.marked: list[str] = []
        self.sweeps = 0
        self.cleared_up: list[tuple[set[str], set[str]]] = []
        self.invalid = InvalidSpecs(client, may_write=always, told=lambda _subject, _problem: None)
        self.fleet = Fleet(shards=2, mark=self._mark)
        reactors: View[Reactor] = View(
            names=lambda: set(self.fleet.reactors),
            get=self.fleet.reactors.get,
            put=self.fleet.put_reactor,
            remove=self.fleet.remove_reactor,
        )
        scenarios: View[AnomalyScenario] = View(
            names=self.fleet.scenario_names,
            get=self.fleet.scenario,
            put=self.fleet.put_scenario,
            remove=self.fleet.remove_scenario,
        )
        self.feed = KopfFeed(
            client,
            Views(reactors, scenarios, self._swept, self._cleared_up),
            namespaces=namespaces,
            sweep_seconds=SWEEP_SECONDS if sweep_seconds is None else sweep_seconds,
            inactivity_seconds=inactivity,
            clock=time.monotonic,
            invalid=self.invalid,
        )

    def _mark(self, key: WorkKey) -> None:
        self.marked.append(key.name)

    def _swept(self) -> None:
        self.sweeps += 1

    def _cleared_up(self) -> None:
        self.cleared_up.append((set(self.powers), set(self.feed.closed())))

    @property
    def powers(self) -> dict[str, int]:
        return {
            one.metadata.name: one.spec.power_setpoint_permille
            for one in self.fleet.reactors.values()
        }


SWEEP_SECONDS = 1.5


class FailingLists:
    """Answers the first lists that the feed asks for with an error."""

    def __init__(
        self, client: KubeClient, monkeypatch: pytest.MonkeyPatch, *, failures: int
    ) -> None:
        self.left = failures
        self.failed = 0
        self._get = client.get
        monkeypatch.setattr(client, "get", self._answer)

    async def _answer(self, path: str, **query: Any) -> Any:
        if not self.left:
            return await self._get(path, **query)
        self.left -= 1
        self.failed += 1
        raise ApiUnavailable("429 Too Many Requests")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(feeds, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(feeds, "SOON_SECONDS", 0.1)
    monkeypatch.setattr(feeds, "DEAF_SWEEP_SECONDS", 0.5)


@pytest.fixture
def server(kmock: kmocks.RawHandler) -> ApiServer:
    return ApiServer(kmock)


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[KubeClient]:
    async with KubeClient(server.cluster, field_manager="tests", timeout_seconds=1.0) as client:
        yield client


@asynccontextmanager
async def following(followed: Followed) -> AsyncIterator[Followed]:
    task = asyncio.create_task(followed.feed.run())
    try:
        await followed.feed.whole()
        await until(lambda: min(followed.server.begun.values()) > 0)
        yield followed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(met: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.02)


@pytest.fixture
def missed() -> Callable[[str], float]:
    def count(change: str) -> float:
        return float(MISSED_EVENTS.labels("Reactor", change)._value.get())

    before = {change: count(change) for change in ("change", "deletion")}
    return lambda change: count(change) - before[change]


async def test_what_is_there_is_listed_and_what_happens_is_told(
    server: ApiServer, client: KubeClient
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        assert followed.powers == {"bruce-1": 1000}
        server.reactor("bruce-2", 900)
        server.reactor("bruce-1", 800)
        await until(lambda: followed.powers == {"bruce-1": 800, "bruce-2": 900})
        server.remove("Reactor", "bruce-1")
        await until(lambda: followed.powers == {"bruce-2": 900})
        server.put("AnomalyScenario", "leak", {"targets": {"selector": {}}, "stages": [LEAK]})
        await until(lambda: followed.fleet.scenario_names() == {"default/leak"})


async def test_what_a_list_of_kopfs_was_not_without_is_not_listed_again(
    server: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.SWEEP_SECONDS", 60)
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    async with following(Followed(server, client)) as followed:
        await asyncio.sleep(0.5)
        assert server.lists == {"reactors": 2, "anomalyscenarios": 2}, "our list, and kopf's"
        server.is_deaf = True
        server.remove("Reactor", "pickering-1")
        server.reactor("pickering-2", namespace="east")
        server.is_deaf = False
        server.forget()
        await until(lambda: set(followed.powers) == {"bruce-1", "pickering-2"}, seconds=5)


async def test_what_is_deleted_between_our_list_and_kopfs_is_noticed_at_once(
    server: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.SWEEP_SECONDS", 60)
    server.reactor("bruce-1")
    server.reactor("bruce-2")
    followed = Followed(server, client)
    task = asyncio.create_task(followed.feed.run())
    try:
        async with asyncio.timeout(5):
            await followed.feed.whole()
        assert server.lists["reactors"] == 1
        server.remove("Reactor", "bruce-2")
        await until(lambda: followed.powers == {"bruce-1": 1000}, seconds=5)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_nothing_is_ever_written(server: ApiServer, client: KubeClient) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        for power in range(900, 950):
            server.reactor("bruce-1", power)
        server.remove("Reactor", "bruce-1")
        await until(lambda: followed.powers == {})
    assert {request.method.value for request in server.mock} == {"GET"}


async def test_what_is_known_already_is_not_marked_again(
    server: ApiServer, client: KubeClient
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        await until(lambda: followed.sweeps > 0)
        assert followed.marked == ["default/bruce-1"], "kopf's list and the sweep told it, too"


async def test_a_watch_that_ends_goes_on(server: ApiServer, client: KubeClient) -> None:
    async with following(Followed(server, client)) as followed:
        for number in range(3):
            begun = server.begun["reactors"]
            server.drop_watches()
            await until(lambda: server.begun["reactors"] > begun)  # noqa: B023
            server.reactor(f"bruce-{number}")
        await until(lambda: len(followed.powers) == 3)


async def test_what_was_deleted_while_the_server_forgot_is_dropped_soon(
    server: ApiServer, client: KubeClient, missed: Callable[[str], float]
) -> None:
    server.reactor("bruce-1")
    server.reactor("bruce-2")
    async with following(Followed(server, client)) as followed:
        server.is_deaf = True
        server.remove("Reactor", "bruce-2")
        server.is_deaf = False
        server.forget()
        await until(lambda: followed.powers == {"bruce-1": 1000}, seconds=1.4)
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers == {"bruce-1": 900})
    assert missed("change") == 0


async def test_a_deaf_watch_is_healed_counted_and_not_alive(
    server: ApiServer, client: KubeClient, missed: Callable[[str], float]
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        await until(lambda: followed.sweeps > 0)
        server.is_deaf = True
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers == {"bruce-1": 900})
        await until(lambda: bool(followed.feed.problems()))
        assert followed.feed.problems() == {
            "watch of Reactor": "deaf: it never told of 1 changes that a list had"
        }
        assert missed("change") == 1
        server.is_deaf = False
        server.reactor("bruce-1", 800)
        await until(lambda: followed.feed.problems() == {})
        assert missed("change") == 1


async def test_what_somebody_elses_finalizer_keeps_makes_no_watch_deaf(
    server: ApiServer, client: KubeClient, missed: Callable[[str], float]
) -> None:
    server.reactor("bruce-1")
    server.reactor("bruce-2")
    async with following(Followed(server, client)) as followed:
        server.terminate("Reactor", "bruce-2")
        await until(lambda: followed.powers == {"bruce-1": 1000})
        sweeps = followed.sweeps
        await until(lambda: followed.sweeps > sweeps + 1)
        assert followed.feed.problems() == {}
        assert missed("change") == 0
        server.is_deaf = True
        server.terminate("Reactor", "bruce-2")
        await until(lambda: missed("change") == 1)
        server.remove("Reactor", "bruce-2")
        server.is_deaf = False
        server.reactor("bruce-2", 900)
        await until(lambda: followed.powers == {"bruce-1": 1000, "bruce-2": 900})


async def test_one_list_that_fails_does_not_put_off_what_was_deleted_meanwhile(
    server: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.SWEEP_SECONDS", 60)
    server.reactor("bruce-1")
    server.reactor("bruce-2")
    async with following(Followed(server, client)) as followed:
        await until(lambda: min(server.lists.values()) >= 2)
        lists = FailingLists(client, monkeypatch, failures=1)
        server.is_deaf = True
        server.remove("Reactor", "bruce-2")
        server.is_deaf = False
        server.forget()
        await until(lambda: followed.powers == {"bruce-1": 1000}, seconds=5)
        assert lists.failed == 1


async def test_lists_that_keep_failing_come_ever_less_often(
    server: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        await until(lambda: followed.sweeps > 0)
        lists = FailingLists(client, monkeypatch, failures=1000)
        await until(lambda: lists.failed > 0)
        await asyncio.sleep(3)
        assert 4 <= lists.failed <= 8, "not one in each tenth of a second"
        lists.left = 0
        sweeps = followed.sweeps
        await until(lambda: followed.sweeps > sweeps)


async def test_a_server_that_falls_silent_is_noticed_and_met_again(
    server: ApiServer, client: KubeClient
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client, inactivity=0.5)) as followed:
        for _ in range(4):
            await asyncio.sleep(0.3)
            server.bookmark()
        assert followed.feed.problems() == {}, "bookmarks are signs of life"
        server.answers.clear()
        await until(lambda: bool(followed.feed.problems()), seconds=3)
        (problem,) = set(followed.feed.problems().values())
        assert problem.startswith("the API server has said nothing for ")
        server.reactor("bruce-1", 900)
        server.answers.set()
        await until(lambda: followed.powers == {"bruce-1": 900} and not followed.feed.problems())


async def test_an_object_that_cannot_be_read_stays_as_it_was(
    server: ApiServer, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        server.put("Reactor", "bruce-1", {"design": "Perpetuum"})
        server.reactor("bruce-2")
        await until(lambda: "bruce-2" in followed.powers)
        await until(lambda: followed.sweeps > 1)
        assert followed.powers == {"bruce-1": 1000, "bruce-2": 1000}
        told = [one for one in caplog.records if "cannot be read" in one.getMessage()]
        assert len(told) == 1, "once, not with each sweep"
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers["bruce-1"] == 900)


async def test_a_name_that_is_used_again_is_another_object(
    server: ApiServer, client: KubeClient
) -> None:
    first = server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        server.remove("Reactor", "bruce-1")
        second = server.reactor("bruce-1", 900)
        await until(lambda: followed.powers == {"bruce-1": 900})
        assert (
            str(followed.fleet.reactors["default/bruce-1"].metadata.uid)
            == (second["metadata"]["uid"])
        )
        assert first["metadata"]["uid"] != second["metadata"]["uid"]


async def test_whether_an_unreadable_reactor_is_gone_is_told_at_once(
    server: ApiServer, client: KubeClient
) -> None:
    server.put("Reactor", "bruce-1", {"design": "Perpetuum"})
    server.put("Reactor", "bruce-2", {"design": "Perpetuum"})
    async with following(Followed(server, client, sweep_seconds=60)) as followed:
        assert followed.invalid.has_reactor("default/bruce-1")
        assert followed.cleared_up == []
        server.remove("Reactor", "bruce-1")
        await until(lambda: len(followed.cleared_up) == 1)
        assert not followed.invalid.has_reactor("default/bruce-1")
        server.reactor("bruce-2")
        await until(lambda: len(followed.cleared_up) == 2)
        assert not followed.invalid.has_reactor("default/bruce-2")


BOTH = ("default", "east")


async def test_a_namespace_is_open_only_once_it_was_listed_and_then_that_is_told(
    server: ApiServer, client: KubeClient
) -> None:
    server.closed = {"east"}
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    followed = Followed(server, client, namespaces=BOTH, sweep_seconds=60)
    async with following(followed):
        await asyncio.sleep(0.5)
        server.closed = set()
        await followed.feed._look_again()
        assert set(followed.feed.closed()) == {"east"}, "nobody knows what is in it"
        await until(lambda: followed.feed.closed() == {})
        await until(lambda: bool(followed.cleared_up))
        assert followed.cleared_up == [({"bruce-1", "pickering-1"}, set())]


async def test_a_namespace_that_is_closed_holds_up_no_other(
    server: ApiServer, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.closed = {"east"}
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    async with following(Followed(server, client, namespaces=BOTH)) as followed:
        assert followed.powers == {"bruce-1": 1000}
        assert followed.feed.closed() == {
            "east": 'reactors is forbidden: cannot list in the namespace "east"'
        }
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers == {"bruce-1": 900})
        await until(lambda: followed.sweeps > 1)
        assert followed.feed.problems() == {}, "a restart would not open it"
        told = [one for one in caplog.records if "closed to this operator" in one.getMessage()]
        assert len(told) == 1, "once, not with each sweep"
        server.closed = set()
        await until(lambda: followed.powers == {"bruce-1": 900, "pickering-1": 1000})
        begun = server.begun["reactors"]
        await until(lambda: followed.feed.closed() == {})
        await until(lambda: server.begun["reactors"] >= begun + 2)
        server.reactor("pickering-1", 800, namespace="east")
        await until(lambda: followed.powers["pickering-1"] == 800, seconds=1.2)
        await until(lambda: followed.sweeps > 3)
        assert followed.feed.problems() == {}


async def test_a_namespace_that_closes_keeps_what_was_known_of_it(
    server: ApiServer, client: KubeClient
) -> None:
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    async with following(Followed(server, client, namespaces=BOTH)) as followed:
        await until(lambda: server.begun["reactors"] == 2)
        server.closed = {"east"}
        server.drop_watches()
        await until(lambda: set(followed.feed.closed()) == {"east"})
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers["bruce-1"] == 900)
        await until(lambda: followed.sweeps > 2)
        assert followed.powers == {"bruce-1": 900, "pickering-1": 1000}
        assert followed.feed.problems() == {}


async def test_a_namespace_that_opens_again_while_others_are_listed_is_no_end(
    server: ApiServer, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.closed = {"default"}
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    async with following(Followed(server, client, namespaces=BOTH)) as followed:
        answer = client.get

        async def slowly(path: str, **query: Any) -> Any:
            if "/east/" in path:
                await asyncio.sleep(0.5)
            return await answer(path, **query)

        monkeypatch.setattr(client, "get", slowly)
        server.closed = set()
        await until(lambda: followed.powers == {"bruce-1": 1000, "pickering-1": 1000})
        sweeps = followed.sweeps
        await until(lambda: followed.sweeps > sweeps + 1)
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers["bruce-1"] == 900)
        assert followed.feed.problems() == {}


async def test_when_all_namespaces_are_closed_nothing_is_begun(
    server: ApiServer, client: KubeClient
) -> None:
    server.closed = set(BOTH)
    server.reactor("bruce-1")
    followed = Followed(server, client, namespaces=BOTH)
    task = asyncio.create_task(followed.feed.run())
    try:
        await until(lambda: set(followed.feed.closed()) == set(BOTH))
        await asyncio.sleep(0.3)
        assert not followed.feed.is_whole
        server.closed = {"east"}
        await until(lambda: followed.powers == {"bruce-1": 1000})
        await followed.feed.whole()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_watches_that_keep_beginning_anew_put_off_no_regular_sweep(
    server: ApiServer, client: KubeClient
) -> None:
    server.reactor("bruce-1")
    async with following(Followed(server, client)) as followed:
        ends = time.monotonic() + 2 * SWEEP_SECONDS
        while time.monotonic() < ends and not followed.sweeps:
            server.reactor("bruce-2")
            await until(lambda: "bruce-2" in followed.powers)
            server.is_deaf = True
            server.remove("Reactor", "bruce-2")
            server.is_deaf = False
            server.forget()
            await asyncio.sleep(0.2)
        assert followed.sweeps


LEAK = {"name": "leak", "fault": "PrimaryLeak", "durationSeconds": 60}


async def test_a_watch_that_is_forbidden_is_named_at_once(
    server: ApiServer, client: KubeClient
) -> None:
    followed = Followed(server, client)
    server.unwatchable = True
    task = asyncio.create_task(followed.feed.run())
    try:
        await until(lambda: len(followed.feed.unwatched()) == 2, seconds=5)
        assert followed.feed.unwatched() == {
            "watch of Reactor in all namespaces": "no right to watch reactors in all namespaces",
            "watch of AnomalyScenario in all namespaces": (
                "no right to watch anomalyscenarios in all namespaces"
            ),
        }
        server.unwatchable = False
        await until(lambda: followed.feed.unwatched() == {})
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_namespace_that_does_not_exist_is_named(
    server: ApiServer, client: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.namespaces["east"] = (404, NOT_FOUND)
    async with following(Followed(server, client, namespaces=BOTH)):
        told = [one.getMessage() for one in caplog.records if "exist" in one.getMessage()]
    assert told == ["namespace east, which is to be served, does not exist"]


def terminating(**in_the_way: str) -> JsonObject:
    conditions = [{"type": type_, "status": status} for type_, status in in_the_way.items()]
    return {"kind": "Namespace", "status": {"phase": "Terminating", "conditions": conditions}}


NOT_FOUND = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}
FORBIDDEN = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "forbidden"}
EMPTIED = {"NamespaceDeletionContentFailure": "False", "NamespaceContentRemaining": "False"}


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ((404, NOT_FOUND), True),
        ((200, terminating(**EMPTIED)), True),
        ((200, terminating(**EMPTIED, NamespaceFinalizersRemaining="True")), True),
        ((200, terminating(**EMPTIED | {"NamespaceContentRemaining": "True"})), False),
        ((200, terminating(**EMPTIED, NamespaceDeletionDiscoveryFailure="True")), False),
        ((200, terminating()), False),
        ((200, {"kind": "Namespace", "status": {"phase": "Active"}}), False),
        ((404, {"error": "no such path"}), False),
        ((403, FORBIDDEN), False),
        ((500, {"kind": "Status", "code": 500, "reason": "InternalError"}), False),
        ((503, {"kind": "Status", "code": 503, "reason": "ServiceUnavailable"}), False),
    ],
    ids=[
        "it does not exist",
        "it is emptied",
        "somebody holds back what is empty",
        "it holds something yet",
        "nobody can tell what it holds",
        "it is about to be deleted",
        "it exists",
        "a proxy knows nothing of namespaces",
        "we may not know",
        "the server fails",
        "the server is away",
    ],
)
async def test_only_what_is_certain_makes_a_namespace_gone(
    server: ApiServer, client: KubeClient, answer: tuple[int, JsonObject], gone: bool
) -> None:
    server.namespaces["east"] = answer
    assert await is_gone(client, "east") is gone


@pytest.mark.parametrize("gone", [True, False])
async def test_what_was_in_a_namespace_that_closes_ends_once_that_is_gone(
    server: ApiServer, client: KubeClient, gone: bool
) -> None:
    server.reactor("bruce-1")
    server.reactor("pickering-1", namespace="east")
    async with following(Followed(server, client, namespaces=BOTH)) as followed:
        await until(lambda: server.begun["reactors"] == 2)
        server.namespaces["east"] = (404, NOT_FOUND) if gone else (403, FORBIDDEN)
        server.closed = {"east"}
        server.drop_watches()
        if gone:
            await until(lambda: followed.powers == {"bruce-1": 1000})
        else:
            await until(lambda: set(followed.feed.closed()) == {"east"})
        sweeps = followed.sweeps
        await until(lambda: followed.sweeps > sweeps + 1)
        server.reactor("bruce-1", 900)
        await until(lambda: followed.powers["bruce-1"] == 900)
        assert ("pickering-1" in followed.powers) is not gone
        assert ("east" in followed.feed.closed()) is not gone
        assert followed.feed.problems() == {}


async def test_a_namespace_that_comes_back_is_served_again(
    server: ApiServer, client: KubeClient
) -> None:
    server.namespaces["east"] = (404, NOT_FOUND)
    server.closed = {"east"}
    server.reactor("bruce-1")
    async with following(Followed(server, client, namespaces=BOTH)) as followed:
        assert followed.feed.closed() == {}
        server.namespaces["east"] = (200, {"kind": "Namespace"})
        await until(lambda: set(followed.feed.closed()) == {"east"}, seconds=4)
        server.closed = set()
        server.reactor("pickering-1", namespace="east")
        await until(lambda: followed.powers == {"bruce-1": 1000, "pickering-1": 1000})
        await until(lambda: followed.feed.closed() == {})


async def test_when_no_namespace_exists_there_is_nothing(
    server: ApiServer, client: KubeClient
) -> None:
    server.namespaces = dict.fromkeys(BOTH, (404, NOT_FOUND))
    server.closed = set(BOTH)
    followed = Followed(server, client, namespaces=BOTH)
    task = asyncio.create_task(followed.feed.run())
    try:
        async with asyncio.timeout(5):
            await followed.feed.whole()
        assert followed.powers == {}
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("line", "is_logged"),
    [
        ("Request attempt #1/26 failed; will retry: GET https://server -> refused", True),
        ("Request attempt #2/26 failed; will retry: GET https://server -> refused", False),
        ("Request attempt #26/26 failed; escalating: GET https://server -> refused", True),
        ("Ignoring an unsupported event type: {}", True),
    ],
)
def test_of_the_attempts_of_one_request_of_kopf_only_the_first_is_logged(
    line: str, is_logged: bool
) -> None:
    record = logging.LogRecord("kopf", logging.ERROR, "", 0, line, None, None)
    assert is_no_further_attempt(record) is is_logged
