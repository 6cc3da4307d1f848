"""The operator process: ``reactorsync-operator``."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from reactorsync.bus.kafka import KafkaBus
from reactorsync.kube import Cluster, KubeClient, KubeConfigError, load_cluster
from reactorsync.service import EXIT_SETTINGS, Readiness, heed_signals, load_settings, run_part
from reactorsync.store.kubernetes import KubernetesStore
from reactorsync_operator.api_requests import counting
from reactorsync_operator.app import Operator
from reactorsync_operator.leadership import MayWrite, NotLeading, check
from reactorsync_operator.lease import LeaderLease, LeadershipLost, LeaseRefused
from reactorsync_operator.pool import GeneratorPool, ScalePool
from reactorsync_operator.recorder import EventRecorder
from reactorsync_operator.settings import OperatorSettings
from reactorsync_operator.watcher import Views, WatchEnded

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "reactorsync-operator"

EXIT_ANEW: Final = 3
"""The process has to start anew: the lease was lost, or the watch ended."""

WRITERS: Final = 32
"""Statuses that are written to an API server at the same time."""


async def operate(
    settings: OperatorSettings, stopping: asyncio.Event, readiness: Readiness
) -> None:
    """Reconcile the resources of the control plane that is set, until ``stopping``.

    Raises:
        KubeConfigError: it is not clear which API server to use.
        BaseExceptionGroup: see :meth:`Operator.run`.
    """
    bus = KafkaBus(settings.kafka_bootstrap, session_timeout_ms=settings.kafka_session_timeout_ms)
    try:
        if settings.control_plane == "kubernetes":
            cluster = load_cluster(settings.kubeconfig, context=settings.kube_context)
            await operate_on_kubernetes(settings, stopping, readiness, bus=bus, cluster=cluster)
        else:
            await _operate_on_postgres(settings, stopping, readiness, bus)
    finally:
        await bus.close()


async def _operate_on_postgres(
    settings: OperatorSettings, stopping: asyncio.Event, readiness: Readiness, bus: KafkaBus
) -> None:
    # Here, and kopf further down: each mode does without what the other one needs, and its memory.
    from reactorsync.db.engine import create_engine
    from reactorsync.store.postgres import PostgresStore

    assert settings.database_url is not None  # noqa: S101 - the settings check that
    engine = create_engine(settings.database_url, application_name=FIELD_MANAGER)
    store = PostgresStore(engine, resync_seconds=settings.resync_seconds)
    try:
        await Operator(settings, store=store, bus=bus, readiness=readiness).run(stopping)
    finally:
        await engine.dispose()


async def operate_on_kubernetes(
    settings: OperatorSettings,
    stopping: asyncio.Event,
    readiness: Readiness,
    *,
    bus: KafkaBus,
    cluster: Cluster,
    made: Callable[[Operator], None] = lambda _: None,
) -> None:
    """Reconcile the custom resources of a cluster; ``made`` gets the operator before it runs."""
    from reactorsync_operator.edge.feed import KopfFeed
    from reactorsync_operator.edge.invalid_specs import InvalidSpecs

    lease_namespace = settings.lease_namespace or cluster.namespace
    # A process that was restarted is another one: what it knew of the lease is gone.
    identity = f"{settings.identity}_{secrets.token_hex(4)}"
    # Renewals and pings must not stand in line behind statuses.
    async with AsyncExitStack() as closing:
        urgent = await closing.enter_async_context(
            KubeClient(cluster, field_manager=FIELD_MANAGER, connections=4, traces=[counting()])
        )
        lease = LeaderLease(
            urgent, namespace=lease_namespace, name=settings.lease_name, identity=identity
        )
        client = await closing.enter_async_context(
            KubeClient(
                cluster,
                field_manager=FIELD_MANAGER,
                connections=WRITERS,
                traces=[counting()],
                # Between two attempts the lease may have been lost.
                before_change=partial(check, lease.is_held),
            )
        )
        recorder = EventRecorder(client, instance=identity, may_write=lease.is_held)
        invalid = InvalidSpecs(client, may_write=lease.is_held, told=recorder.record_invalid)

        def feed(views: Views) -> KopfFeed:
            return KopfFeed(
                urgent,
                views,
                namespaces=settings.served_namespaces,
                sweep_seconds=settings.sweep_seconds,
                inactivity_seconds=settings.watch_inactivity_seconds,
                clock=time.monotonic,
                spawned=lambda: heed_signals(stopping),
                invalid=invalid,
            )

        def scaled(may_write: MayWrite) -> GeneratorPool:
            return ScalePool(
                client,
                namespace=settings.generator_namespace or lease_namespace,
                workload=settings.generator_workload or "",
                may_write=may_write,
            )

        operator = Operator(
            settings,
            store=KubernetesStore(client, namespaces=settings.served_namespaces),
            bus=bus,
            readiness=readiness,
            feed=feed,
            lease=lease,
            pool=scaled if settings.generator_workload is not None else None,
            recorder=recorder,
            writers=WRITERS,
            batch=1,
            while_leading=[invalid.run],
            leaves_alone=invalid.has_reactor,
        )
        made(operator)
        await operator.run(stopping)


def main() -> None:
    """Run until SIGTERM or SIGINT, or until the process has to start anew (exit status 3)."""
    settings = load_settings(OperatorSettings)

    async def part(stopping: asyncio.Event, readiness: Readiness) -> None:
        await operate(settings, stopping, readiness)

    try:
        run_part(part, settings)
    except KubeConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_SETTINGS) from error
    except BaseExceptionGroup as group:
        expected, rest = group.split(_asks_for_a_new_start)
        if rest is not None or expected is None:
            raise
        log.error("starting anew: %s", _leaf(expected))
        raise SystemExit(EXIT_ANEW) from group


def _asks_for_a_new_start(error: BaseException) -> bool:
    return isinstance(error, LeadershipLost | LeaseRefused | NotLeading | WatchEnded)


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main()
