"""Looking at probes: at a real broker's telemetry, at what events told, at real addresses."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from aiohttp import web

from reactorsync.bus.kafka import KafkaBus
from reactorsync.bus.port import BrokerUnavailable
from reactorsync.clock import now_us
from reactorsync.planning.targets import Candidate
from reactorsync.resources import AnomalyScenario, AnomalyScenarioStatus
from reactorsync.resources.scenario_status import ProbeResult, Run, RunPhase
from reactorsync.signals import SIGNAL_INDEX, SIGNAL_NAMES
from reactorsync.wire.events import AlarmRaised, DiagnosisMade, Hypothesis
from reactorsync.wire.frame import Frame, FrameOrigin, reactor_column
from reactorsync.wire.keys import shard_of
from reactorsync.wire.topics import Topics
from reactorsync_operator.metrics import HTTP_ASKS, OPEN_PROBES
from reactorsync_operator.observations import Observations
from reactorsync_operator.probes import runner as runner_module
from reactorsync_operator.probes.port import Probes
from reactorsync_operator.probes.runner import ProbeRunner
from reactorsync_operator.reconcile.observed import ProbeOutcome
from tests.core.planning.build import NOON, scenario, uid_of
from tests.servers import FreshBroker

SIGNAL = "core_outlet_temperature_c"
HOT = {"signal": SIGNAL, "comparison": "Above", "thresholdMilli": 310_500}
_PREFIXES = count(1)


@pytest.fixture
async def topics(bus: KafkaBus) -> Topics:
    topics = Topics(prefix=f"probes{next(_PREFIXES)}", shards=2)
    await bus.ensure_topics(topics.live(now_us()))
    return topics


def target(name: str) -> Candidate:
    return Candidate(rank=name, reactor=name, uid=uid_of(name), created=NOON)


UNITS = tuple(target(f"unit-{number}") for number in range(4))


def drill(
    *probes: dict[str, Any],
    abort_when: Sequence[dict[str, Any]] = (),
    name: str = "drill",
    status: AnomalyScenarioStatus | None = None,
) -> AnomalyScenario:
    return scenario(name, probes=[*probes], abortWhen=[*abort_when], status=status)


def probe(name: str = "seen", **fields: Any) -> dict[str, Any]:
    if not {"alarm", "diagnosis", "http"} & fields.keys():
        fields.setdefault("telemetry", HOT)
    return {"name": name, **fields}


def run(
    *, began: float = 0, number: int = 1, phase: RunPhase = RunPhase.RUNNING, **fields: Any
) -> Run:
    """A run of ten minutes that began so many seconds ago."""
    start = datetime.now(UTC) - timedelta(seconds=began)
    plain = Run(
        number=number, phase=phase, start_time=start, end_time=start + timedelta(minutes=10)
    )
    return plain.model_copy(update=fields)


@dataclass
class Looking:
    """A runner, and whom it marked."""

    bus: KafkaBus
    topics: Topics
    hosts: tuple[str, ...] = ()
    clock: Callable[[], int] = now_us
    observations: Observations = field(default_factory=Observations)
    marked: list[UUID] = field(default_factory=list)
    gone: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.probes = ProbeRunner(
            self.bus,
            self.topics,
            sightings=self.observations.sightings,
            mark=self.marked.append,
            exists=lambda uid: uid not in self.gone,
            http_hosts=self.hosts,
            now_us=self.clock,
        )

    def outcome(self, name: str = "seen", *, of: str = "drill", number: int = 1) -> ProbeOutcome:
        return self.probes.outcomes(uid_of(of), number)[name]

    def passed(self, name: str = "seen") -> bool:
        return self.outcome(name).passed_us is not None

    @asynccontextmanager
    async def going_on(self, cluster: str = "one") -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self.probes.session(cluster)),
            asyncio.create_task(self.probes.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def stream(
    bus: KafkaBus, topics: Topics, readings: dict[str, float], *, tick_us: int | None = None
) -> None:
    """Publish one tick of these reactors, as generators do."""
    tick_us = now_us() if tick_us is None else tick_us
    producer = bus.producer(client_id="test")
    await producer.start()
    for shard in range(topics.shards):
        names = [one for one in readings if shard_of(f"default/{one}", topics.shards) == shard]
        values = np.full((len(SIGNAL_NAMES), len(names)), 100.0, dtype=np.float32)
        values[SIGNAL_INDEX[SIGNAL]] = [readings[name] for name in names]
        frame = Frame(
            tick_us=tick_us,
            origin=FrameOrigin(shard=shard, run="test", epoch=1, sequence=0),
            reactors=reactor_column([f"default/{name}" for name in names]),
            trip_causes=np.zeros(len(names), dtype=np.uint8),
            readings=values,
        )
        await producer.send(
            topics.telemetry(tick_us),
            frame.encode(),
            headers=frame.envelope(source="test").headers(),
            partition=shard,
        )
    await producer.stop()


def all_at(temperature: float) -> dict[str, float]:
    return dict.fromkeys((unit.reactor for unit in UNITS), temperature)


def test_it_is_what_the_reconciler_asks_for(bus: KafkaBus) -> None:
    probes: Probes = Looking(bus, Topics()).probes
    assert probes.outcomes(uid_of("drill"), 1) == {}


class TestTelemetry:
    """Probes of signals."""

    async def test_it_passes_when_every_target_has_shown_it(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(probe()), run(), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            await stream(bus, topics, all_at(300) | {"unit-0": 320})
            await eventually(lambda: "1 of 4" in looking.outcome().message)
            await stream(bus, topics, all_at(320) | {"unit-0": 300})
            await eventually(looking.passed)
            assert "all 4 targets" in looking.outcome().message
        assert set(looking.marked) == {uid_of("drill")}

    async def test_a_condition_to_abort_is_told_well_within_two_seconds(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(abort_when=[probe("too-hot")]), run(), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            began = time.monotonic()
            await stream(bus, topics, all_at(300) | {"unit-2": 320})
            await eventually(lambda: bool(looking.marked))
            assert time.monotonic() - began < 1.0
        assert "default/unit-2" in looking.outcome("too-hot").message

    async def test_it_reads_from_the_end_of_what_there_is(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        for _ in range(3):
            await stream(bus, topics, all_at(320))
        async with looking.going_on():
            looking.probes.want(drill(probe()), run(began=60), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            await asyncio.sleep(0.6)
            assert "0 of 4" in looking.outcome().message

    async def test_it_reads_nothing_when_nobody_asks(self, bus: KafkaBus, topics: Topics) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            await asyncio.sleep(0.2)
            assert not looking.probes.telemetry.reads
            looking.probes.want(drill(probe()), run(), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            await stream(bus, topics, all_at(320))
            await eventually(looking.passed)
            await eventually(lambda: not looking.probes.telemetry.reads)
            looking.probes.want(drill(probe()), run(number=2), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            looking.probes.want(drill(probe()), None, ())
            await eventually(lambda: not looking.probes.telemetry.reads)

    async def test_a_window_ahead_opens_by_itself(self, bus: KafkaBus, topics: Topics) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(probe()), run(began=-4, phase=RunPhase.PENDING), UNITS)
            await asyncio.sleep(0.3)
            assert not looking.probes.telemetry.reads
            await eventually(lambda: looking.probes.telemetry.reads)
            ahead = now_us()
            await stream(bus, topics, all_at(320), tick_us=ahead)
            await stream(bus, topics, all_at(320), tick_us=ahead + 5_000_000)
            await eventually(looking.passed)
        assert looking.outcome().passed_us == ahead + 5_000_000

    async def test_while_the_clock_is_held_nothing_is_looked_at(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            asked, going = drill(probe()), run()
            looking.probes.want(asked, going, UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            held = going.model_copy(update={"held_since": datetime.now(UTC)})
            looking.probes.want(asked, held, UNITS)
            await eventually(lambda: not looking.probes.telemetry.reads)
            looking.probes.want(asked, going, UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)

    async def test_frames_that_cannot_be_read_are_passed_over(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(probe()), run(), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            producer = bus.producer(client_id="test")
            await producer.start()
            await producer.send(topics.telemetry(0), b"no frame", partition=0)
            await producer.stop()
            await stream(bus, topics, all_at(320))
            await eventually(looking.passed)

    async def test_it_moves_on_to_the_next_slot(self, bus: KafkaBus) -> None:
        topics = Topics(prefix=f"slotted-probes{next(_PREFIXES)}", shards=2, slot_seconds=300)
        offset = [0]

        def clock() -> int:
            return now_us() + offset[0]

        await bus.ensure_topics(topics.live(clock()))
        looking = Looking(bus, topics, clock=clock)
        async with looking.going_on():
            looking.probes.want(drill(probe(timeoutSeconds=600)), run(), UNITS)
            await eventually(lambda: looking.probes.telemetry.reads)
            await stream(bus, topics, all_at(300) | {"unit-0": 320}, tick_us=clock())
            await eventually(lambda: "1 of 4" in looking.outcome().message)
            offset[0] = 300_000_000
            await bus.ensure_topics(topics.live(clock()))
            await asyncio.sleep(0.5)
            await eventually(lambda: looking.probes.telemetry.reads)
            await stream(bus, topics, all_at(320), tick_us=clock())
            await eventually(looking.passed)

    async def test_it_outlives_its_broker(self, fresh_broker: FreshBroker) -> None:
        bus = KafkaBus(fresh_broker.bootstrap, session_timeout_ms=2500)
        topics = Topics(prefix="probes", shards=2)
        await bus.ensure_topics(topics.live(now_us()))
        looking = Looking(bus, topics)
        session = asyncio.create_task(looking.probes.session("one"))
        looking.probes.want(drill(probe(timeoutSeconds=300)), run(), UNITS)
        await eventually(lambda: looking.probes.telemetry.reads)
        await stream(bus, topics, all_at(300) | {"unit-0": 320})
        await eventually(lambda: "1 of 4" in looking.outcome().message)
        await fresh_broker.stop()
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(session, 30)
        assert not looking.probes.telemetry.reads
        await fresh_broker.start()
        await bus.ensure_topics(topics.live(now_us()))
        await stream(bus, topics, all_at(300) | {"unit-1": 320})
        async with looking.going_on("two"):
            await eventually(lambda: "2 of 4" in looking.outcome().message, 30)
            await stream(bus, topics, all_at(320) | {"unit-0": 300, "unit-1": 300})
            await eventually(looking.passed)
        await bus.close()


class TestSightings:
    """Probes of alarms and diagnoses."""

    def alarm(self, unit: Candidate, tick_us: int) -> AlarmRaised:
        return AlarmRaised(
            namespace="default",
            name=unit.reactor,
            uid=unit.uid,
            tick_us=tick_us,
            alarm_id=uid_of(f"alarm-{unit.reactor}"),
            signal=SIGNAL,
            limit="High",
            value=320.0,
        )

    async def test_an_alarm_on_every_target(self, bus: KafkaBus, topics: Topics) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(probe(alarm={"signal": SIGNAL})), run(), UNITS[:2])
            moments = [now_us() + 1000, now_us() + 2000]
            for unit, moment_us in zip(UNITS, moments, strict=False):
                looking.observations.take(self.alarm(unit, moment_us), time_us=moment_us)
            await eventually(looking.passed)
        assert looking.outcome().passed_us == moments[1]

    async def test_a_diagnosis_that_names_the_fault(self, bus: KafkaBus, topics: Topics) -> None:
        looking = Looking(bus, topics)
        async with looking.going_on():
            asked = drill(probe(diagnosis={"fault": "PrimaryLeak", "top": 2}))
            looking.probes.want(asked, run(), UNITS[:1])
            moment_us = now_us() + 1000
            named = [
                Hypothesis(fault=fault, probability_permille=400)
                for fault in ("PumpTrip", "PrimaryLeak")
            ]
            diagnosis = DiagnosisMade(
                namespace="default",
                name=UNITS[0].reactor,
                uid=UNITS[0].uid,
                tick_us=moment_us,
                hypotheses=named,
            )
            looking.observations.take(diagnosis, time_us=moment_us)
            await eventually(looking.passed)


class TestRuns:
    """Which probes are looked at, of which run."""

    async def test_what_the_status_says_is_not_looked_at_again(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics)
        going = run()
        status = AnomalyScenarioStatus(
            run=going, probes=[ProbeResult(name="seen", passed=True, message="before")]
        )
        async with looking.going_on():
            looking.probes.want(drill(probe(), status=status), going, UNITS)
            await asyncio.sleep(0.3)
            assert not looking.probes.telemetry.reads
        assert looking.outcome() == ProbeOutcome()

    def test_each_run_begins_anew(self, bus: KafkaBus) -> None:
        looking = Looking(bus, Topics(prefix="runs", shards=2))
        looking.probes.want(drill(probe()), run(), UNITS)
        looking.probes.want(drill(probe()), run(number=2), UNITS)
        assert looking.probes.outcomes(uid_of("drill"), 1) == {}
        assert "0 of 4" in looking.outcome(number=2).message

    def test_a_probe_that_was_changed_begins_anew(self, bus: KafkaBus) -> None:
        looking = Looking(bus, Topics(prefix="runs", shards=2))
        going = run()
        looking.probes.want(drill(probe()), going, UNITS)
        looking.probes.want(drill(probe(alarm={"signal": SIGNAL})), going, UNITS)
        assert looking.outcome().message == f"alarm of {SIGNAL} on 0 of 4 targets"

    def test_whoever_joins_after_the_end_does_not_count(self, bus: KafkaBus) -> None:
        looking = Looking(bus, Topics(prefix="runs", shards=2))
        asked, going = drill(probe(phase="After")), run()
        looking.probes.want(asked, going, UNITS[:2])
        over = going.model_copy(update={"phase": RunPhase.COMPLETED})
        looking.probes.want(asked, over, UNITS)
        assert "0 of 2" in looking.outcome().message

    async def test_a_scenario_that_is_gone_is_let_go(
        self, bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner_module, "_LOOK_AFTER_US", 100_000)
        looking = Looking(bus, topics)
        async with looking.going_on():
            looking.probes.want(drill(probe()), run(), UNITS)
            await eventually(lambda: OPEN_PROBES._value.get() == 1)
            looking.gone.add(uid_of("drill"))
            await eventually(lambda: not looking.probes.outcomes(uid_of("drill"), 1))
            await eventually(lambda: OPEN_PROBES._value.get() == 0)


@asynccontextmanager
async def answering(statuses: list[int]) -> AsyncIterator[str]:
    """A real server that answers so, the last for ever."""
    left = list(statuses)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0])

    app = web.Application()
    app.router.add_get("/health", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/health"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def holding() -> AsyncIterator[tuple[str, list[str]]]:
    """A real server that answers nobody: where it is, and what it was asked."""
    asked: list[str] = []
    is_over = asyncio.Event()

    async def hold(request: web.Request) -> web.Response:
        asked.append(request.path)
        await is_over.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hold)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", asked
    finally:
        is_over.set()
        await runner.cleanup()


def asked_so_far() -> dict[str, float]:
    outcomes = ("expected", "unexpected", "refused")
    return {outcome: HTTP_ASKS.labels(outcome)._value.get() for outcome in outcomes}


class TestHttp:
    """Probes of addresses."""

    async def test_it_is_asked_until_the_answer_is_right(
        self, bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner_module, "ASK_SECONDS", 0.05)
        asks = asked_so_far()
        looking = Looking(bus, topics, hosts=("127.0.0.1",))
        async with answering([500, 503, 200]) as url, looking.going_on():
            looking.probes.want(drill(probe(http={"url": url})), run(), ())
            await eventually(looking.passed)
        assert looking.outcome().message == "answered 200, expected 200"
        assert asked_so_far() == {
            **asks,
            "expected": asks["expected"] + 1,
            "unexpected": asks["unexpected"] + 2,
        }

    async def test_its_time_is_limited(
        self, bus: KafkaBus, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner_module, "ASK_SECONDS", 0.05)
        looking = Looking(bus, topics, hosts=("127.0.0.1",))
        async with answering([500]) as url, looking.going_on():
            asked = drill(probe(http={"url": url}, timeoutSeconds=1))
            looking.probes.want(asked, run(), ())
            await eventually(lambda: bool(looking.outcome().message))
            await asyncio.sleep(1.2)
        assert looking.outcome() == ProbeOutcome(message="answered 500, expected 200")

    async def test_without_leave_nothing_is_asked(self, bus: KafkaBus, topics: Topics) -> None:
        asks = asked_so_far()
        looking = Looking(bus, topics)
        async with looking.going_on():
            asked = drill(probe(http={"url": "http://127.0.0.1:1/"}))
            looking.probes.want(asked, run(), ())
            await eventually(lambda: bool(looking.outcome().message))
        assert looking.outcome() == ProbeOutcome(message="host not allowed: 127.0.0.1")
        assert asked_so_far() == {**asks, "refused": asks["refused"] + 1}
        assert looking.marked == [uid_of("drill")]

    async def test_a_scenario_that_asks_slow_hosts_holds_up_only_itself(
        self, bus: KafkaBus, topics: Topics
    ) -> None:
        looking = Looking(bus, topics, hosts=("127.0.0.1",))
        async with holding() as (slow, asked), answering([200]) as quick, looking.going_on():
            waiting = [probe(f"slow-{number}", http={"url": slow}) for number in range(8)]
            looking.probes.want(drill(*waiting), run(), ())
            await eventually(lambda: len(asked) == 2)
            looking.probes.want(drill(probe(http={"url": quick}), name="other"), run(), ())
            await eventually(lambda: looking.outcome(of="other").passed_us is not None)
            await asyncio.sleep(0.3)
            assert len(asked) == 2, "no more of one scenario at once"
