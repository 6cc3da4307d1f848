"""Applying manifests: plan every change first, then write, retrying where somebody was faster."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reactorsync.resources import Resource
from reactorsync.store.port import Invalid
from reactorsync.store.rules import check_update
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.console import tell
from reactorsync_local.errors import BadInput, Refused
from reactorsync_local.kinds import KindInfo, full_name, kind_of
from reactorsync_local.manifests import Manifest
from reactorsync_local.merging import changes, merged, newly

_AT_ONCE: Final = 16
_ATTEMPTS: Final = 5
_LISTED_FROM: Final = 20
"""From so many objects of a namespace on, one list is quicker than a request for each."""

_Key = tuple[str, str, str]


class Outcome(StrEnum):
    """What became of one object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """What applying a manifest comes to: ``new`` is to be written, ``old`` is stored now."""

    manifest: Manifest
    old: Resource | None
    new: Resource

    @property
    def outcome(self) -> Outcome:
        """What applying it does."""
        if self.old is None:
            return Outcome.CREATED
        return Outcome.CONFIGURED if changes(self.old, self.new) else Outcome.UNCHANGED


async def plan_changes(client: ApiClient, manifests: Sequence[Manifest]) -> list[Change]:
    """Return what applying the manifests comes to, without writing anything.

    Raises:
        BadInput: a change is not allowed; all that are not are told together.
    """
    stored = await _stored(client, manifests)
    planned = [_change(manifest, stored.get(_key(manifest))) for manifest in manifests]
    problems = [problem for change in planned if (problem := _forbidden(change)) is not None]
    if problems:
        raise BadInput("not allowed, so nothing was applied", details=problems)
    return planned


async def write_changes(
    client: ApiClient, planned: Sequence[Change], *, announce: Callable[[str], None]
) -> None:
    """Write changes, a few at once, and announce each in order.

    Raises:
        CommandError: the first failure; what was written before it, or beside it, was announced.
    """
    written = 0
    for first in range(0, len(planned), _AT_ONCE):
        batch = planned[first : first + _AT_ONCE]
        outcomes = await asyncio.gather(
            *(write_change(client, change) for change in batch), return_exceptions=True
        )
        failure: BaseException | None = None
        for change, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failure = failure or outcome
            else:
                announce(f"{full_name(change.new)} {outcome}")
                written += 1
        if failure is not None:
            if written:
                tell(f"{written} of {len(planned)} were applied, then this went wrong:")
            raise failure


async def write_change(client: ApiClient, change: Change) -> Outcome:
    """Write one change; where somebody else was faster, merge again and retry.

    Raises:
        Refused: the server does not take it, or others kept changing the object.
    """
    for attempt in range(_ATTEMPTS):
        try:
            if change.old is None:
                await client.create(change.new)
            elif change.outcome is Outcome.CONFIGURED:
                await client.replace(change.new)
        except Refused as refused:
            raced = refused.kind in {"conflict", "already-exists", "not-found"}
            if not raced or attempt == _ATTEMPTS - 1:
                raise
            change = await _planned(client, change.manifest)
        else:
            return change.outcome
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _planned(client: ApiClient, manifest: Manifest) -> Change:
    """Plan one change anew, from what is stored now."""
    return _change(manifest, (await _stored(client, [manifest])).get(_key(manifest)))


def _change(manifest: Manifest, stored: Resource | None) -> Change:
    declared = manifest.resource
    if stored is None:
        return Change(manifest, None, newly(declared))
    return Change(manifest, stored, merged(declared, stored))


async def _stored(client: ApiClient, manifests: Sequence[Manifest]) -> dict[_Key, Resource]:
    """Return what the server holds of the objects that are declared."""
    groups: dict[tuple[KindInfo, str], list[str]] = defaultdict(list)
    for manifest in manifests:
        meta = manifest.resource.metadata
        groups[kind_of(manifest.resource), meta.namespace].append(meta.name)
    found: list[Resource] = []
    for (kind, namespace), names in groups.items():
        if len(names) > _LISTED_FROM:
            found += (await client.list(kind, Selection(namespace=namespace))).items
            continue
        each = await asyncio.gather(*(client.find(kind, namespace, name) for name in names))
        found += [resource for resource in each if resource is not None]
    return {(one.kind, one.metadata.namespace, one.metadata.name): one for one in found}


def _key(manifest: Manifest) -> _Key:
    resource = manifest.resource
    return resource.kind, resource.metadata.namespace, resource.metadata.name


def _forbidden(change: Change) -> str | None:
    if change.old is None:
        return None
    try:
        check_update(change.old, change.new)
    except Invalid as error:
        return f"{change.manifest.source}: {full_name(change.new)}: {error.field}: {error.message}"
    return None
