from pathlib import Path

import pytest

from reactorsync_local.machine.generator_pool import wanted_generators


def test_the_operator_says_how_many(tmp_path: Path) -> None:
    file = tmp_path / "pool.json"
    file.write_text('{"replicas": 3}')
    assert wanted_generators(file) == 3


@pytest.mark.parametrize("text", ["", "3", "[]", "{}", '{"replicas": -1}', '{"replicas": "two"}'])
def test_what_is_no_number_of_generators_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pool.json"
    file.write_text(text)
    assert wanted_generators(file) is None


def test_before_the_operator_has_said_anything_nothing_is_known(tmp_path: Path) -> None:
    assert wanted_generators(tmp_path / "pool.json") is None
