"""What an operator does without, for the memory it takes."""

import subprocess
import sys

LOADED = """
import sys
import reactorsync_operator.main
import reactorsync_operator.edge.feed
import reactorsync_operator.edge.invalid_specs
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_on_kubernetes_neither_arrays_nor_a_database_are_loaded_before_they_are_needed() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "kopf" in loaded
    assert not {"numpy", "pyarrow", "sqlalchemy", "psycopg"} & set(loaded)
