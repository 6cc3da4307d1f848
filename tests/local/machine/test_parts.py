import stat
from pathlib import Path

from reactorsync.settings import KafkaSettings
from reactorsync_local.machine.parts import (
    TOPICS,
    Part,
    Parts,
    Surroundings,
    part_command,
    write_private,
)
from reactorsync_local.machine.probes import Probes
from reactorsync_local.supervisor import Supervisor

SURROUNDINGS = Surroundings(
    database_url_file=Path("database-url"),
    kafka_bootstrap="127.0.0.1:20000",
    pool_file=Path("pool.json"),
    api_port=8000,
)


def test_the_password_reaches_the_parts_by_a_file_and_never_by_the_environment() -> None:
    environment = SURROUNDINGS.environment()
    assert environment["REACTORSYNC_DATABASE_URL_FILE"] == "database-url"
    # Emptied, so that a URL in the user's shell does not win over the file.
    assert environment["REACTORSYNC_DATABASE_URL"] == ""


def test_only_the_embedded_broker_rolls_its_topics() -> None:
    assert SURROUNDINGS.environment()["REACTORSYNC_TOPIC_SLOT_SECONDS"] == str(TOPICS.slot_seconds)
    assert KafkaSettings.model_fields["topic_slot_seconds"].default is None


def test_a_secret_file_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o644)
    write_private(path, "postgresql+psycopg://user:password@127.0.0.1/db")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_part_has_a_command() -> None:
    for part in Part:
        assert part.value in " ".join(part_command(part, {}).argv)


async def test_every_process_answers_on_a_port_of_its_own(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        parts = Parts(supervisor, SURROUNDINGS, Probes())
        services = [parts.operator(), parts.historian(), parts.api()]
        services += [parts.generators().numbered(index) for index in range(3)]
        ports = [service.command().env["REACTORSYNC_METRICS_PORT"] for service in services]
        assert len(set(ports)) == len(services)
        assert services[2].command().env["REACTORSYNC_API_PORT"] == "8000"
        assert services[5].name == "generator-2"


def test_generators_stop_before_who_stores_what_they_make(tmp_path: Path) -> None:
    parts = Parts(Supervisor(tmp_path), SURROUNDINGS, Probes())
    generator, historian = parts.generators().numbered(0), parts.historian()
    assert generator.stage > historian.stage > 0
