"""The lease: one leader at a time, whatever happens to the network, the clock or the record."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import cast

import pytest

from reactorsync.kube import ApiError, ApiUnavailable, JsonObject, KubeClient
from reactorsync_operator.lease import (
    DURATION_SECONDS,
    RENEW_DEADLINE_SECONDS,
    LeaderLease,
    LeadershipLost,
    LeaseRefused,
)

WITHIN_SECONDS = 20.0


@asynccontextmanager
async def campaigning(*leases: LeaderLease) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Candidates that run, until the context ends."""
    tasks = [asyncio.create_task(lease.run()) for lease in leases]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def leader_of(*leases: LeaderLease) -> LeaderLease:
    async with asyncio.timeout(WITHIN_SECONDS):
        while True:
            leaders = [lease for lease in leases if lease.is_held()]
            if leaders:
                (leader,) = leaders
                return leader
            await asyncio.sleep(0.01)


class TestOnAnApiServer:
    """Quick leases, so that nobody waits."""

    @staticmethod
    def candidate(kube: KubeClient, namespace: str, identity: str) -> LeaderLease:
        return LeaderLease(
            kube,
            namespace=namespace,
            name="operator",
            identity=identity,
            duration_seconds=2.0,
            renew_deadline_seconds=1.0,
            retry_seconds=0.2,
        )

    @staticmethod
    async def record(kube: KubeClient, namespace: str) -> JsonObject:
        lease = await kube.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/operator"
        )
        return cast("JsonObject", lease["spec"])

    async def test_of_two_candidates_one_leads_and_writes_its_name(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        one, two = (self.candidate(kube, kube_namespace, name) for name in ("one", "two"))

        async with campaigning(one, two):
            leader = await leader_of(one, two)
            first = await self.record(kube, kube_namespace)
            await asyncio.sleep(1.0)
            later = await self.record(kube, kube_namespace)

            assert first["holderIdentity"] == leader.identity
            assert first["leaseDurationSeconds"] == 2
            assert first["leaseTransitions"] == 0
            assert later["holderIdentity"] == leader.identity
            assert later["acquireTime"] == first["acquireTime"]
            assert str(later["renewTime"]) > str(first["renewTime"])
            assert leader.is_held()
            assert not (one.is_held() and two.is_held())

    async def test_stopped_in_good_order_the_other_leads_at_once(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        one, two = (self.candidate(kube, kube_namespace, name) for name in ("one", "two"))
        clock = asyncio.get_running_loop().time

        async with campaigning(one) as [running]:
            await leader_of(one)
            async with campaigning(two):
                await asyncio.sleep(0.3)
                stopped_at = clock()
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
                assert not one.is_held()
                assert (await self.record(kube, kube_namespace)).get("holderIdentity") != "one"

                await leader_of(two)

                assert clock() - stopped_at < 1.0
                assert (await self.record(kube, kube_namespace))["leaseTransitions"] == 1

    async def test_a_deleted_lease_is_made_anew(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        lease = self.candidate(kube, kube_namespace, "one")
        async with campaigning(lease) as [running]:
            await leader_of(lease)

            await kube.delete(
                f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases/operator"
            )
            await asyncio.sleep(1.5)

            assert lease.is_held()
            assert not running.done()
            assert (await self.record(kube, kube_namespace))["holderIdentity"] == "one"

    async def test_a_lease_that_somebody_took_is_lost(
        self, kube: KubeClient, kube_namespace: str
    ) -> None:
        lease = self.candidate(kube, kube_namespace, "one")
        async with campaigning(lease) as [running]:
            await leader_of(lease)

            await kube.merge_patch(
                f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases/operator",
                {"spec": {"holderIdentity": "somebody"}},
            )

            with pytest.raises(LeadershipLost, match="taken by somebody"):
                await asyncio.wait_for(running, WITHIN_SECONDS)
            assert not lease.is_held()
            assert not lease.held.is_set()


@dataclass
class LeaseApi:
    """The API of one lease, with optimistic concurrency, in the loop's own time."""

    stored: JsonObject | None = None
    version: int = 0
    failure: Exception | None = None
    hangs: bool = False
    writes: list[tuple[float, str]] = field(default_factory=list)

    async def get(self, path: str) -> JsonObject:
        await self._answer()
        if self.stored is None:
            raise ApiError(404, "NotFound", "no such lease")
        return deepcopy(self.stored)

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        await self._answer()
        if self.stored is not None:
            raise ApiError(409, "AlreadyExists", "there is one")
        return self._store(body)

    async def put(self, path: str, body: JsonObject) -> JsonObject:
        await self._answer()
        metadata = cast("JsonObject", body["metadata"])
        if self.stored is None or metadata["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "the lease has changed")
        return self._store(body)

    async def _answer(self) -> None:
        await asyncio.sleep(0.01)
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure

    def _store(self, body: JsonObject) -> JsonObject:
        self.version += 1
        stored = deepcopy(body)
        cast("JsonObject", stored["metadata"])["resourceVersion"] = str(self.version)
        self.stored = stored
        spec = cast("JsonObject", stored["spec"])
        time = asyncio.get_running_loop().time()
        self.writes.append((time, str(spec.get("holderIdentity") or "")))
        return deepcopy(stored)


@pytest.mark.looptime
class TestInTime:
    """The real times, 15, 10 and 2 seconds, on a clock that jumps."""

    @staticmethod
    def candidate(api: LeaseApi, identity: str) -> LeaderLease:
        return LeaderLease(
            cast("KubeClient", api),
            namespace="default",
            name="operator",
            identity=identity,
            clock=asyncio.get_running_loop().time,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    @pytest.fixture
    def api(self) -> LeaseApi:
        return LeaseApi()

    async def test_renews_every_two_seconds(self, api: LeaseApi) -> None:
        lease = self.candidate(api, "one")
        async with campaigning(lease):
            await asyncio.sleep(60)

            assert lease.is_held()
            assert len(api.writes) == pytest.approx(30, abs=1)

    async def test_is_not_held_once_it_could_not_be_renewed_in_time(self, api: LeaseApi) -> None:
        lease = self.candidate(api, "one")
        async with campaigning(lease) as [running]:
            await asyncio.sleep(5)
            api.failure = ApiUnavailable("refused")
            last_renewal = api.writes[-1][0]

            with pytest.raises(LeadershipLost, match="10 s"):
                await running

            assert self._now() - last_renewal <= RENEW_DEADLINE_SECONDS + 0.01
            assert not lease.is_held()

    async def test_goes_on_after_an_outage_shorter_than_the_deadline(self, api: LeaseApi) -> None:
        lease = self.candidate(api, "one")
        async with campaigning(lease) as [running]:
            for outage in (ApiUnavailable("refused"), ApiError(500, "InternalError", "etcd")):
                await asyncio.sleep(5)
                api.failure = outage
                await asyncio.sleep(7)
                api.failure = None
            await asyncio.sleep(5)

            assert lease.is_held()
            assert not running.done()

    async def test_one_request_that_hangs_does_not_cost_the_lease(self, api: LeaseApi) -> None:
        lease = self.candidate(api, "one")
        async with campaigning(lease) as [running]:
            await asyncio.sleep(5)
            api.hangs = True
            await asyncio.sleep(4)
            api.hangs = False
            await asyncio.sleep(10)

            assert lease.is_held()
            assert not running.done()

    async def test_a_leader_that_vanishes_is_replaced_when_its_lease_expires(
        self, api: LeaseApi
    ) -> None:
        vanished, standby = self.candidate(api, "vanished"), self.candidate(api, "standby")
        gone = LeaseApi()
        async with campaigning(vanished) as [running]:
            await leader_of(vanished)
            async with campaigning(standby):
                await asyncio.sleep(7)
                api.writes.clear()
                vanished._client = cast("KubeClient", gone)
                gone.failure = ApiUnavailable("cut off")
                cut_off_at = self._now()
                while not standby.is_held():
                    assert not (vanished.is_held() and standby.is_held())
                    await asyncio.sleep(0.05)

                took = self._now() - cut_off_at
                assert RENEW_DEADLINE_SECONDS < took <= DURATION_SECONDS + 1.0
                assert running.done()

    @pytest.mark.parametrize("since_renewal", [0.0, 0.6, 1.3, 1.9])
    async def test_failing_over_takes_hardly_longer_than_the_lease_is_good_for(
        self, api: LeaseApi, since_renewal: float
    ) -> None:
        leader, standby = self.candidate(api, "leader"), self.candidate(api, "standby")
        async with campaigning(leader):
            await leader_of(leader)
            async with campaigning(standby):
                await asyncio.sleep(7)
                count = len(api.writes)
                while len(api.writes) == count:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(since_renewal)
                renewed_at = api.writes[-1][0]
                leader._client = cast("KubeClient", LeaseApi())
                while not standby.is_held():
                    await asyncio.sleep(0.01)
                assert self._now() - renewed_at < DURATION_SECONDS + 0.2
                assert self._now() - renewed_at > DURATION_SECONDS - 1.01

    async def test_a_candidate_that_was_cut_off_does_not_take_a_lease_that_was_renewed(
        self, api: LeaseApi
    ) -> None:
        leader, standby = self.candidate(api, "leader"), self.candidate(api, "standby")
        async with campaigning(leader):
            await leader_of(leader)
            async with campaigning(standby):
                for _ in range(3):
                    await asyncio.sleep(7)
                    cut_off = LeaseApi()
                    cut_off.failure = ApiUnavailable("cut off")
                    standby._client = cast("KubeClient", cut_off)
                    await asyncio.sleep(40)
                    standby._client = cast("KubeClient", api)
                await asyncio.sleep(30)
                assert leader.is_held()
                assert {holder for _, holder in api.writes} == {"leader"}

    async def test_a_candidate_trusts_its_own_clock_and_no_time_in_the_record(
        self, api: LeaseApi
    ) -> None:
        api.stored = {
            "metadata": {"name": "operator", "resourceVersion": "0"},
            "spec": {
                "holderIdentity": "somebody",
                "leaseDurationSeconds": 15,
                "renewTime": "1999-01-01T00:00:00.000000Z",
                "leaseTransitions": 3,
            },
        }
        lease = self.candidate(api, "one")

        async with campaigning(lease):
            await asyncio.sleep(14.9)
            assert not lease.is_held()
            await asyncio.sleep(1.0)
            assert lease.is_held()

        spec = cast("JsonObject", api.stored["spec"])
        assert spec["leaseTransitions"] == 4

    async def test_a_lease_that_was_released_is_free_at_once(self, api: LeaseApi) -> None:
        async with campaigning(self.candidate(api, "one")):
            await asyncio.sleep(3)
        released_at = self._now()

        two = self.candidate(api, "two")
        async with campaigning(two):
            await leader_of(two)

            assert self._now() - released_at < 0.1
        assert [holder for _, holder in api.writes][-2:] == ["two", ""]

    async def test_many_candidates_never_lead_at_once(self, api: LeaseApi) -> None:
        leases = [self.candidate(api, str(number)) for number in range(8)]
        async with campaigning(*leases) as running:
            for _ in range(4):
                leader = await leader_of(*leases)
                for _ in range(300):
                    assert sum(lease.is_held() for lease in leases) <= 1
                    await asyncio.sleep(0.1)
                number = leases.index(leader)
                running[number].cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running[number]

        holders = [holder for _, holder in api.writes if holder]
        assert len(set(holders)) == 4

    async def test_rights_that_stay_away_are_named(self, api: LeaseApi) -> None:
        api.failure = ApiError(403, "Forbidden", "leases is forbidden")
        lease = self.candidate(api, "one")

        with pytest.raises(LeaseRefused, match=r"default/operator.*rights to get, create and upd"):
            await lease.run()

        assert self._now() == pytest.approx(DURATION_SECONDS, abs=1.0)

    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (ApiError(404, "NotFound", 'namespaces "default" not found'), "no namespace default"),
            (ApiError(401, "Unauthorized", "Unauthorized"), "does not accept who we are"),
            (ApiError(403, "Forbidden", "leases is forbidden"), "access refused"),
        ],
        ids=["404", "401", "403"],
    )
    async def test_what_is_wrong_is_said_once_and_nobody_is_said_to_hold_it(
        self, api: LeaseApi, caplog: pytest.LogCaptureFixture, error: ApiError, meaning: str
    ) -> None:
        caplog.set_level(logging.INFO)
        api.failure = error
        lease = self.candidate(api, "one")
        async with campaigning(lease):
            await asyncio.sleep(12)
            api.failure = None
            await asyncio.sleep(2)
        lines = [one.getMessage() for one in caplog.records]
        assert sum(meaning in line for line in lines) == 1
        assert sum("works again" in line for line in lines) == 1
        assert not [line for line in lines if "is held by" in line]

    async def test_rights_that_come_late_are_waited_for(self, api: LeaseApi) -> None:
        api.failure = ApiError(403, "Forbidden", "no RBAC rules yet")
        lease = self.candidate(api, "one")
        async with campaigning(lease):
            await asyncio.sleep(5)
            api.failure = None
            await asyncio.sleep(1)

            assert lease.is_held()


@pytest.mark.parametrize(
    ("duration", "deadline", "retry"), [(10.0, 15.0, 2.0), (15.0, 10.0, 10.0), (15.0, 15.0, 2.0)]
)
def test_times_must_leave_room_for_each_other(
    duration: float, deadline: float, retry: float
) -> None:
    with pytest.raises(ValueError, match="retry < renew deadline < duration"):
        LeaderLease(
            cast("KubeClient", LeaseApi()),
            namespace="default",
            name="operator",
            identity="one",
            duration_seconds=duration,
            renew_deadline_seconds=deadline,
            retry_seconds=retry,
        )
