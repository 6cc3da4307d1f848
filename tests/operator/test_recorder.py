"""Events that the operator posts: what is in them, how many, and what when they cannot be."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import kmock as kmocks
import pytest

from reactorsync.kube import Cluster, KubeClient
from reactorsync.resources import Condition, ConditionStatus, Reactor, ReactorStatus
from reactorsync_operator.event_body import NOTE_BYTES
from reactorsync_operator.leadership import NotLeading
from reactorsync_operator.rate_cap import OVERALL, PER_OBJECT, PER_REASON, RateCap
from reactorsync_operator.recorder import (
    GIVE_UP_SECONDS,
    QUEUED,
    SERIES_SECONDS,
    UPDATE_SECONDS,
    EventRecorder,
    LogRecorder,
)
from tests.core.planning.build import NOON, reactor, scenario

JsonObject = dict[str, Any]
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
MICRO_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@dataclass
class Clock:
    """A clock that obeys."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@dataclass
class ApiServer:
    """What a mock of an API server was sent."""

    mock: kmocks.RawHandler
    client: KubeClient
    clock: Clock = field(default_factory=Clock)

    def recorder(self) -> EventRecorder:
        return EventRecorder(
            self.client, instance="operator-0", clock=self.clock, now=self.clock.now
        )

    @property
    def posted(self) -> list[JsonObject]:
        return [request.data for request in self.mock["post"]]

    @property
    def patched(self) -> list[JsonObject]:
        return [request.data for request in self.mock["patch"]]


@pytest.fixture
async def api(kmock: kmocks.RawHandler) -> AsyncIterator[ApiServer]:
    client = KubeClient(Cluster(server=str(kmock.url).rstrip("/")), field_manager="tests")
    yield ApiServer(kmock, client)
    await client.close()


@asynccontextmanager
async def running(recorder: EventRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.01)


def with_ready(one: Reactor, status: str, reason: str, message: str = "") -> Reactor:
    ready = Condition(
        type="Ready",
        status=ConditionStatus(status),
        last_transition_time=NOON,
        reason=reason,
        message=message,
    )
    return one.model_copy(update={"status": ReactorStatus(conditions=[ready])})


def lose(recorder: EventRecorder | LogRecorder, name: str = "bruce-1", why: str = "gone") -> None:
    """Record that a reactor's generator fell silent."""
    before = reactor(name)
    recorder.record(before, with_ready(before, "False", "GeneratorSilent", why))


class TestAnEvent:
    async def test_says_what_happened_to_what_and_who_tells(self, api: ApiServer) -> None:
        api.mock[f"post {EVENTS}"] << {}
        recorder = api.recorder()
        lose(recorder, why="not heard of for 15 s")
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)

        [event] = api.posted
        name = event["metadata"].pop("name")
        assert re.fullmatch(r"bruce-1\.[0-9a-f]{8,}", name)
        assert re.fullmatch(MICRO_TIME, event.pop("eventTime"))
        assert event == {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": "default"},
            "reportingController": "reactorsync.dev/operator",
            "reportingInstance": "operator-0",
            "action": "Simulate",
            "reason": "GeneratorSilent",
            "type": "Warning",
            "note": "not heard of for 15 s",
            "regarding": {
                "apiVersion": "reactorsync.dev/v1alpha1",
                "kind": "Reactor",
                "namespace": "default",
                "name": "bruce-1",
                "uid": str(reactor().metadata.uid),
                "resourceVersion": "1",
            },
        }

    async def test_has_a_note_that_is_cut_between_characters(self, api: ApiServer) -> None:
        api.mock[f"post {EVENTS}"] << {}
        recorder = api.recorder()
        lose(recorder, why="µ" * 3000)
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)

        [event] = api.posted
        assert len(event["note"].encode()) <= NOTE_BYTES
        assert event["note"].rstrip("…") == "µ" * 510

    async def test_of_an_expired_scenario(self, api: ApiServer) -> None:
        api.mock[f"post {EVENTS}"] << {}
        recorder = api.recorder()
        recorder.record_expiry(scenario(ttlSecondsAfterFinished=60))
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)

        [event] = api.posted
        assert (event["reason"], event["regarding"]["kind"]) == ("Expired", "AnomalyScenario")


async def test_without_the_lease_nothing_is_posted(api: ApiServer) -> None:
    recorder = EventRecorder(api.client, instance="operator-0", may_write=lambda: False)
    lose(recorder)
    with pytest.raises(NotLeading):
        await asyncio.wait_for(recorder.run(), 5)
    assert api.posted == []


