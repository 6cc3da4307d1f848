"""A fleet from manifest to live telemetry with one command, and back to nothing.

The tests build on each other, as a user's session does.
"""

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.end_to_end.conftest import Installation

FLEET = """
apiVersion: reactorsync.dev/v1alpha1
kind: Reactor
metadata: {name: unit-1, labels: {site: east}}
spec: {design: Pwr3Loop, telemetry: {intervalMilliseconds: 500}}
---
apiVersion: reactorsync.dev/v1alpha1
kind: Reactor
metadata: {name: unit-2, labels: {site: west}}
spec: {design: Candu6}
"""

SCENARIO = """
apiVersion: reactorsync.dev/v1alpha1
kind: AnomalyScenario
metadata: {name: pump-trip}
spec:
  targets: {names: [unit-1]}
  stages:
    - {name: pumps-lost, fault: PumpTrip, durationSeconds: 600}
"""


def wait_for(what: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)


def get(installation: Installation, kind: str, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(installation.ask("get", kind, name, "-o", "json"))
    return document


def condition(document: dict[str, Any], type_: str) -> str:
    conditions = document.get("status", {}).get("conditions", [])
    return next((one["status"] for one in conditions if one["type"] == type_), "")


def rows(installation: Installation, name: str, *, signals: str = "") -> list[dict[str, str]]:
    options = ["--signals", signals] if signals else []
    printed = installation.ask("telemetry", name, "--since", "5m", "-o", "csv", *options)
    return list(csv.DictReader(io.StringIO(printed)))


def test_a_fleet_declared_by_manifest_streams(installation: Installation) -> None:
    applied = installation("apply", "-f", "-", stdin=FLEET)
    assert applied.stdout.splitlines() == [
        "reactor.reactorsync.dev/unit-1 created",
        "reactor.reactorsync.dev/unit-2 created",
    ]
    wait_for(lambda: condition(get(installation, "rx", "unit-1"), "Ready") == "True")
    wait_for(lambda: len(rows(installation, "unit-1")) >= 5)
    wait_for(lambda: len(rows(installation, "unit-2")) >= 2)


def test_readings_come_on_aligned_ticks_without_a_hole(installation: Installation) -> None:
    times = [row["time"] for row in rows(installation, "unit-1")]
    assert len(set(times)) == len(times)
    assert all(time_[20:23] in {"000", "500"} for time_ in times)


def test_live_readings_can_be_watched(installation: Installation) -> None:
    watched = installation(
        "watch", "unit-2", "--plain", "--count", "3", "--signals", "neutron_power_percent"
    )
    lines = watched.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        _, reactor, reading = line.split()
        assert reactor == "default/unit-2"
        assert 90.0 < float(reading.removeprefix("neutron_power_percent=")) < 110.0


def test_a_second_start_says_that_it_is_running(installation: Installation) -> None:
    again = installation.up()
    assert again.returncode == 0
    assert f"already running at http://127.0.0.1:{installation.api_port}" in again.stdout


def test_a_scenario_changes_the_plant_and_its_status(installation: Installation) -> None:
    applied = installation("apply", "-f", "-", stdin=SCENARIO)
    assert applied.stdout == "anomalyscenario.reactorsync.dev/pump-trip created\n"
    wait_for(lambda: condition(get(installation, "anom", "pump-trip"), "Injected") == "True")

    def flow() -> float:
        newest = rows(installation, "unit-1", signals="primary_flow_kg_s")[-1]
        return float(newest["primary_flow_kg_s"])

    wait_for(lambda: flow() < 10_000.0)
    wait_for(lambda: bool(get(installation, "rx", "unit-1")["status"].get("tripCause")))
    reactor = get(installation, "rx", "unit-1")
    assert [fault["fault"] for fault in reactor["status"]["activeFaults"]] == ["PumpTrip"]
    assert condition(reactor, "Ready") == "True"
    described = installation.ask("describe", "rx", "unit-1")
    assert "■ Tripped" in described
    assert "Primary flow" in described


def test_an_aborted_scenario_lifts_its_faults(installation: Installation) -> None:
    installation.ask("scenario", "abort", "pump-trip")
    wait_for(lambda: condition(get(installation, "anom", "pump-trip"), "Recovered") == "True")
    wait_for(lambda: not get(installation, "rx", "unit-1")["status"].get("activeFaults"))
    listed = installation.ask("scenario", "list").splitlines()
    assert listed[1].split()[1:4] == ["pump-trip", "PumpTrip", "Aborted"]


def test_the_doctor_finds_every_part_well(installation: Installation) -> None:
    found = installation.ask("doctor")
    for part in ("postgres", "broker", "operator", "historian", "api", "generator-0"):
        assert f"✓ {part}" in found


def test_logs_of_every_part_are_at_hand(installation: Installation) -> None:
    for part in ("operator", "historian", "generator", "api", "postgres", "up"):
        assert installation.ask("logs", part)


def test_secrets_are_for_the_user_alone(installation: Installation) -> None:
    for name in ("database-url", "state.json"):
        assert (installation.state_dir / name).stat().st_mode & 0o077 == 0
    password = (installation.state_dir / "database-url").read_text().split(":")[2].split("@")[0]
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if password in " ".join(process.info["cmdline"] or ())
    ]


def test_down_stops_everything_and_leaves_no_process(installation: Installation) -> None:
    state = installation.state
    supervisor = psutil.Process(state.pid)
    processes = [supervisor, *supervisor.children(recursive=True)]
    assert len(processes) > len(state.processes)
    stopped = installation("down")
    assert stopped.returncode == 0
    assert "stopped in" in stopped.stdout
    _, alive = psutil.wait_procs(processes, timeout=1.0)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert installation("get", "rx").returncode == 3


def test_everything_is_there_again_after_the_next_start(installation: Installation) -> None:
    began = time.time()
    started = installation.up()
    assert started.returncode == 0, started.stdout + started.stderr
    names = installation.ask("get", "rx", "-o", "name").splitlines()
    assert names == ["reactor.reactorsync.dev/unit-1", "reactor.reactorsync.dev/unit-2"]

    def reported_since() -> bool:
        newest = rows(installation, "unit-2", signals="neutron_power_percent")[-1]["time"]
        return newest > time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(began))

    wait_for(reported_since)


def test_a_plant_goes_on_from_where_it_was(installation: Installation) -> None:
    """It tripped before the stop, and takes longer than this to come back to power."""
    newest = rows(installation, "unit-1", signals="neutron_power_percent")[-10:]
    assert all(float(row["neutron_power_percent"]) < 10 for row in newest)
    assert {row["trip_cause"] for row in newest} == {"LowPrimaryFlow"}
