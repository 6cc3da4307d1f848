"""Keys of the advisory locks, in one place so that no two things share one by accident."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = 0x7265_6163_0001
PARTITIONS: Final = 0x7265_6163_0002