class TestRepetition:
    async def test_is_counted_in_the_event_that_waits(self, api: ApiServer) -> None:
        api.mock[f"post {EVENTS}"] << {}
        recorder = api.recorder()
        for _ in range(3):
            lose(recorder)
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)

        [event] = api.posted
        assert event["series"]["count"] == 3
        assert re.fullmatch(MICRO_TIME, event["series"]["lastObservedTime"])

    async def test_is_counted_in_the_event_that_was_posted_but_not_each_time(
        self, api: ApiServer
    ) -> None:
        api.mock["post"] << {}
        api.mock["patch"] << {}
        recorder = api.recorder()
        async with running(recorder):
            lose(recorder)
            await until(lambda: recorder.waiting == 0)
            lose(recorder)
            lose(recorder)
            await asyncio.sleep(0.1)
            assert api.patched == []

            api.clock.seconds += UPDATE_SECONDS
            lose(recorder)
            await until(lambda: recorder.waiting == 0)

        assert [patch["series"]["count"] for patch in api.patched] == [4]
        [event] = api.posted
        [request] = list(api.mock["patch"])
        assert request.url.path == f"{EVENTS}/{event['metadata']['name']}"

    async def test_after_long_is_a_new_event(self, api: ApiServer) -> None:
        api.mock["post"] << {}
        recorder = api.recorder()
        async with running(recorder):
            lose(recorder)
            await until(lambda: recorder.waiting == 0)
            api.clock.seconds += SERIES_SECONDS
            lose(recorder)
            await until(lambda: recorder.waiting == 0)

        names = [event["metadata"]["name"] for event in api.posted]
        assert len(set(names)) == 2

    async def test_of_an_event_that_is_no_longer_kept_is_posted(self, api: ApiServer) -> None:
        api.mock["post"] << {}
        api.mock["patch"] << 404
        recorder = api.recorder()
        async with running(recorder):
            lose(recorder)
            await until(lambda: recorder.waiting == 0)
            api.clock.seconds += UPDATE_SECONDS
            lose(recorder)
            await until(lambda: recorder.waiting == 0)

        assert [event.get("series", {}).get("count") for event in api.posted] == [None, 2]


class TestTooMuch:
    async def test_one_cause_with_ten_thousand_victims_makes_few_events(
        self, api: ApiServer
    ) -> None:
        recorder = api.recorder()
        for number in range(10_000):
            lose(recorder, f"bruce-{number}")
        assert recorder.waiting == PER_REASON.burst

    async def test_what_waits_is_bounded(self, api: ApiServer) -> None:
        recorder = api.recorder()
        for number in range(2 * QUEUED):
            lose(recorder, f"bruce-{number}")
            api.clock.seconds += 1
        assert recorder.waiting == QUEUED

    async def test_what_was_posted_makes_room(self, api: ApiServer) -> None:
        api.mock["post"] << {}
        recorder = api.recorder()
        async with running(recorder):
            for number in range(QUEUED + 10):
                lose(recorder, f"bruce-{number}")
                api.clock.seconds += 1
                if number % 100 == 0:
                    await until(lambda: recorder.waiting == 0)
            await until(lambda: recorder.waiting == 0)
        assert len(api.posted) == QUEUED + 10

    def test_an_object_that_never_rests_is_heard_of_now_and_then(self) -> None:
        clock = Clock()
        cap = RateCap(clock=clock)

        def told(seconds: int) -> int:
            count = 0
            for _ in range(seconds):
                count += cap.allows("bruce-1", f"reason-{_ % 7}")
                clock.seconds += 1
            return count

        assert told(100) <= PER_OBJECT.burst + 2
        assert told(600) == 10

    def test_everything_together_is_capped_and_recovers(self) -> None:
        clock = Clock()
        cap = RateCap(clock=clock)
        assert sum(cap.allows(n, f"reason-{n}") for n in range(500)) == OVERALL.burst
        clock.seconds += 10
        assert sum(cap.allows(n, f"reason-{n}") for n in range(500)) == 10 * OVERALL.per_second


