"""How many generators there are: the number the operator writes, followed once a second."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Final

from reactorsync_local.machine.parts import Part
from reactorsync_local.supervisor import LocalError, Supervisor

_PERIOD_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 15.0

log = logging.getLogger(__name__)


def wanted_generators(pool_file: Path) -> int | None:
    """Return ``replicas`` of the file, ``None`` while there is no readable one."""
    try:
        replicas = json.loads(pool_file.read_bytes())["replicas"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return replicas if type(replicas) is int and replicas >= 0 else None


async def follow_pool(supervisor: Supervisor, pool_file: Path) -> None:
    """Keep as many generators as the file says; cancel to end."""
    while True:
        pause = _PERIOD_SECONDS
        wanted = wanted_generators(pool_file)
        current = supervisor.size(Part.GENERATOR)
        if wanted is not None and wanted != current:
            log.info("generators: %d, the operator asks for %d", current, wanted)
            try:
                await supervisor.scale(Part.GENERATOR, wanted)
            except LocalError as error:
                log.warning("cannot bring the generators to %d: %s", wanted, error)
                pause = _RETRY_SECONDS
        await asyncio.sleep(pause)
