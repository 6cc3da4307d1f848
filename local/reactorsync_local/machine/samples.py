"""The sample fleet: applied at the first start, so that there is something to see."""

from __future__ import annotations

from pathlib import Path

from reactorsync_local.applying import plan_changes, write_changes
from reactorsync_local.client import ApiClient, Selection
from reactorsync_local.manifests import read_manifests
from reactorsync_local.server import Server


def find_sample_fleet() -> Path | None:
    """Return ``samples/fleet`` of the checkout this runs from, ``None`` where there is none."""
    checkout = Path(__file__).resolve().parents[3]
    for root in (checkout, Path.cwd()):
        folder = root / "samples" / "fleet"
        if folder.is_dir():
            return folder
    return None


async def apply_sample_fleet(server: Server, folder: Path) -> int:
    """Declare the reactors of ``folder`` unless there are any already; return how many."""
    async with ApiClient(server) as client:
        if await client.reactors(Selection()):
            return 0
        planned = await plan_changes(client, read_manifests([str(folder)]))
        await write_changes(client, planned, announce=lambda _: None)
        return len(planned)
