"""The time zones that a schedule may name.

They are those of the pinned ``tzdata`` package, not of the machine: a CRD lists them, and must not
differ with where it was made. A file of the machine's called ``localtime`` is none of them.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

TIME_ZONES: Final = tuple(sorted(files("tzdata").joinpath("zones").read_text("ascii").split()))
"""Names of the IANA time zone database, older names included, in alphabetical order."""
