"""How the plant's numerical code is compiled: by numba, on first call, cached on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile ``function`` to machine code when it is first called.

    The result is kept on disk beside the source (or where ``NUMBA_CACHE_DIR`` points), runs without
    the GIL and divides as IEEE 754 says. Floating-point operations are neither reordered nor fused
    at will: equal inputs give equal bits, however the calls are grouped.
    """
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))


@cache
def sources_digest() -> str:
    """Return a digest of this package's source files.

    numba renews a cached kernel when the kernel's own file changes, but not when the file of a
    function that it calls does. The records that the kernels take carry this digest in a field
    name, so that any change of the sources is a change of type, and compiles anew.
    """
    digest = hashlib.blake2b(digest_size=4)
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@compiled
def settled(value: float) -> float:
    """Return ``value``, or 0 when it is so small that arithmetic with it would become slow."""
    return value if abs(value) > 1e-30 else 0.0
