"""What the readiness probe says of a generator."""

from __future__ import annotations

from typing import Final

from reactorsync.service import Readiness

KAFKA: Final = "kafka"
DESIRED_STATE: Final = "desired-state"


class BrokerHealth:
    """Gathers what several users of the broker say into the two dependencies of a generator.

    ``kafka`` works when none of them has a problem and the group has dealt the shards out;
    ``desired-state`` when every shard of this process knows all that is wanted of it.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._problems: dict[str, str] = {}
        readiness.expect(KAFKA, DESIRED_STATE)

    @property
    def works(self) -> bool:
        """Whether nobody has a problem with the broker."""
        return not self._problems

    def report(self, user: str, problem: str | None) -> None:
        """Hear from ``user`` that the broker works (``None``), or what the problem is."""
        if problem is None:
            self._problems.pop(user, None)
        else:
            self._problems[user] = problem
        if self._problems:
            name, problem = next(iter(self._problems.items()))
            self._readiness.fails(KAFKA, f"{name}: {problem}")
        else:
            self._readiness.works(KAFKA)

    def report_views(self, *, complete: int, shards: int) -> None:
        """Hear how many of the process's shards know their desired state completely."""
        if complete == shards:
            self._readiness.works(DESIRED_STATE)
        else:
            self._readiness.fails(
                DESIRED_STATE, f"{shards - complete} of {shards} shards wait for their snapshot"
            )