class TestAnApiServerThat:
    async def test_is_away_gets_the_events_later(self, api: ApiServer) -> None:
        api.mock["post"][:1] << 503
        api.mock["post"] << {}
        recorder = api.recorder()
        lose(recorder)
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)

        names = {event["metadata"]["name"] for event in api.posted}
        assert (len(api.posted), len(names)) == (2, 1)

    async def test_has_the_event_already_is_not_asked_again(self, api: ApiServer) -> None:
        api.mock["post"] << 409
        recorder = api.recorder()
        lose(recorder)
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)
        assert len(api.posted) == 1

    async def test_forbids_it_is_left_alone_after_one_warning(
        self, api: ApiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.mock["post"] << 403 << {"kind": "Status", "message": "may not create events"}
        recorder = api.recorder()
        async with running(recorder):
            for number in range(3):
                lose(recorder, f"bruce-{number}")
            await until(lambda: recorder.waiting == 0)
            lose(recorder, "bruce-9")
            assert recorder.waiting == 0

        assert len(api.posted) == 1
        [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "namespace default" in warning.message
        assert "may not create events" in warning.message

    async def test_forbids_it_for_a_while_is_asked_again(self, api: ApiServer) -> None:
        api.mock["post"][:1] << 403 << {"kind": "Status", "message": "may not create events"}
        api.mock["post"] << 201 << {}
        recorder = api.recorder()
        async with running(recorder):
            lose(recorder)
            await until(lambda: recorder.waiting == 0)
            api.clock.seconds += GIVE_UP_SECONDS + 1
            lose(recorder, "bruce-2")
            assert recorder.waiting == 1
            await until(lambda: recorder.waiting == 0)
        assert len(api.posted) == 2

    async def test_terminates_the_namespace_is_no_reason_to_give_up(self, api: ApiServer) -> None:
        text = "unable to create new content in namespace default because it is being terminated"
        api.mock["post"][:1] << 403 << {"kind": "Status", "message": text}
        api.mock["post"] << {}
        recorder = api.recorder()
        async with running(recorder):
            lose(recorder)
            await until(lambda: recorder.waiting == 0)
            lose(recorder, "bruce-2")
            await until(lambda: recorder.waiting == 0)
        assert len(api.posted) == 2

    async def test_refuses_one_event_gets_the_others(
        self, api: ApiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.mock["post"][:1] << 422 << {"kind": "Status", "message": "note: too long"}
        api.mock["post"] << {}
        recorder = api.recorder()
        lose(recorder)
        lose(recorder, "bruce-2")
        async with running(recorder):
            await until(lambda: recorder.waiting == 0)
        assert len(api.posted) == 2
        assert "note: too long" in caplog.text


async def test_a_real_api_server_takes_the_events(kube: KubeClient, kube_namespace: str) -> None:
    clock = Clock()
    recorder = EventRecorder(
        kube, instance="operator-0", clock=clock, now=lambda: datetime.now(UTC)
    )
    path = f"/apis/events.k8s.io/v1/namespaces/{kube_namespace}/events"
    stored = reactor()
    metadata = stored.metadata.model_copy(update={"namespace": kube_namespace})
    stored = stored.model_copy(update={"metadata": metadata})
    silent = with_ready(stored, "False", "GeneratorSilent", "µ" * 3000)
    async with running(recorder):
        recorder.record(stored, silent)
        await until(lambda: recorder.waiting == 0)
        clock.seconds += UPDATE_SECONDS
        recorder.record(stored, silent)
        await until(lambda: recorder.waiting == 0)

    listed: Any = await kube.get(path, params={"fieldSelector": "reason=GeneratorSilent"})
    [event] = listed["items"]
    assert event["series"]["count"] == 2
    assert event["regarding"]["uid"] == str(stored.metadata.uid)
    assert event["type"] == "Warning"


class TestLog:
    """Where there are no events: over Postgres."""

    def test_a_line_for_each_announcement(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        recorder = LogRecorder(clock=Clock())
        lose(recorder, why="not heard of")
        recorder.record_expiry(scenario(ttlSecondsAfterFinished=60))

        [silent, expired] = caplog.records
        assert silent.message == "Reactor default/bruce-1: GeneratorSilent: not heard of"
        assert silent.levelno == logging.WARNING
        assert expired.message.startswith("AnomalyScenario default/leak-drill: Expired: ")
        assert expired.levelno == logging.INFO

    def test_a_fleet_that_loses_its_broker_does_not_fill_the_disk(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        recorder = LogRecorder(clock=Clock())
        for number in range(1000):
            lose(recorder, f"bruce-{number}")
        assert len(caplog.records) == PER_REASON.burst
