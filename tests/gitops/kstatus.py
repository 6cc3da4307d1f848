"""How Flux, ``kubectl apply --prune`` and others read a status: the rules of kstatus.

Source: kubernetes-sigs/cli-utils, ``pkg/kstatus/status/generic.go`` and ``core.go``.
"""

from enum import StrEnum
from typing import Any

import cel

JsonObject = dict[str, Any]


class Answer(StrEnum):
    """What a tool that waits is told."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"


def kstatus(obj: JsonObject) -> Answer:
    """Return what kstatus computes of any custom resource."""
    if obj["metadata"].get("deletionTimestamp"):
        return Answer.TERMINATING
    status = obj.get("status", {})
    if "observedGeneration" in status and _is_stale(obj):
        return Answer.IN_PROGRESS
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return Answer.IN_PROGRESS
    if conditions.get("Stalled") == "True":
        return Answer.FAILED
    if conditions.get("Ready", "True") != "True":
        return Answer.IN_PROGRESS
    return Answer.CURRENT


def flux_status(obj: JsonObject, expressions: JsonObject) -> Answer:
    """Return what Flux computes by ``healthCheckExprs``; Unknown where one cannot be evaluated.

    Source: fluxcd/pkg, ``runtime/cel/status_evaluator.go``. Flux goes on waiting while it is
    Unknown.
    """
    if "observedGeneration" in obj.get("status", {}) and _is_stale(obj):
        return Answer.IN_PROGRESS
    order = {
        "inProgress": Answer.IN_PROGRESS,
        "failed": Answer.FAILED,
        "current": Answer.CURRENT,
    }
    for name, answer in order.items():
        try:
            if name in expressions and cel.evaluate(expressions[name], obj):
                return answer
        except RuntimeError:
            return Answer.UNKNOWN
    return Answer.IN_PROGRESS


def _is_stale(obj: JsonObject) -> bool:
    return bool(obj["status"]["observedGeneration"] != obj["metadata"]["generation"])
