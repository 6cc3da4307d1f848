"""What plans come to: where desired state goes, and where statuses go."""

from __future__ import annotations

from typing import Protocol

from reactorsync.resources import AnomalyScenario, Reactor
from reactorsync.wire.desired import DesiredReactor
from reactorsync_operator.fleet import WorkKey
from reactorsync_operator.reconcile.observed import Publication


class DesiredStates(Protocol):
    """Where desired state goes."""

    def offer(self, desired: DesiredReactor) -> None:
        """Make this the desired state of a reactor."""

    def withdraw(self, key: str) -> None:
        """Say that a reactor no longer exists."""

    def offered(self, key: str) -> Publication | None:
        """Return what was last offered for a reactor, and since when it is the same."""
        ...

    def publication(self, key: str) -> Publication | None:
        """Return what was last delivered for a reactor, and when."""
        ...


class Statuses(Protocol):
    """Where statuses go."""

    def offer(self, resource: Reactor | AnomalyScenario, *, urgent: bool = False) -> None:
        """Write the status of ``resource``, which otherwise is as it was read, soon."""

    def withdraw(self, key: WorkKey) -> None:
        """Write nothing for an object."""

    def forget(self, key: WorkKey) -> None:
        """Drop all that is known of an object that is gone."""

    def delete(self, resource: AnomalyScenario) -> None:
        """Delete a scenario, unless another one has its name by now."""
