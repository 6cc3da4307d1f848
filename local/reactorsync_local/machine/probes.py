"""Asking a part how it is: ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from reactorsync_local.supervisor.ports import LOOPBACK

_TIMEOUT: Final = httpx.Timeout(2.0)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a part's probe says: whether it is ready, and what keeps it from being so."""

    ready: bool
    problems: Mapping[str, str]

    @property
    def summary(self) -> str:
        """The problems in one line, empty without any."""
        return "; ".join(f"{name}: {problem}" for name, problem in self.problems.items())


class Probes:
    """Asks parts on this machine; close it after use."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, verify=False)  # noqa: S501 - loopback

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def readiness(self, port: int) -> Readiness:
        """Return what the part that listens on ``port`` says; not ready if nothing answers."""
        try:
            answer = await self._http.get(f"http://{LOOPBACK}:{port}/readyz")
            report = answer.json()
        except (httpx.HTTPError, ValueError):
            return Readiness(False, {"probe": "does not answer"})
        problems = {str(name): str(state) for name, state in report.items() if state != "ok"}
        return Readiness(answer.status_code == httpx.codes.OK, problems)

    async def metrics(self, port: int) -> dict[str, float]:
        """Return the part's samples by name, summed up over labels; empty if nothing answers."""
        try:
            answer = await self._http.get(f"http://{LOOPBACK}:{port}/metrics")
        except httpx.HTTPError:
            return {}
        return sum_samples(answer.text) if answer.status_code == httpx.codes.OK else {}


def sum_samples(text: str) -> dict[str, float]:
    """Return the samples of Prometheus' text format, summed up over their labels."""
    totals: dict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            totals[sample.name] += sample.value
    return dict(totals)
