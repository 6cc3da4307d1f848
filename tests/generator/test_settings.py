"""Settings of a generator process."""

import pytest

from reactorsync_generator.settings import GeneratorSettings


def test_generators_of_one_installation_share_a_group_and_no_name() -> None:
    one, other = GeneratorSettings(topic_prefix="site-a"), GeneratorSettings(generator_name="b")
    assert one.group == "site-a-generators"
    assert one.generator_name != other.generator_name


@pytest.mark.parametrize(
    ("handover", "rebalance", "leaving"), [(None, 3.0, 6.0), (0.0, 0.0, 0.0), (10.0, 10.0, 10.0)]
)
def test_a_handover_lasts_as_long_as_a_take_over_may(
    handover: float | None, rebalance: float, leaving: float
) -> None:
    settings = GeneratorSettings(kafka_session_timeout_ms=3000, handover_seconds=handover)
    assert settings.handover_after_rebalance_seconds == rebalance
    assert settings.handover_after_leaving_seconds == leaving
