"""The reference: an operator as kopf's documentation teaches it, run by `kopf run`.

It does the same visible work for a Reactor: publishes its desired state and reports it in the
status. It does less beside: no scenarios, no acknowledgements, no recovery of what it had sent.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import kopf

from reactorsync import clock
from reactorsync.bus.kafka import KafkaBus
from reactorsync.resources import Reactor
from reactorsync.wire.desired import DesiredReactor, default_seed
from reactorsync.wire.topics import Topics

_TOPICS = Topics(
    prefix=os.environ["REACTORSYNC_TOPIC_PREFIX"], shards=int(os.environ["REACTORSYNC_SHARDS"])
)


@kopf.on.startup()
async def connect(memo: kopf.Memo, settings: kopf.OperatorSettings, **_: Any) -> None:
    """Connect to the broker, once."""
    settings.posting.enabled = False
    memo.bus = KafkaBus(os.environ["REACTORSYNC_KAFKA_BOOTSTRAP"], session_timeout_ms=6000)
    memo.producer = memo.bus.producer(client_id="naive-operator")
    await memo.producer.start()


@kopf.on.create("reactorsync.dev", "v1alpha1", "reactors")
@kopf.on.update("reactorsync.dev", "v1alpha1", "reactors")
async def reconcile(body: kopf.Body, patch: kopf.Patch, memo: kopf.Memo, **_: Any) -> None:
    """Publish one reactor, then say that it is ready."""
    reactor = Reactor.model_validate({**body, "metadata": {**body.metadata}, "status": {}})
    meta, spec = reactor.metadata, reactor.spec
    assert meta.uid is not None
    desired = DesiredReactor(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        generation=meta.generation,
        design=spec.design,
        site=spec.site,
        power_setpoint_permille=spec.power_setpoint_permille,
        interval_milliseconds=spec.telemetry.interval_milliseconds,
        noise=spec.telemetry.noise,
        seed=spec.seed if spec.seed is not None else default_seed(meta.namespace, meta.name),
        state=spec.state,
    )
    envelope = desired.envelope(source="naive-operator", time_us=clock.now_us())
    await memo.producer.send(
        _TOPICS.reactors, desired.encode(), key=desired.key.encode(), headers=envelope.headers()
    )
    patch.status["observedGeneration"] = meta.generation
    patch.status["conditions"] = [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Published",
            "message": "",
            "observedGeneration": meta.generation,
            "lastTransitionTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
    ]


@kopf.on.cleanup()
async def disconnect(memo: kopf.Memo, **_: Any) -> None:
    """Disconnect from the broker."""
    await memo.producer.stop()
    await memo.bus.close()
