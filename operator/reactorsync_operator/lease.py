"""One leader among the replicas, by a ``coordination.k8s.io/v1`` Lease as client-go uses it.

Nobody compares clocks of two machines: a candidate measures, by its own clock, how long the record
has not changed, and takes over once that is longer than the record is good for. It counts from its
last look at the record before, a second more than it knows at most. The leader gives up seconds
earlier than that, by its own clock too.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync.service import OutageLog

log = logging.getLogger(__name__)

DURATION_SECONDS: Final = 15.0
RENEW_DEADLINE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2.0

_RELEASE_SECONDS: Final = 5.0
_TOO_LATE_SECONDS: Final = 0.01
"""Before the deadline: too little time for another attempt."""

_LOOKS_PER_RETRY: Final = 4
"""How often a candidate looks while a leader renews once: what it sees late, it takes over late."""

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_SERVER_ERROR: Final = 500


class LeadershipLost(Exception):
    """The lease could not be renewed in time, or is somebody else's; the message says which."""


class LeaseRefused(Exception):
    """The API server does not let us have the lease, and not for a moment only."""


def seconds_since_boot() -> float:
    """Return a clock that never goes back, and goes on while the machine sleeps if it can.

    A machine that slept must not wake as a leader that others have replaced meanwhile.
    """
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class LeaderLease:
    """Campaigns for a lease, then keeps it.

    ``identity`` must be this process's alone: a restarted one has another. ``duration_seconds`` is
    how long others leave a leader that they hear nothing of; ``renew_deadline_seconds`` after its
    last renewal it gives up itself; it renews every ``retry_seconds``. ``clock`` returns monotonic
    seconds; ``now`` is only for people who read the record.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration_seconds: float = DURATION_SECONDS,
        renew_deadline_seconds: float = RENEW_DEADLINE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = seconds_since_boot,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not retry_seconds < renew_deadline_seconds < duration_seconds:
            raise ValueError("a lease needs retry < renew deadline < duration")
        self.held = asyncio.Event()
        """Set from winning the lease until losing it; ask :meth:`is_held` before a write."""
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._duration_seconds = duration_seconds
        self._renew_deadline_seconds = renew_deadline_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._now = now
        self._renewed_at = float("-inf")
        self._lease: JsonObject | None = None
        self._changed_at = 0.0
        self._looked_at: float | None = None
        self._refused_since: float | None = None
        self._tried = False
        self._outage = OutageLog(log, f"lease {namespace}/{name}", clock=clock)

    @property
    def holder(self) -> str:
        """Who holds the lease, as far as is known; empty for nobody."""
        return str(_spec(self._lease).get("holderIdentity") or "")

    def is_held(self) -> bool:
        """Return whether this process leads now: false as soon as the renew deadline has passed."""
        return self.held.is_set() and self._clock() < self._deadline

    async def run(self) -> None:
        """Win the lease, then renew it; cancel to give it up at once, when all writing has ended.

        Raises:
            LeadershipLost: it could not be renewed in time, or somebody else has it. Whoever wrote
                as the leader must end.
            LeaseRefused: it cannot be had, for want of rights or of the namespace.
        """
        try:
            await self._campaign()
            log.info("%s leads by lease %s", self.identity, self._title)
            self.held.set()
            await self._keep()
        except asyncio.CancelledError:
            self.held.clear()
            await self._release()
            raise
        finally:
            self.held.clear()

    @property
    def _title(self) -> str:
        return f"{self._namespace}/{self._name}"

    @property
    def _collection(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._namespace}/leases"

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"

    @property
    def _deadline(self) -> float:
        return self._renewed_at + self._renew_deadline_seconds

    @property
    def _attempt_seconds(self) -> float:
        """How long one attempt may take, so that another one fits in before the deadline."""
        return self._renew_deadline_seconds / 2

    async def _campaign(self) -> None:
        told = ""
        while not await self._attempt(self._attempt_seconds):
            if self.holder not in ("", told):
                told = self.holder
                log.info("%s stands by: lease %s is held by %s", self.identity, self._title, told)
            look = self._retry_seconds / _LOOKS_PER_RETRY
            until_expiry = self._expires_at - self._clock() if self.holder else look
            # Candidates must not all come at once.
            jitter = 1.0 + 0.2 * random.random()  # noqa: S311 - no secret
            await asyncio.sleep(jitter * min(max(until_expiry, look / 10), look))

    async def _keep(self) -> None:
        while True:
            left = self._deadline - self._clock()
            await asyncio.sleep(min(self._retry_seconds, max(left, 0.0)))
            left = self._deadline - self._clock()
            if left < _TOO_LATE_SECONDS:
                raise LeadershipLost(
                    f"lease {self._title} could not be renewed for "
                    f"{self._renew_deadline_seconds:.0f} s"
                )
            await self._attempt(min(left, self._attempt_seconds))

    async def _attempt(self, seconds: float) -> bool:
        """Take or renew the lease; return whether it is ours. What fails is tried again."""
        begun = self._clock()
        try:
            async with asyncio.timeout(seconds):
                is_ours = await self._take_or_renew()
        except (ApiUnavailable, TimeoutError) as error:
            self._outage.fails(str(error) or "no answer in time")
            return False
        except ApiError as error:
            if error.code in (_CONFLICT, _NOT_FOUND):
                # Not what it was when we last read it.
                self._lease = None
            if error.code != _CONFLICT:
                self._outage.fails(_why(error, self._namespace))
                self._refuse(error)
            return False
        self._outage.works()
        self._refused_since = None
        if is_ours:
            # From before the request: the record says no later time.
            self._renewed_at = begun
        return is_ours

    def _refuse(self, error: ApiError) -> None:
        """Give up once refused for long: for a moment, a server that starts refuses everybody."""
        if error.code >= _SERVER_ERROR:
            return
        now = self._clock()
        self._refused_since = now if self._refused_since is None else self._refused_since
        if not self.held.is_set() and now - self._refused_since >= self._duration_seconds:
            raise LeaseRefused(
                f"cannot have lease {self._title}: {_why(error, self._namespace)}"
            ) from error

    async def _take_or_renew(self) -> bool:
        if not self.held.is_set() or self._lease is None:
            looked_at = self._clock()
            self._observe(await self._read())
            self._looked_at = looked_at
        if self._lease is None:
            self._tried = True
            self._observe(await self._client.post(self._collection, self._record()))
            return True
        if self.holder != self.identity:
            if self.held.is_set():
                raise LeadershipLost(f"lease {self._title} was taken by {self.holder or 'nobody'}")
            if self.holder and self._clock() < self._expires_at:
                return False
        self._tried = True
        self._observe(await self._client.put(self._path, self._record()))
        return True

    async def _read(self) -> JsonObject | None:
        try:
            return await self._client.get(self._path)
        except ApiError as error:
            if error.code == _NOT_FOUND:
                return None
            raise

    def _observe(self, lease: JsonObject | None) -> None:
        if self._lease is None or _spec(lease) != _spec(self._lease):
            now = self._clock()
            self._changed_at = now
            if self._lease is not None and self._looked_at is not None:
                # It may have changed right after we last looked: counted from now, a leader that
                # then died would be missed for longer than its lease is good for.
                self._changed_at = max(self._looked_at, now - self._most_credit_seconds)
        self._lease = lease

    @property
    def _most_credit_seconds(self) -> float:
        """How much longer than known a record may count as unchanged, at most.

        The leader gives up long before its record runs out; most of that time stays.
        """
        spare = self._duration_seconds - self._renew_deadline_seconds
        return min(self._retry_seconds / 2, spare / 4)

    @property
    def _expires_at(self) -> float:
        """When others may take the lease, by our clock."""
        seconds = _spec(self._lease).get("leaseDurationSeconds")
        good_for = seconds if isinstance(seconds, int) else self._duration_seconds
        return self._changed_at + good_for

    def _record(self) -> JsonObject:
        """Return the lease as it is to be: ours, renewed now."""
        spec, now = _spec(self._lease), self._timestamp()
        transitions = spec.get("leaseTransitions")
        transitions = transitions if isinstance(transitions, int) else 0
        is_renewal = self.holder == self.identity
        return self._with_spec(
            {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, round(self._duration_seconds)),
                "acquireTime": spec.get("acquireTime") if is_renewal else now,
                "renewTime": now,
                "leaseTransitions": transitions + (self._lease is not None and not is_renewal),
            }
        )

    def _with_spec(self, spec: JsonObject) -> JsonObject:
        if self._lease is not None:
            return {**self._lease, "spec": {**_spec(self._lease), **spec}}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }

    def _timestamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    async def _release(self) -> None:
        """Let others have the lease without waiting until it expires."""
        if not self._tried:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                # Read anew: a request that was cancelled may have arrived.
                self._observe(await self._read())
                if self.holder != self.identity:
                    return
                now = self._timestamp()
                freed: JsonObject = {
                    "holderIdentity": None,
                    "leaseDurationSeconds": 1,
                    "acquireTime": now,
                    "renewTime": now,
                }
                await self._client.put(self._path, self._with_spec(freed))
                log.info("%s released lease %s", self.identity, self._title)
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            log.warning("lease %s was not released and must expire: %s", self._title, error)


def _why(error: ApiError, namespace: str) -> str:
    """Return what an answer means for whoever wants the lease."""
    match error.code:
        case 404 if "namespaces " in error.message:
            return f"there is no namespace {namespace} ({error.message})"
        case 401:
            return f"the API server does not accept who we are ({error.message})"
        case 403:
            return (
                f"access refused: {error.message} (it takes the rights to get, create and update "
                "leases in that namespace)"
            )
        case _:
            return str(error)


def _spec(lease: JsonObject | None) -> JsonObject:
    spec = lease.get("spec") if lease is not None else None
    return spec if isinstance(spec, dict) else {}
