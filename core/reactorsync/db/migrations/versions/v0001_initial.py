"""All tables of the first release.

Revision: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SIGNALS = (
    ("neutron_power_percent", "%"),
    ("thermal_power_mw", "MW"),
    ("reactivity_pcm", "pcm"),
    ("fuel_temperature_c", "degC"),
    ("core_inlet_temperature_c", "degC"),
    ("core_outlet_temperature_c", "degC"),
    ("primary_pressure_mpa", "MPa"),
    ("primary_flow_kg_s", "kg/s"),
    ("pressurizer_level_percent", "%"),
    ("control_rod_position_percent", "%"),
    ("liquid_zone_level_percent", "%"),
    ("boron_concentration_ppm", "ppm"),
    ("steam_pressure_mpa", "MPa"),
    ("steam_generator_level_percent", "%"),
    ("steam_flow_kg_s", "kg/s"),
    ("feedwater_flow_kg_s", "kg/s"),
    ("generator_power_mw", "MW"),
    ("containment_pressure_kpa", "kPa"),
    ("pump_vibration_mm_s", "mm/s"),
)
STATISTICS = ("min", "max", "mean", "last")
ROLLUPS = ("telemetry_10s", "telemetry_1min", "telemetry_1h")


def upgrade() -> None:
    """Create every table, index and view."""
    # Whoever may not create it can have it created beforehand: then this asks for no right.
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    _create_fleet()
    _create_telemetry()
    _create_rollups()
    _create_latest_telemetry()
    _create_resources()
    _create_alarms()
    _create_knowledge()
    _create_ingest()
    _create_audit()


def downgrade() -> None:
    """Drop all of it. The extension stays: others may use it."""
    op.execute("DROP VIEW latest_telemetry")
    for table in (
        "audit",
        "lost_frames",
        "dead_letter",
        "consumer_offset",
        "chunk",
        "document",
        "diagnosis",
        "alarm",
        "incident",
        "resource_watermark",
        "resource",
        *ROLLUPS,
        "telemetry",
        "reactor",
    ):
        op.drop_table(table)


def _reading(name: str, unit: str) -> sa.Column[float]:
    return sa.Column(
        name,
        sa.REAL(),
        server_default=sa.text("'NaN'::real"),
        nullable=False,
        comment=f"{unit}; 'NaN' where there is no reading",
    )


def _create_telemetry() -> None:
    op.create_table(
        "telemetry",
        sa.Column("reactor_id", sa.Integer(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False, comment="Time of the tick"),
        sa.Column(
            "trip_cause",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="Code of the first-out cause of the trip, 0 while not tripped",
        ),
        *(_reading(name, unit) for name, unit in SIGNALS),
        sa.PrimaryKeyConstraint("reactor_id", "ts"),
        postgresql_partition_by="RANGE (ts)",
        comment=(
            "One row per reactor and tick. A reading that does not exist is 'NaN', never null, so "
            "that all rows have one size. reactor_id has no foreign key: it would cost a look-up "
            "per row"
        ),
    )


def _create_rollups() -> None:
    for rollup in ROLLUPS:
        op.create_table(
            rollup,
            sa.Column("reactor_id", sa.Integer(), nullable=False),
            sa.Column(
                "ts", sa.DateTime(timezone=True), nullable=False, comment="Start of the bucket"
            ),
            sa.Column(
                "count", sa.Integer(), nullable=False, comment="Rows of telemetry in the bucket"
            ),
            *(
                _reading(f"{name}_{statistic}", unit)
                for name, unit in SIGNALS
                for statistic in STATISTICS
            ),
            sa.PrimaryKeyConstraint("reactor_id", "ts"),
            postgresql_partition_by="RANGE (ts)",
            comment=(
                "Telemetry summed up per reactor and bucket, written along with it and never "
                "again: it outlives the rows it was made of"
            ),
        )


def _create_latest_telemetry() -> None:
    """One index probe per reactor, newest partition first; ``DISTINCT ON`` reads every row."""
    readings = ", ".join(f"t.{name}" for name, _ in SIGNALS)
    op.execute(
        f"""
        CREATE VIEW latest_telemetry AS
        SELECT r.id AS reactor_id, r.namespace, r.name, t.ts, t.trip_cause, {readings}
        FROM reactor r
        CROSS JOIN LATERAL (
            SELECT * FROM telemetry WHERE telemetry.reactor_id = r.id
            ORDER BY telemetry.ts DESC LIMIT 1
        ) t
        WHERE r.deleted_at IS NULL
        """  # noqa: S608 - the names stand above
    )
    op.execute(
        "COMMENT ON VIEW latest_telemetry IS "
        "'The newest row of each reactor that exists and has one'"
    )


def _create_fleet() -> None:
    op.create_table(
        "reactor",
        sa.Column(
            "id",
            sa.Integer(),
            sa.Identity(always=True),
            nullable=False,
            comment="Short key that telemetry rows carry",
        ),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "uid",
            sa.Uuid(),
            comment="UID of the resource that last had the name; null until its resource was read",
        ),
        sa.Column("design", sa.Text(), comment="spec.design; null until it was read"),
        sa.Column("site_name", sa.Text()),
        sa.Column("latitude", sa.Double(), comment="Degrees north, WGS 84"),
        sa.Column("longitude", sa.Double(), comment="Degrees east, WGS 84"),
        sa.Column("country", sa.Text(), comment="ISO 3166-1 alpha-2"),
        sa.Column("interval_ms", sa.Integer(), comment="Time between two readings, ms"),
        sa.Column(
            "first_seen",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            comment="When the resource was deleted; null while it exists",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("namespace", "name"),
        comment="Dimension of all time series: one row per reactor ever seen",
    )


def _create_resources() -> None:
    op.create_table(
        "resource",
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "generation", sa.BigInteger(), nullable=False, comment="Grows when the spec changes"
        ),
        sa.Column(
            "resource_version",
            sa.BigInteger(),
            nullable=False,
            comment="Grows with every change; unique and in commit order over all resources",
        ),
        sa.Column(
            "created_version",
            sa.BigInteger(),
            nullable=False,
            comment="resource_version of the creation",
        ),
        sa.Column("labels", postgresql.JSONB(), nullable=False),
        sa.Column("annotations", postgresql.JSONB(), nullable=False),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("status", postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), comment="Set on tombstones"),
        sa.PrimaryKeyConstraint("uid"),
        comment=(
            "Resources where there is no Kubernetes; deleted ones stay for a while as tombstones, "
            "so that watches learn of it"
        ),
    )
    op.create_index("ix_resource_kind_resource_version", "resource", ["kind", "resource_version"])
    op.create_index(
        "ix_resource_labels",
        "resource",
        ["labels"],
        postgresql_using="gin",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_resource_tombstones",
        "resource",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "uq_resource_name",
        "resource",
        ["kind", "namespace", "name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "resource_watermark",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "current_version",
            sa.BigInteger(),
            nullable=False,
            comment="resource_version last given out",
        ),
        sa.Column(
            "trimmed_version",
            sa.BigInteger(),
            nullable=False,
            comment="Highest version of a removed tombstone: watches cannot start below it",
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_resource_watermark_single_row")),
        sa.PrimaryKeyConstraint("id"),
        comment="One row. Every writer of resources updates it first, and so waits its turn",
    )
    op.execute("INSERT INTO resource_watermark VALUES (1, 0, 0)")


def _create_alarms() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reactor_id", sa.Integer(), comment="Null when several reactors share the cause"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("severity", sa.SmallInteger(), nullable=False, comment="1 is worst, 4 is least"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["reactor_id"], ["reactor.id"]),
        sa.PrimaryKeyConstraint("id"),
        comment="Alarms of one cause, from the first raised to the last cleared",
    )
    op.create_index(
        "ix_incident_open",
        "incident",
        ["reactor_id"],
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_incident_opened_at", "incident", ["opened_at"])
    op.create_table(
        "alarm",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reactor_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.BigInteger()),
        sa.Column("signal", sa.Text(), comment="Null when the whole plant is meant"),
        sa.Column(
            "condition",
            sa.Text(),
            nullable=False,
            comment="LowLow, Low, High, HighHigh, Rate, Stale, ...",
        ),
        sa.Column("severity", sa.SmallInteger(), nullable=False, comment="1 is worst, 4 is least"),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("value", sa.REAL(), comment="Reading that raised it"),
        sa.Column("threshold", sa.REAL(), comment="Limit that it passed"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True)),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True)),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("comment", sa.Text(), comment="What the person who acknowledged wrote"),
        sa.Column(
            "shelved_until", sa.DateTime(timezone=True), comment="Not shown before this time"
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["reactor_id"], ["reactor.id"]),
        sa.PrimaryKeyConstraint("id"),
        comment="At most one alarm is open per reactor, signal and condition",
    )
    op.create_index("ix_alarm_incident_id", "alarm", ["incident_id"])
    op.create_index("ix_alarm_raised_at", "alarm", ["raised_at"])
    op.create_index("ix_alarm_reactor_id_raised_at", "alarm", ["reactor_id", "raised_at"])
    op.create_index(
        "uq_alarm_open",
        "alarm",
        ["reactor_id", "signal", "condition"],
        unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "diagnosis",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reactor_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.BigInteger()),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("method", sa.Text(), nullable=False, comment="How the hypotheses were ranked"),
        sa.Column("model", sa.Text(), comment="Language model; null when made offline"),
        sa.Column(
            "hypotheses",
            postgresql.JSONB(),
            nullable=False,
            comment="Best first: fault, score, for, against",
        ),
        sa.Column(
            "evidence",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="Signal, window, value, threshold",
        ),
        sa.Column("explanation", sa.Text()),
        sa.Column(
            "citations",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="Documents and evidence the text rests on",
        ),
        sa.Column(
            "detail", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["reactor_id"], ["reactor.id"]),
        sa.PrimaryKeyConstraint("id"),
        comment="Ranked hypotheses with their evidence, and their explanation",
    )
    op.create_index("ix_diagnosis_incident_id", "diagnosis", ["incident_id"])
    op.create_index("ix_diagnosis_reactor_id_made_at", "diagnosis", ["reactor_id", "made_at"])


def _create_knowledge() -> None:
    op.create_table(
        "document",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False, comment="Stable name that citations use"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="Procedure, manual, incident report, ..."
        ),
        sa.Column("uri", sa.Text()),
        sa.Column("licence", sa.Text()),
        sa.Column(
            "trust",
            sa.Text(),
            nullable=False,
            comment="Who vouches for it: Curated, Operator or External",
        ),
        sa.Column(
            "content_hash", sa.Text(), nullable=False, comment="SHA-256 of the text, hexadecimal"
        ),
        sa.Column(
            "attributes", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source_id"),
        comment="Texts that answers may cite",
    )
    op.create_table(
        "chunk",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "ordinal", sa.Integer(), nullable=False, comment="Position in the document, from 0"
        ),
        sa.Column("heading", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "setweight(to_tsvector('english'::regconfig, heading), 'A') || "
                "setweight(to_tsvector('english'::regconfig, text), 'C')",
                persisted=True,
            ),
            nullable=False,
            comment="Words of heading (weight A) and text (weight C)",
        ),
        sa.Column(
            "embedding", HALFVEC(384), comment="Null until embedded; vectors of one model only"
        ),
        sa.Column("embedding_model", sa.Text(), comment="Model the vector comes from"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("document_id", "ordinal"),
        comment="Passages of documents, indexed for full-text and vector search",
    )
    op.create_index(
        "ix_chunk_embedding",
        "chunk",
        ["embedding"],
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "halfvec_cosine_ops"},
        postgresql_with={"m": 16, "ef_construction": 64},
    )
    op.create_index("ix_chunk_search", "chunk", ["search"], postgresql_using="gin")


def _create_ingest() -> None:
    op.create_table(
        "consumer_offset",
        sa.Column("consumer_group", sa.Text(collation="C"), nullable=False),
        sa.Column("topic", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "incarnation",
            sa.Text(collation="C"),
            nullable=False,
            comment="Cluster id of the broker: offsets mean nothing in another incarnation",
        ),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column(
            "next_offset", sa.BigInteger(), nullable=False, comment="First offset not yet stored"
        ),
        sa.Column(
            "owner_epoch",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Raised by each new owner: fences the one before",
        ),
        sa.PrimaryKeyConstraint("consumer_group", "topic", "incarnation", "partition"),
        comment="Offsets, moved by compare-and-swap in the transaction that stores the rows",
    )
    op.create_table(
        "dead_letter",
        sa.Column("topic", sa.Text(collation="C"), nullable=False),
        sa.Column("incarnation", sa.Text(collation="C"), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary()),
        sa.Column(
            "headers",
            postgresql.JSONB(),
            nullable=False,
            comment="Pairs of name and value, in order; values are base64 of their bytes",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="Malformed, UnsupportedVersion, SchemaMismatch, ...",
        ),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "mirrored_at",
            sa.DateTime(timezone=True),
            comment="When it was sent to the dead-letter topic; null until then",
        ),
        sa.PrimaryKeyConstraint("topic", "incarnation", "partition", "offset"),
        comment="Records that could not be processed, in the transaction that passes them",
    )
    op.create_index(
        "ix_dead_letter_unmirrored",
        "dead_letter",
        ["seen_at"],
        postgresql_where=sa.text("mirrored_at IS NULL"),
    )
    op.create_table(
        "lost_frames",
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column(
            "run",
            sa.Text(collation="C"),
            nullable=False,
            comment="Life of the generator process that made them",
        ),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="How many frames are missing"),
        sa.Column(
            "noticed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("cause", sa.Text(), nullable=False, comment="SequenceGap, BrokerRestart, ..."),
        sa.PrimaryKeyConstraint("shard", "run", "first_sequence"),
        comment="Gaps in the sequence of frames, or what a volatile broker forgot",
    )
    op.create_index("ix_lost_frames_noticed_at", "lost_frames", ["noticed_at"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "actor", sa.Text(), nullable=False, comment="Who: user name, token name or anonymous"
        ),
        sa.Column("role", sa.Text(), nullable=False, comment="Role the actor had at that time"),
        sa.Column(
            "channel", sa.Text(), nullable=False, comment="Way it came in: api, mcp, cli, ..."
        ),
        sa.Column(
            "action", sa.Text(), nullable=False, comment="create, replace, delete, acknowledge, ..."
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="What it was done to"),
        sa.Column("namespace", sa.Text(), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "outcome", sa.Text(), nullable=False, comment="Done, Denied, Invalid, Conflict, ..."
        ),
        sa.Column("request_id", sa.Text()),
        sa.Column(
            "detail", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Every write that somebody asked for, granted or not",
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_kind_namespace_name_at", "audit", ["kind", "namespace", "name", "at"])
