"""What one shard produces: frames and events, from due ticks and changes of the desired state.

No Kafka, no clock, no event loop: a :class:`Production` is a state machine that a worker thread
moves on, one call at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reactorsync.wire.checkpoint import Checkpoint
from reactorsync.wire.events import Event, ShardHeartbeat
from reactorsync.wire.frame import Frame, FrameOrigin
from reactorsync.wire.topics import Topics
from reactorsync_generator.desired_view import Change
from reactorsync_generator.events import EventLedger, Observation
from reactorsync_generator.inheritance import Inheritance
from reactorsync_generator.shard import Sample, Shard
from reactorsync_generator.ticking import Cadence


@dataclass(frozen=True, slots=True)
class Identity:
    """Who produces: the generator's name, and the id of this life of its process."""

    generator: str
    run: str


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame ready to be sent."""

    topic: str
    shard: int
    tick_us: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done: changes valid from ``boundary_us``, and ticks that are due, in order."""

    changes: Sequence[Change] = ()
    boundary_us: int = 0
    ticks_us: Sequence[int] = ()
    tell_all: bool = False


@dataclass(frozen=True, slots=True)
class Yield:
    """What came of it: frames and events in the order in which things happened."""

    frames: list[EncodedFrame]
    events: list[Event]


class Production:
    """The output of shard ``number`` since this process took it over at ``epoch_us``.

    ``sequence`` numbers its frames; it goes on when the shard is taken over by this process again.
    """

    def __init__(
        self,
        number: int,
        identity: Identity,
        *,
        topics: Topics,
        epoch_us: int,
        sequence: Iterator[int],
        catch_up_us: int,
    ) -> None:
        self._number = number
        self._identity = identity
        self._topics = topics
        self._epoch_us = epoch_us
        self._sequence = sequence
        self._shard = Shard(number, catch_up_us=catch_up_us)
        self._ledger = EventLedger(shard=number, generator=identity.generator)
        self._readings = 0
        self._late_ticks = 0
        self._heartbeat_us = epoch_us
        self._processor_us: int | None = None

    @property
    def cadence(self) -> Cadence:
        """When ticks are due."""
        return self._shard.cadence

    @property
    def reactors(self) -> int:
        """How many reactors the shard has, suspended ones included."""
        return len(self._shard)

    def inherit(self, inheritance: Inheritance) -> None:
        """Take what a former owner left, for the plants that are added from now on."""
        self._shard.inherit(inheritance)

    def oldest_us(self, now_us: int) -> int:
        """Return how far the plants have been simulated; see :meth:`Shard.oldest_us`."""
        return self._shard.oldest_us(now_us)

    def catch_up(self, to_us: int) -> None:
        """Simulate up to ``to_us`` in silence."""
        self._shard.advance(to_us)

    def turn(self, turn: Turn) -> Yield:
        """Do what is to be done, in order of time."""
        changes = turn.changes
        frames: list[EncodedFrame] = []
        events: list[Event] = []
        for tick_us in turn.ticks_us:
            if changes and turn.boundary_us <= tick_us:
                events += self._apply(changes, turn.boundary_us)
                changes = ()
            sample = self._shard.sample(tick_us, newest_us=turn.ticks_us[-1])
            if sample is not None:
                events += self._observe(sample)
                frames.append(self._encode(sample))
        if changes:
            events += self._apply(changes, turn.boundary_us)
        if turn.tell_all:
            events += self._ledger.current(turn.boundary_us)
        return Yield(frames, events)

    def count_late(self, ticks: int) -> None:
        """Take note of ticks that came out late, or not at all."""
        self._late_ticks += ticks

    def heartbeat(self, now_us: int, *, tick_us: int, processor_us: int) -> ShardHeartbeat:
        """Return the heartbeat after ``tick_us``, with what was done since the last one.

        ``processor_us`` is the processor time that the process has used so far, in microseconds;
        the first heartbeat has none to compare it with, and does not say how busy it is.
        """
        passed_us = max(now_us - self._heartbeat_us, 1)
        rate = self._readings / (passed_us / 1e6)
        busy_permille = None
        if self._processor_us is not None:
            busy_permille = max(0, round(1000 * (processor_us - self._processor_us) / passed_us))
        self._readings, self._heartbeat_us, self._processor_us = 0, now_us, processor_us
        return ShardHeartbeat(
            shard=self._number,
            generator=self._identity.generator,
            run=self._identity.run,
            epoch=self._epoch_us,
            tick_us=tick_us,
            reactors=len(self._shard),
            readings_per_second=round(rate, 3),
            late_ticks=self._late_ticks,
            busy_permille=busy_permille,
        )

    def checkpoint(self, now_us: int) -> tuple[Checkpoint, bytes]:
        """Return the states of all plants, and the same encoded."""
        checkpoint = self._shard.checkpoint(now_us)
        return checkpoint, checkpoint.encode()

    def inheritance(self, now_us: int) -> Inheritance:
        """Return the states of all plants, to begin anew from."""
        return self._shard.inheritance(now_us)

    def _apply(self, changes: Sequence[Change], at_us: int) -> list[Event]:
        told: list[Event] = []
        begun: list[str] = []
        for applied in self._shard.apply(changes, at_us=at_us):
            if applied.desired is None:
                self._ledger.forget(applied.key)
            else:
                if applied.renewed:
                    begun.append(applied.key)
                told += self._ledger.applied(
                    applied.desired,
                    faults=applied.faults,
                    slot=applied.slot,
                    renewed=applied.renewed,
                    trip_cause=applied.trip_cause,
                    at_us=at_us,
                )
        # First how a new plant is, lest whoever hears of it wait for its first tick to know.
        sample = self._shard.look(begun, at_us=at_us)
        return [*(self._ledger.begun(_seen(sample)) if sample is not None else ()), *told]

    def _observe(self, sample: Sample) -> list[Event]:
        return self._ledger.observed(_seen(sample))

    def _encode(self, sample: Sample) -> EncodedFrame:
        self._readings += len(sample.reactors)
        frame = Frame(
            tick_us=sample.tick_us,
            origin=FrameOrigin(
                shard=self._number,
                run=self._identity.run,
                epoch=self._epoch_us,
                sequence=next(self._sequence),
            ),
            reactors=sample.reactors,
            trip_causes=sample.trip_causes,
            readings=sample.readings,
        )
        return EncodedFrame(
            topic=self._topics.telemetry(sample.tick_us),
            shard=self._number,
            tick_us=sample.tick_us,
            value=frame.encode(),
            headers=frame.envelope(source=self._identity.generator).headers(),
        )


def _seen(sample: Sample) -> Observation:
    return Observation(sample.tick_us, sample.slots, sample.power_permille, sample.trip_causes)
