"""The port of resource stores, with the meaning Kubernetes gives each operation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from reactorsync.resources import AnomalyScenario, FieldSelector, LabelSelector, Reactor

R = TypeVar("R", Reactor, AnomalyScenario)


class StoreError(Exception):
    """Base of what a store can answer instead of a result."""


class NotFound(StoreError):
    """No such object."""


class AlreadyExists(StoreError):
    """An object of that kind, namespace and name exists."""


class Conflict(StoreError):
    """The object was changed since it was read; read it again and try again."""


class Invalid(StoreError):
    """The change breaks a rule, for example that ``spec.design`` is immutable.

    ``field`` is the dotted path of the offending field.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class WatchExpired(StoreError):
    """The version to watch from is too old: list again, then watch from the list's version."""


class Unreadable(StoreError):
    """What is stored is no valid object by this release's rules; lists and watches pass it over.

    ``field`` is the dotted path of the offending field, ``rule`` what it breaks; empty where that
    is not known.
    """

    def __init__(self, message: str, *, field: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule


class StoreUnavailable(StoreError):
    """The store cannot be reached now; trying again later may help."""


class Forbidden(StoreUnavailable):
    """The store does not let us do that; trying again helps once somebody grants it."""


class Failed(StoreUnavailable):
    """The store answered that it failed at this; it may do other things all the same."""


class WrittenInPart(StoreUnavailable):
    """The store went away in the middle: ``written`` are the objects it had stored by then."""

    def __init__(self, message: str, written: Sequence[Reactor | AnomalyScenario]) -> None:
        super().__init__(message)
        self.written = written


class WatchEventType(StrEnum):
    """What happened to a watched object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[R]):
    """A change. A bookmark carries no object, only the version the watch has reached."""

    type: WatchEventType
    object: R | None
    resource_version: str


@dataclass(frozen=True, slots=True)
class ResourceList(Generic[R]):
    """Objects and the version at which they were all true; a watch can go on from it.

    ``unreadable`` are the names, ``namespace/name``, of objects that match and cannot be read.
    """

    items: Sequence[R]
    resource_version: str
    unreadable: Set[str] = frozenset()


class ResourceStore(Protocol):
    """Keeps resources. All methods raise :class:`StoreUnavailable` when the store is away."""

    async def ping(self) -> None:
        """Ask for a sign of life."""

    async def list(
        self,
        kind: type[R],
        *,
        namespace: str | None = None,
        labels: LabelSelector | None = None,
        fields: FieldSelector | None = None,
    ) -> ResourceList[R]:
        """Return the matching objects, ordered by namespace and name."""
        ...

    async def get(self, kind: type[R], namespace: str, name: str) -> R:
        """Return one object. Raises :class:`NotFound` and :class:`Unreadable`."""
        ...

    async def create(self, resource: R) -> R:
        """Store a new object: assigns uid, generation 1, versions; its status is not taken.

        Raises :class:`AlreadyExists`.
        """
        ...

    async def replace(self, resource: R) -> R:
        """Replace spec, labels and annotations; the generation grows only if the spec changed.

        With ``metadata.resourceVersion`` set, it must be the stored one. A replacement that changes
        nothing leaves the version as it is. Raises :class:`NotFound`, :class:`Conflict`,
        :class:`Invalid`.
        """
        ...

    async def replace_status(self, resource: R) -> R:
        """Replace the status alone; same rules, never touches spec or generation."""
        ...

    async def replace_statuses(self, resources: Sequence[R]) -> Sequence[R]:
        """Replace many statuses, answered in their order; they are of one kind.

        Each object is otherwise as it was read, which spares reading it again.
        An object that is gone, or whose version does not match, is left out of the answer. Where
        this is not one transaction and the store goes away in the middle, :class:`WrittenInPart`
        tells what was stored. Raises :class:`ValueError` when an object is named twice.
        """
        ...

    async def delete(
        self,
        kind: type[R],
        namespace: str,
        name: str,
        *,
        uid: UUID | None = None,
        resource_version: str | None = None,
    ) -> R:
        """Delete an object and return its last state.

        With ``uid`` only that object, and with ``resource_version`` only at that version:
        :class:`Conflict` if another one has the name by now, or it was changed. Raises
        :class:`NotFound`, and :class:`Unreadable` when there is no state to return; the
        object is deleted then, too.
        """
        ...

    def watch(
        self, kind: type[R], *, since: str, namespace: str | None = None
    ) -> AsyncGenerator[WatchEvent[R]]:
        """Yield what changed after ``since``, without end and without a gap; close it when done.

        Changes of one object that follow each other quickly may be seen as one: the last state
        always is. Raises :class:`WatchExpired` when ``since`` is too old.
        """
        ...
