"""Kafka and Postgres on one machine with nothing installed but Python packages.

`broker` and `postgres` each describe a `Service`; the supervisor runs it like any other process.
"""

from reactorsync_local.embedded.broker import BrokerUnavailable, EmbeddedBroker, cluster_id_of
from reactorsync_local.embedded.cluster import PostgresUnavailable
from reactorsync_local.embedded.postgres import EmbeddedPostgres

__all__ = [
    "BrokerUnavailable",
    "EmbeddedBroker",
    "EmbeddedPostgres",
    "PostgresUnavailable",
    "cluster_id_of",
]
