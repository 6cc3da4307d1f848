"""Every table. Classes end in ``Row``, to tell them from the resources they may describe."""

from reactorsync.db.models.alarms import AlarmRow, DiagnosisRow, IncidentRow
from reactorsync.db.models.audit import AuditRow
from reactorsync.db.models.base import Base
from reactorsync.db.models.fleet import ReactorRow
from reactorsync.db.models.ingest import ConsumerOffsetRow, DeadLetterRow, LostFramesRow
from reactorsync.db.models.knowledge import ChunkRow, DocumentRow
from reactorsync.db.models.resources import ResourceRow, ResourceWatermarkRow
from reactorsync.db.models.telemetry import (
    ROLLUPS,
    STATISTICS,
    Rollup,
    latest_telemetry,
    telemetry,
)

__all__ = [
    "ROLLUPS",
    "STATISTICS",
    "AlarmRow",
    "AuditRow",
    "Base",
    "ChunkRow",
    "ConsumerOffsetRow",
    "DeadLetterRow",
    "DiagnosisRow",
    "DocumentRow",
    "IncidentRow",
    "LostFramesRow",
    "ReactorRow",
    "ResourceRow",
    "ResourceWatermarkRow",
    "Rollup",
    "latest_telemetry",
    "telemetry",
]
