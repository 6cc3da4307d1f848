"""Objects and changes that the CRDs take or refuse, and what is said then.

They are tried on the schemas and models here, and on an API server in ``tests/cluster``.
"""

from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """The field an API server names, empty for the object as a whole, and words of its reason."""

    field: str
    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that is wrong in one thing."""

    document: Json
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Change:
    """What stands, status included, what is to replace it, and why that is refused."""

    old: Json
    new: Json
    refusal: Refusal | None = None


REACTOR: Json = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "Reactor",
    "metadata": {"name": "bruce-1"},
    "spec": {"design": "Candu6"},
}
STAGE: Json = {"name": "leak", "fault": "PrimaryLeak"}
SCENARIO: Json = {
    "apiVersion": "reactorsync.dev/v1alpha1",
    "kind": "AnomalyScenario",
    "metadata": {"name": "small-leak"},
    "spec": {"targets": {"names": ["bruce-1"]}, "stages": [STAGE]},
}
PROBE: Json = {"name": "seen", "alarm": {"signal": "primary_pressure_mpa"}}
SENSOR: Json = {"sensor": {"signal": "primary_pressure_mpa"}}


def with_spec(base: Json, **spec: Json) -> Json:
    return base | {"spec": base["spec"] | spec}


def with_stage(**stage: Json) -> Json:
    return with_spec(SCENARIO, stages=[STAGE | stage])


def with_targets(**targets: Json) -> Json:
    return with_spec(SCENARIO, targets=targets)


def with_requirement(**requirement: Json) -> Json:
    expression: Json = {"key": "site"} | requirement
    return with_targets(selector={"matchExpressions": [expression]})


def with_labels(**labels: str) -> Json:
    return with_targets(selector={"matchLabels": labels})


def with_cron(cron: str) -> Json:
    return with_spec(SCENARIO, schedule={"cron": cron})


def http_probe(url: str) -> Json:
    return {"name": "paged", "http": {"url": url}}


def named(base: Json, name: str) -> Json:
    return base | {"metadata": {"name": name}}


SCHEDULE: Json = {"cron": "0 6 * * 1", "timeZone": "Europe/Bucharest"}
PHASES = ("Before", "During", "After")
OVERRIDE: Json = {"guards": ["BlastRadius", "ConcurrentSevere"], "reason": "drill of the fleet"}
START = "2030-01-01T00:00:00Z"

ACCEPTED: dict[str, Json] = {
    "the least reactor": REACTOR,
    "a full reactor": with_spec(
        REACTOR,
        site={"name": "Bruce", "latitudeMicrodegrees": 44325000, "country": "CA"},
        powerSetpointPermille=600,
        telemetry={"intervalMilliseconds": 500, "noise": "Off"},
        seed=0,
        state="Suspended",
    ),
    "a name of 63 characters": named(REACTOR, "a" * 63),
    "the least scenario": SCENARIO,
    "an empty selector": with_targets(selector={}),
    "labels": with_targets(selector={"matchLabels": {"site": "Bruce"}}),
    "In with values": with_requirement(operator="In", values=["Bruce"]),
    "Exists without values": with_requirement(operator="Exists"),
    "count as a number": with_targets(names=["a"], count=3),
    "count as a share": with_targets(names=["a"], count="25%"),
    "a sensor fault with its sensor": with_stage(fault="SensorDrift", **SENSOR),
    "a ramp": with_stage(shape="Ramp", rampSeconds=60),
    "a ramp as long as the stage": with_stage(shape="Ramp", rampSeconds=60, durationSeconds=60),
    "a pulse longer than the stage": with_stage(shape="Pulse", rampSeconds=60, durationSeconds=30),
    "a start time": with_spec(SCENARIO, startTime=START),
    "the first start": with_spec(SCENARIO, startTime="2000-01-01T00:00:00Z"),
    "the last start": with_spec(SCENARIO, startTime="2199-12-31T23:59:59.999999Z"),
    "a start delay": with_spec(SCENARIO, startDelaySeconds=5),
    "a schedule": with_spec(SCENARIO, schedule=SCHEDULE),
    "a schedule in words": with_spec(SCENARIO, schedule={"cron": "0 2-4,8 L jan-Mar/2 Fri#1"}),
    "a probe": with_spec(SCENARIO, probes=[PROBE], abortWhen=[PROBE | {"name": "worse"}]),
    "probes at all times": with_spec(
        SCENARIO,
        probes=[PROBE | {"name": phase.lower(), "phase": phase} for phase in PHASES],
    ),
    "an HTTP probe": with_spec(SCENARIO, probes=[http_probe("https://pager.example:8443/up?x=@1")]),
    "a held clock": with_spec(SCENARIO, suspendPolicy="HoldClock"),
    "an environment": with_spec(SCENARIO, environment="staging"),
    "an override of guards": with_spec(SCENARIO, guardOverride=OVERRIDE),
    "a time to live": with_spec(SCENARIO, ttlSecondsAfterFinished=0, startDelaySeconds=0),
}
REFUSED: dict[str, Refused] = {
    "no design": Refused(REACTOR | {"spec": {}}, Refusal("spec.design", "Required value")),
    "an unknown design": Refused(
        with_spec(REACTOR, design="Rbmk1000"), Refusal("spec.design", "Unsupported value")
    ),
    "power out of range": Refused(
        with_spec(REACTOR, powerSetpointPermille=1001),
        Refusal("spec.powerSetpointPermille", "less than or equal to 1000"),
    ),
    "an odd interval": Refused(
        with_spec(REACTOR, telemetry={"intervalMilliseconds": 150}),
        Refusal("spec.telemetry.intervalMilliseconds", "a multiple of 100"),
    ),
    "noise as a boolean": Refused(
        with_spec(REACTOR, telemetry={"noise": False}),
        Refusal("spec.telemetry.noise", "must be of type string"),
    ),
    "a country in words": Refused(
        with_spec(REACTOR, site={"name": "Bruce", "country": "Canada"}),
        Refusal("spec.site.country", "may not be more than 2"),
    ),
    "a name of 64 characters": Refused(
        named(REACTOR, "a" * 64), Refusal("", "`metadata.name` must be at most 63 characters")
    ),
    "a scenario's name with a dot": Refused(
        named(SCENARIO, "small.leak"),
        Refusal("", "`metadata.name` must be at most 63 characters, without dots"),
    ),
    "a reactor's name with a dot": Refused(
        named(REACTOR, "bruce.1"),
        Refusal("", "`metadata.name` must be at most 63 characters, without dots"),
    ),
    "no stages": Refused(
        with_spec(SCENARIO, stages=[]), Refusal("spec.stages", "at least 1 items")
    ),
    "17 stages": Refused(
        with_spec(SCENARIO, stages=[STAGE | {"name": f"s{n}"} for n in range(17)]),
        Refusal("spec.stages", "at most 16 items"),
    ),
    "two stages of one name": Refused(
        with_spec(SCENARIO, stages=[STAGE, STAGE]), Refusal("spec.stages[1]", "Duplicate value")
    ),
    "two probes of one name": Refused(
        with_spec(SCENARIO, probes=[PROBE, PROBE]), Refusal("spec.probes[1]", "Duplicate value")
    ),
    "neither selector nor names": Refused(
        with_targets(count=1), Refusal("spec.targets", "exactly one of `selector` and `names`")
    ),
    "both selector and names": Refused(
        with_targets(selector={}, names=["a"]),
        Refusal("spec.targets", "exactly one of `selector` and `names`"),
    ),
    "a name twice": Refused(
        with_targets(names=["a", "a"]), Refusal("spec.targets.names[1]", "Duplicate value")
    ),
    "In without values": Refused(
        with_requirement(operator="In"),
        Refusal(
            "spec.targets.selector.matchExpressions[0].values",
            "`values` must be set for operators 'In'",
        ),
    ),
    "NotIn with no values": Refused(
        with_requirement(operator="NotIn", values=[]),
        Refusal("spec.targets.selector.matchExpressions[0].values", "`values` must be set"),
    ),
    "Exists with values": Refused(
        with_requirement(operator="Exists", values=["a"]),
        Refusal("spec.targets.selector.matchExpressions[0].values", "empty for the others"),
    ),
    "count 0": Refused(
        with_targets(names=["a"], count=0),
        Refusal("spec.targets.count", "must be from 1 to 100000, or a share"),
    ),
    "count above the limit": Refused(
        with_targets(names=["a"], count=100_001),
        Refusal("spec.targets.count", "must be from 1 to 100000, or a share"),
    ),
    "count 0%": Refused(
        with_targets(names=["a"], count="0%"), Refusal("spec.targets.count", "should match")
    ),
    "count 101%": Refused(
        with_targets(names=["a"], count="101%"), Refusal("spec.targets.count", "should match")
    ),
    "count in other digits": Refused(
        with_targets(names=["a"], count="٥%"), Refusal("spec.targets.count", "should match")
    ),
    "count as text": Refused(
        with_targets(names=["a"], count="3"), Refusal("spec.targets.count", "should match")
    ),
    "a sensor fault without a sensor": Refused(
        with_stage(fault="SensorBias"),
        Refusal("spec.stages[0].sensor", "`sensor` must be set for sensor faults"),
    ),
    "a process fault with a sensor": Refused(
        with_stage(**SENSOR), Refusal("spec.stages[0].sensor", "and for no other")
    ),
    "an unknown signal": Refused(
        with_stage(fault="SensorBias", sensor={"signal": "mood"}),
        Refusal("spec.stages[0].sensor.signal", "Unsupported value"),
    ),
    "a ramp without length": Refused(
        with_stage(shape="Ramp"),
        Refusal(
            "spec.stages[0].rampSeconds", "`rampSeconds` must be set for shapes 'Ramp' and 'Pulse'"
        ),
    ),
    "a step with a ramp": Refused(
        with_stage(rampSeconds=5), Refusal("spec.stages[0].rampSeconds", "and for no other")
    ),
    "a ramp longer than the stage": Refused(
        with_stage(shape="Ramp", rampSeconds=61, durationSeconds=60),
        Refusal("spec.stages[0].rampSeconds", "must not be longer than `durationSeconds`"),
    ),
    "two starts": Refused(
        with_spec(SCENARIO, startTime=START, startDelaySeconds=5),
        Refusal("spec", "at most one of `startTime`, `startDelaySeconds` and `schedule`"),
    ),
    "a schedule and a delay": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE, startDelaySeconds=0),
        Refusal("spec", "at most one of `startTime`, `startDelaySeconds` and `schedule`"),
    ),
    "a probe without a check": Refused(
        with_spec(SCENARIO, probes=[{"name": "seen"}]),
        Refusal("spec.probes[0]", "exactly one of `telemetry`, `alarm`, `diagnosis` and `http`"),
    ),
    "a probe with two checks": Refused(
        with_spec(SCENARIO, probes=[PROBE | {"http": {"url": "http://localhost"}}]),
        Refusal("spec.probes[0]", "exactly one of `telemetry`, `alarm`, `diagnosis` and `http`"),
    ),
    "a run token with a blank": Refused(
        with_spec(SCENARIO, runToken="a b"), Refusal("spec.runToken", "should match")
    ),
    "a label key with a blank": Refused(
        with_labels(**{"my site": "Bruce"}),
        Refusal("spec.targets.selector.matchLabels", "keys must be letters"),
    ),
    "a label value with a blank": Refused(
        with_labels(site="Bruce A"),
        Refusal("spec.targets.selector.matchLabels.site", "should match"),
    ),
    "an expression's key with a blank": Refused(
        with_requirement(key="my site", operator="Exists"),
        Refusal("spec.targets.selector.matchExpressions[0].key", "should match"),
    ),
    "four fields of cron": Refused(
        with_cron("0 2 * *"), Refusal("spec.schedule.cron", "must be a five-field cron expression")
    ),
    "six fields of cron": Refused(
        with_cron("0 0 2 * * *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "cron in a word": Refused(
        with_cron("@daily"), Refusal("spec.schedule.cron", "must be a five-field cron expression")
    ),
    "minute 60": Refused(
        with_cron("60 2 * * *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "hour 24": Refused(
        with_cron("0 24 * * *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "day 0": Refused(
        with_cron("0 2 0 * *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "a month in another tongue": Refused(
        with_cron("0 2 * mai *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "the sixth Friday": Refused(
        with_cron("0 2 * * FRI#6"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "every 0 minutes": Refused(
        with_cron("*/0 * * * *"),
        Refusal("spec.schedule.cron", "must be a five-field cron expression"),
    ),
    "a time zone of nowhere": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "Mars/Olympus"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "a slip in a time zone": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "Europe/Bukarest"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "a time zone in small letters": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "europe/bucharest"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "the time zone of whoever asks": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "Local"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "a time zone as an offset": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "+02:00"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "the time zone of the machine": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE | {"timeZone": "localtime"}),
        Refusal("spec.schedule.timeZone", "must be an IANA time zone"),
    ),
    "a start at the end of all times": Refused(
        with_spec(SCENARIO, startTime="9999-12-31T23:59:59Z"),
        Refusal("spec.startTime", "must lie in the years from 2000 to 2199"),
    ),
    "a start just too late": Refused(
        with_spec(SCENARIO, startTime="2200-01-01T00:00:00Z"),
        Refusal("spec.startTime", "must lie in the years from 2000 to 2199"),
    ),
    "a start of long ago": Refused(
        with_spec(SCENARIO, startTime="0001-01-01T00:00:00Z"),
        Refusal("spec.startTime", "must lie in the years from 2000 to 2199"),
    ),
    "a start in small letters": Refused(
        with_spec(SCENARIO, startTime="2030-01-01t00:00:00z"),
        Refusal("spec.startTime", "should match"),
    ),
    "a time to live of a schedule": Refused(
        with_spec(SCENARIO, schedule=SCHEDULE, ttlSecondsAfterFinished=60),
        Refusal("spec.ttlSecondsAfterFinished", "must not be set together with `schedule`"),
    ),
    "a name among probes and abortWhen": Refused(
        with_spec(SCENARIO, probes=[PROBE], abortWhen=[PROBE]),
        Refusal("spec.abortWhen", "unique across `probes` and `abortWhen`"),
    ),
    "an abort before the run": Refused(
        with_spec(SCENARIO, abortWhen=[PROBE | {"phase": "Before"}]),
        Refusal("spec.abortWhen", "`phase` must be 'During' in `abortWhen`"),
    ),
    "an abort after the run": Refused(
        with_spec(SCENARIO, abortWhen=[PROBE | {"phase": "After"}]),
        Refusal("spec.abortWhen", "`phase` must be 'During' in `abortWhen`"),
    ),
    "a URL without a host": Refused(
        with_spec(SCENARIO, probes=[http_probe("http:///up")]),
        Refusal("spec.probes[0].http.url", "should match"),
    ),
    "a URL with a password": Refused(
        with_spec(SCENARIO, probes=[http_probe("http://me:it@pager/")]),
        Refusal("spec.probes[0].http.url", "should match"),
    ),
    "a file": Refused(
        with_spec(SCENARIO, probes=[http_probe("file:///etc/passwd")]),
        Refusal("spec.probes[0].http.url", "should match"),
    ),
    "an unknown suspend policy": Refused(
        with_spec(SCENARIO, suspendPolicy="Freeze"),
        Refusal("spec.suspendPolicy", "Unsupported value"),
    ),
    "an environment with a blank": Refused(
        with_spec(SCENARIO, environment="my lab"), Refusal("spec.environment", "should match")
    ),
    "a guard twice": Refused(
        with_spec(SCENARIO, guardOverride=OVERRIDE | {"guards": ["BlastRadius"] * 2}),
        Refusal("spec.guardOverride.guards[1]", "Duplicate value"),
    ),
    "an override of nothing": Refused(
        with_spec(SCENARIO, guardOverride=OVERRIDE | {"guards": []}),
        Refusal("spec.guardOverride.guards", "at least 1 items"),
    ),
    "an override in a word": Refused(
        with_spec(SCENARIO, guardOverride=OVERRIDE | {"reason": "because"}),
        Refusal("spec.guardOverride.reason", "at least 10 chars"),
    ),
    "a time to live below zero": Refused(
        with_spec(SCENARIO, ttlSecondsAfterFinished=-1),
        Refusal("spec.ttlSecondsAfterFinished", "greater than or equal to 0"),
    ),
}


def frozen(field: str) -> Refusal:
    return Refusal(f"spec.{field}", f"`{field}` must not change since faults were injected")


def judged(field: str) -> Refusal:
    return Refusal(f"spec.{field}", f"`{field}` must not change from the begin of a run")


def kept(field: str) -> Refusal:
    return Refusal(f"spec.{field}", f"`{field}` must not change from the injection of a run")


def with_run(
    document: Json,
    *,
    injected: bool = True,
    token: str = "",
    phase: str = "Running",
    succeeded: tuple[str, str] = ("Unknown", "RunInProgress"),
) -> Json:
    run = {"number": 1, "phase": phase, "startTime": START, "endTime": START}
    if injected:
        run |= {"injectedTime": START}
    status, reason = succeeded
    outcome = {
        "type": "Succeeded",
        "status": status,
        "reason": reason,
        "lastTransitionTime": START,
        "message": "",
    }
    return with_spec(document, runToken=token) | {"status": {"run": run, "conditions": [outcome]}}


OTHER_STAGES = with_stage(severityPercent=50)
OTHER_TARGETS = with_targets(names=["bruce-2"])

CHANGES: dict[str, Change] = {
    "the power": Change(REACTOR, with_spec(REACTOR, powerSetpointPermille=600)),
    "the design": Change(
        REACTOR,
        with_spec(REACTOR, design="Pwr3Loop"),
        Refusal("spec.design", "`design` must not change: delete the reactor and create it anew"),
    ),
    "stages before there is a run": Change(SCENARIO, OTHER_STAGES),
    "stages before injection": Change(
        with_run(SCENARIO, injected=False), with_run(OTHER_STAGES, injected=False)
    ),
    "stages after injection": Change(with_run(SCENARIO), with_run(OTHER_STAGES), frozen("stages")),
    "targets after injection": Change(
        with_run(SCENARIO), with_run(OTHER_TARGETS), frozen("targets")
    ),
    "stages for another run": Change(with_run(SCENARIO), with_run(OTHER_STAGES, token="2")),
    "targets for another run": Change(with_run(SCENARIO), with_run(OTHER_TARGETS, token="2")),
    "the mode of a run that goes on": Change(
        with_run(SCENARIO), with_run(with_spec(SCENARIO, mode="DryRun")), kept("mode")
    ),
    "the mode before injection": Change(
        with_run(SCENARIO, injected=False),
        with_run(with_spec(SCENARIO, mode="DryRun"), injected=False),
    ),
    "the mode of a run that has ended": Change(
        with_run(SCENARIO, phase="Completed"),
        with_run(with_spec(SCENARIO, mode="DryRun"), phase="Completed"),
    ),
    "the mode for another run": Change(
        with_run(SCENARIO), with_run(with_spec(SCENARIO, mode="DryRun"), token="2")
    ),
    "an environment for a run that goes on": Change(
        with_run(SCENARIO),
        with_run(with_spec(SCENARIO, environment="staging")),
        kept("environment"),
    ),
    "no environment for a run that goes on": Change(
        with_run(with_spec(SCENARIO, environment="staging")),
        with_run(SCENARIO),
        kept("environment"),
    ),
    "the environment of a run that has ended": Change(
        with_run(SCENARIO, phase="Aborted"),
        with_run(with_spec(SCENARIO, environment="staging"), phase="Aborted"),
    ),
    "the state after injection": Change(
        with_run(SCENARIO), with_run(with_spec(SCENARIO, state="Aborted"))
    ),
    "probes after injection": Change(
        with_run(SCENARIO), with_run(with_spec(SCENARIO, probes=[PROBE])), judged("probes")
    ),
    "a probe while it is awaited": Change(
        with_run(with_spec(SCENARIO, probes=[PROBE]), injected=False, phase="Probing"),
        with_run(
            with_spec(SCENARIO, probes=[PROBE | {"timeoutSeconds": 5}]),
            injected=False,
            phase="Probing",
        ),
        judged("probes"),
    ),
    "checks after injection": Change(
        with_run(with_spec(SCENARIO, abortWhen=[PROBE])), with_run(SCENARIO), judged("abortWhen")
    ),
    "probes before the outcome is final": Change(
        with_run(SCENARIO, phase="Completed"),
        with_run(with_spec(SCENARIO, probes=[PROBE]), phase="Completed"),
        judged("probes"),
    ),
    "probes of a run that has yet to begin": Change(
        with_run(SCENARIO, injected=False, phase="Pending"),
        with_run(with_spec(SCENARIO, probes=[PROBE]), injected=False, phase="Pending"),
    ),
    "probes once the outcome is final": Change(
        with_run(SCENARIO, phase="Completed", succeeded=("False", "ProbesFailed")),
        with_run(with_spec(SCENARIO, probes=[PROBE], abortWhen=[PROBE | {"name": "stop"}])),
    ),
    "probes once nobody can tell the outcome": Change(
        with_run(SCENARIO, phase="Completed", succeeded=("Unknown", "NotReported")),
        with_run(with_spec(SCENARIO, probes=[PROBE])),
    ),
    "probes for another run": Change(
        with_run(SCENARIO), with_run(with_spec(SCENARIO, probes=[PROBE]), token="2")
    ),
    "back to the token of a run that goes on": Change(
        with_run(SCENARIO, token="2"),
        with_run(OTHER_STAGES),
        Refusal("spec.runToken", "`runToken` must not go back"),
    ),
    "back to the token of a run that has ended": Change(
        with_run(SCENARIO, token="2", phase="Aborted"), with_run(SCENARIO, phase="Aborted")
    ),
    "back to the token of a run that has yet to begin": Change(
        with_run(SCENARIO, token="2", injected=False, phase="Pending"),
        with_run(OTHER_STAGES, injected=False, phase="Pending"),
    ),
    "the status after injection": Change(
        with_run(SCENARIO), with_run(SCENARIO) | {"status": {"summary": "x"}}
    ),
}
"""Changes of an object, allowed unless they say otherwise."""
