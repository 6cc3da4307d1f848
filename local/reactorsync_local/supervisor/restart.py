"""When to start a process again after it ended."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """Exponential back-off with an upper bound.

    The n-th failure in a row is followed by a pause of `initial_seconds * factor**(n - 1)`, at most
    `max_seconds`. A process that ran for `healthy_seconds` starts counting afresh. After
    `max_failures` in a row the supervisor gives up; None keeps trying at `max_seconds`, which is
    right for everything whose cause may go away.
    """

    initial_seconds: float = 0.2
    factor: float = 2.0
    max_seconds: float = 10.0
    healthy_seconds: float = 30.0
    max_failures: int | None = None

    def delay_seconds(self, failures: int) -> float:
        """Pause after `failures` ends in a row, `failures` >= 1."""
        doublings = min(failures - 1, 64)  # keeps the power finite for any count
        return min(self.initial_seconds * self.factor**doublings, self.max_seconds)

    def failures_after(self, failures: int, *, uptime_seconds: float) -> int:
        """Failures in a row, once a process that followed `failures` of them ended after
        `uptime_seconds`.
        """
        return 1 if uptime_seconds >= self.healthy_seconds else failures + 1

    def gives_up(self, failures: int) -> bool:
        """Whether `failures` in a row are too many."""
        return self.max_failures is not None and failures >= self.max_failures
