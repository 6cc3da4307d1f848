"""Manifests: what is accepted, and for everything else the file, the line, the field and why."""

import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorsync.designs import Design
from reactorsync.resources import (
    AnomalyScenario,
    ObjectMeta,
    Reactor,
    ReactorSpec,
    ReactorState,
)
from reactorsync.resources.manifest import ManifestError, load_manifests, to_manifest
from reactorsync.resources.reactor import SensorNoise, Site, TelemetrySpec

REACTOR = """\
apiVersion: reactorsync.dev/v1alpha1
kind: Reactor
metadata:
  name: bruce-1
spec:
  design: Candu6
"""
SCENARIO = """\
apiVersion: reactorsync.dev/v1alpha1
kind: AnomalyScenario
metadata:
  name: leak
spec:
  targets:
    names: [bruce-1]
  stages:
    - name: leak
      fault: PrimaryLeak
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ManifestError) as error:
        load_manifests(text, source="fleet.yaml")
    return [str(problem) for problem in error.value.problems]


def reactor(text: str) -> Reactor:
    [resource] = load_manifests(text, source="fleet.yaml")
    assert isinstance(resource, Reactor)
    return resource


# Accepted


def test_a_reactor_is_read_with_its_defaults() -> None:
    found = reactor(REACTOR)

    assert found == Reactor(
        metadata=ObjectMeta(name="bruce-1"), spec=ReactorSpec(design=Design.CANDU6)
    )


def test_several_documents_are_read_in_order() -> None:
    text = f"---\n{REACTOR}---\n# nothing\n---\n{SCENARIO}...\n"

    kinds = [type(resource) for resource in load_manifests(text, source="f")]

    assert kinds == [Reactor, AnomalyScenario]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n---\n", "null\n"])
def test_a_text_without_documents_declares_nothing(text: str) -> None:
    assert load_manifests(text, source="f") == []


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("v1", "List"), ("reactorsync.dev/v1alpha1", "ReactorList")],
)
def test_a_list_is_what_it_holds(api_version: str, kind: str) -> None:
    """As ``kubectl get rx -o yaml`` prints."""
    items = "".join(f"- {line}" if n == 0 else f"  {line}" for n, line in enumerate(LINES))
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{resourceVersion: ''}}\nitems:\n"

    assert reactor(text + items) == reactor(REACTOR)


LINES = REACTOR.splitlines(keepends=True)


def test_json_is_read_too_even_with_tabs() -> None:
    text = (
        '{\n\t"apiVersion": "reactorsync.dev/v1alpha1", "kind": "Reactor",\n'
        '\t"metadata": {"name": "bruce-1"},\n\t"spec": {"design": "Candu6"}\n}\n'
    )

    assert reactor(text) == reactor(REACTOR)


def test_what_only_a_server_or_kubectl_sets_is_ignored() -> None:
    text = dedent("""\
        apiVersion: reactorsync.dev/v1alpha1
        kind: Reactor
        metadata:
          name: bruce-1
          uid: 0b4a9e8e-52a7-4ee5-a2a8-1c6a0b8d7f10
          generation: 7
          resourceVersion: "12"
          creationTimestamp: "2026-01-01T00:00:00Z"
          managedFields: [{manager: kubectl}]
          annotations:
            kubectl.kubernetes.io/last-applied-configuration: "{}"
            note: kept
        spec:
          design: Candu6
        status:
          whatever: 1
        """)

    found = reactor(text)

    assert found.metadata == ObjectMeta(name="bruce-1", annotations={"note": "kept"})
    assert found.status == reactor(REACTOR).status


def test_a_field_that_is_null_is_absent() -> None:
    text = REACTOR + "  site:\n  seed: ~\n  telemetry: null\n"

    assert reactor(text) == reactor(REACTOR)


def test_anchors_and_merge_keys_are_followed() -> None:
    text = dedent("""\
        apiVersion: reactorsync.dev/v1alpha1
        kind: AnomalyScenario
        metadata: {name: twice}
        spec:
          targets: {names: [bruce-1]}
          stages:
            - &leak {name: first, fault: PrimaryLeak, severityPercent: 10}
            - <<: *leak
              name: second
        """)

    [resource] = load_manifests(text, source="f")

    assert isinstance(resource, AnomalyScenario)
    stages = [(stage.name, stage.severity_percent) for stage in resource.spec.stages]
    assert stages == [("first", 10), ("second", 10)]


def test_a_time_needs_no_quotes() -> None:
    [resource] = load_manifests(SCENARIO + "  startTime: 2030-01-01T02:00:00+02:00\n", source="f")

    assert isinstance(resource, AnomalyScenario)
    assert resource.to_json()["spec"]["startTime"] == "2030-01-01T00:00:00Z"  # type: ignore[index,call-overload]


def test_every_sample_is_accepted() -> None:
    paths = [*(Path(__file__).parents[3] / "samples").rglob("*.yaml")]

    assert all(load_manifests(path.read_text(), source=str(path)) for path in paths)


# Refused: one field


FAULTS = (
    "must be one of PumpTrip, PumpBearingWear, PrimaryLeak, LossOfFeedwater, SteamLineBreak, "
    "TurbineTrip, RodWithdrawal, BoronDilution, LossOfRegulation, SensorBias, SensorDrift, "
    "SensorStuck, SensorNoise, SensorDropout"
)
NAME = "must be lower-case letters, digits and '-', beginning and ending with a letter or digit"
TIME = "must be a time such as 2026-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("desing: Candu6", "7: spec.desing: is no field here; did you mean `design`?"),
        (
            "colour: red",
            (
                "7: spec.colour: is no field here: known are design, site, powerSetpointPermille, "
                "telemetry, seed, state"
            ),
        ),
        (
            "power_setpoint_permille: 900",
            (
                "7: spec.power_setpoint_permille: is no field here; did you mean "
                "`powerSetpointPermille`?"
            ),
        ),
        (
            "powerSetpointPermille: 100",
            "7: spec.powerSetpointPermille: must be at least 200, not 100",
        ),
        (
            "powerSetpointPermille: 1001",
            "7: spec.powerSetpointPermille: must be at most 1000, not 1001",
        ),
        (
            'powerSetpointPermille: "900"',
            "7: spec.powerSetpointPermille: must be a whole number, not the text '900'",
        ),
        (
            "powerSetpointPermille: 900.5",
            "7: spec.powerSetpointPermille: must be a whole number, not the number 900.5",
        ),
        (
            "powerSetpointPermille: true",
            "7: spec.powerSetpointPermille: must be a whole number, not true",
        ),
        (
            "powerSetpointPermille: {}",
            "7: spec.powerSetpointPermille: must be a whole number, not a mapping",
        ),
        (
            "telemetry:\n    intervalMilliseconds: 150",
            "8: spec.telemetry.intervalMilliseconds: must be a multiple of 100, not 150",
        ),
        (
            "telemetry:\n    noise: Off",
            (
                "8: spec.telemetry.noise: must be one of Off, Nominal, High: `Off` without "
                'quotes is a boolean in YAML: write "Off"'
            ),
        ),
        (
            "telemetry:\n    noise: Hihg",
            (
                "8: spec.telemetry.noise: must be one of Off, Nominal, High, not 'Hihg'; did "
                "you mean `High`?"
            ),
        ),
        ("telemetry: []", "7: spec.telemetry: must be a mapping, not a list"),
        (
            "state: suspended",
            (
                "7: spec.state: must be one of Running, Suspended, not 'suspended'; "
                "did you mean `Suspended`?"
            ),
        ),
        ("site: {}", "7: spec.site.name: must be set"),
        ("site: {name: ''}", "7: spec.site.name: must not be empty"),
        ("site: {name: 5}", '7: spec.site.name: must be text, not the number 5: write "5"'),
        (
            f"site: {{name: {'x' * 121}}}",
            "7: spec.site.name: must be at most 120 characters long, has 121",
        ),
        (
            "site: {name: Halden, country: NO}",
            (
                "7: spec.site.country: must be text: `NO` without quotes is a boolean in YAML: "
                'write "NO"'
            ),
        ),
        (
            "site: {name: Halden, country: no-way}",
            "7: spec.site.country: must be at most 2 characters long, has 6",
        ),
        (
            "site: {name: Halden, country: xx}",
            "7: spec.site.country: must be two capital letters, not 'xx'",
        ),
    ],
)
def test_a_field_of_a_reactor(lines: str, problem: str) -> None:
    assert problems(f"{REACTOR}  {lines}\n") == [f"fleet.yaml:{problem}"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            "  - name: leak\n      falt: PumpTrip",
            "12: spec.stages[1].falt: is no field here; did you mean `fault`?",
        ),
        ("  - name: b", "11: spec.stages[1].fault: must be set"),
        (
            "  - name: b\n      fault: PumpTripp",
            f"12: spec.stages[1].fault: {FAULTS}, not 'PumpTripp'; did you mean `PumpTrip`?",
        ),
        ("  - name: B\n      fault: PumpTrip", f"11: spec.stages[1].name: {NAME}, not 'B'"),
        (
            "  - {name: b, fault: PumpTrip, shape: Ramp}",
            "11: spec.stages[1]: `rampSeconds` must be set for shape 'Ramp'",
        ),
        (
            "  - {name: b, fault: SensorBias}",
            "11: spec.stages[1]: `sensor` must be set for fault 'SensorBias'",
        ),
        ("  - 5", "11: spec.stages[1]: must be a mapping, not the number 5"),
        ("  -", "11: spec.stages[1]: must not be empty"),
        ("  - {name: leak, fault: PumpTrip}", "5: spec: names in `stages` must be unique"),
        ("runToken: 5", '11: spec.runToken: must be text, not the number 5: write "5"'),
        ("priority: .inf", "11: spec.priority: must be a whole number, not the number inf"),
        ("startTime: noon", f"11: spec.startTime: {TIME}"),
        ("startTime: 2030-02-30T00:00:00Z", f"11: spec.startTime: {TIME}"),
        ("startTime: 1893456000", f"11: spec.startTime: {TIME}"),
        ("startTime: '1893456000'", f"11: spec.startTime: {TIME}"),
        (
            "startTime: 2030-01-01T00:00:00",
            "11: spec.startTime: must carry a time zone, for example 2026-01-31T12:00:00Z",
        ),
        (
            "startTime: 2030-01-01T00:00:00Z\n  startDelaySeconds: 5",
            "5: spec: must set at most one of `startTime`, `startDelaySeconds` and `schedule`",
        ),
        (
            "schedule:\n    cron: '* *'",
            "12: spec.schedule.cron: must be a five-field cron expression (Wrong number of fields)",
        ),
        (
            "schedule: {cron: 0 2 * * *, timeZone: Europe/Bukarest}",
            (
                "11: spec.schedule.timeZone: must be an IANA time zone, for example "
                "Europe/Bucharest or UTC"
            ),
        ),
        ("probes: {}", "11: spec.probes: must be a list, not a mapping"),
        (
            "probes: [{name: a}]",
            (
                "11: spec.probes[0]: must set exactly one of `telemetry`, `alarm`, `diagnosis` and "
                "`http`"
            ),
        ),
    ],
)
def test_a_field_of_a_scenario(lines: str, problem: str) -> None:
    assert problems(f"{SCENARIO}  {lines}\n") == [f"fleet.yaml:{problem}"]


@pytest.mark.parametrize("count", ["0", "100001", "'0%'", "50", "'half'", "1.5", "[]"])
def test_how_many_targets(count: str) -> None:
    text = SCENARIO.replace("names: [bruce-1]", f"names: [bruce-1]\n    count: {count}")

    found = [] if count == "50" else problems(text)

    assert found == (
        []
        if count == "50"
        else [
            "fleet.yaml:8: spec.targets.count: must be from 1 to 100000, or a share such as '25%'"
        ]
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("v1alpha1", "v1", "1: apiVersion: must be reactorsync.dev/v1alpha1"),
        (
            "apiVersion: reactorsync.dev/v1alpha1\n",
            "",
            ("1: apiVersion: must be reactorsync.dev/v1alpha1"),
        ),
        ("Reactor", "Deployment", "2: kind: must be Reactor or AnomalyScenario"),
        (
            "Reactor",
            "Reactr",
            ("2: kind: must be Reactor or AnomalyScenario; did you mean `Reactor`?"),
        ),
        ("kind: Reactor\n", "", "1: kind: must be Reactor or AnomalyScenario"),
        ("spec:", "specs:", "5: specs: is no field here; did you mean `spec`?"),
        ("  name: bruce-1", "  name: Bruce", f"4: metadata.name: {NAME}, not 'Bruce'"),
        (
            "  name: bruce-1",
            "  nmae: bruce-1",
            ("4: metadata.nmae: is no field here; did you mean `name`?"),
        ),
        ("metadata:\n  name: bruce-1\n", "", "1: metadata: must be set"),
        (
            "metadata:\n  name: bruce-1\n",
            "metadata: bruce\n",
            ("3: metadata: must be a mapping, not the text 'bruce'"),
        ),
        (
            "  name: bruce-1",
            "  name: a\n  labels: {unit: 1}",
            ('5: metadata.labels.unit: must be text, not the number 1: write "1"'),
        ),
        (
            "  name: bruce-1",
            "  name: a\n  labels:\n    a b: c",
            (
                "5: metadata.labels: key 'a b' must be letters, digits, '-', '_' and '.', at most "
                "63 characters, after a domain and '/' if need be"
            ),
        ),
        ("spec:\n  design: Candu6\n", "spec:\n", "5: spec: must be set"),
    ],
)
def test_what_names_the_object(old: str, new: str, problem: str) -> None:
    assert f"fleet.yaml:{problem}" in problems(REACTOR.replace(old, new, 1))


def test_a_document_must_be_a_mapping() -> None:
    assert problems(f"{REACTOR}---\n- a\n") == [
        "fleet.yaml:8: must be a mapping with apiVersion, kind, metadata and spec"
    ]


def test_a_list_without_items() -> None:
    assert problems("apiVersion: v1\nkind: List\nitem: []\n") == [
        "fleet.yaml:1: items: must be a list of resources"
    ]


def test_a_list_says_which_item() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"

    assert problems(text) == ["fleet.yaml:5: items[0].kind: must be Reactor or AnomalyScenario"]


def test_all_problems_of_a_text_are_told_at_once_in_order() -> None:
    text = f"{REACTOR}  seed: -1\n  state: Of\n---\n{SCENARIO}  mode: Dry\n---\nkind: X\n"

    assert problems(text) == [
        "fleet.yaml:7: spec.seed: must be at least 0, not -1",
        "fleet.yaml:8: spec.state: must be one of Running, Suspended, not 'Of'",
        "fleet.yaml:20: spec.mode: must be one of Run, DryRun, not 'Dry'; did you mean `DryRun`?",
        "fleet.yaml:22: kind: must be Reactor or AnomalyScenario",
    ]


# Refused: as YAML


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "1: is not valid YAML: while parsing a flow sequence"),
        ("a: b: c", "1: is not valid YAML: mapping values are not allowed in this context"),
        (
            "a:\n\tb: 1",
            (
                "2: is not valid YAML: while scanning for the next token, found character "
                "that cannot start any token; indent with blanks, not with tabs"
            ),
        ),
        ("a: 1\n  cron: * * * * *", "2: is not valid YAML"),
        (
            "cron: * * * * *",
            (
                "1: is not valid YAML: while scanning an alias, did not find expected "
                "alphabetic or numeric character; text that begins with `*` must be in quotes"
            ),
        ),
        ("a: \x01", "1: is not valid YAML: control characters are not allowed"),
        ("a: 1\nb: 2\na: 3", "3: key `a` occurs twice, first on line 1"),
        ("a: !!binary aGk=", "1: must not have the tag `!!binary`"),
        ("a: !python/object:os.system x", "1: must not have the tag `!python/object:os.system`"),
        ("a: *b", "1: alias `*b` must refer to an anchor before it"),
        ("a: &a [*a]", "1: alias `*a` must not refer to what holds it"),
        ("a:\n  <<: 5", "2: `<<` must refer to a mapping, or to a list of them"),
        ("? [a]\n: b", "1: a key must be text"),
        ("on: 1", "1: key `on` must be in quotes to be text"),
        ("a: 010", "1: `010` is a number in another notation: write plain digits, or quotes"),
        ("a: 1_000", "1: `1_000` is a number in another notation: write plain digits, or quotes"),
        ("a: 0x10", "1: `0x10` is a number in another notation: write plain digits, or quotes"),
        ("a: " + "[" * 100_000, "1: must not be nested deeper than 50 levels"),
        (
            "\n".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else ''}]" for n in range(99)),
            ("50: must not be nested deeper than 50 levels"),
        ),
    ],
)
def test_what_is_no_yaml(text: str, problem: str) -> None:
    [found] = problems(text)

    assert found.startswith(f"fleet.yaml:{problem}")


def test_an_alias_bomb_is_defused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    started = time.monotonic()
    [found] = problems("\n".join(lines))

    assert "must not hold more than 1000000 values, aliases followed" in found
    assert time.monotonic() - started < 5


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_manifests(text, source="f")
    except ManifestError as error:
        lines = [problem.line for problem in error.problems]
    else:
        lines = [1]
    assert min(lines) >= 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {
            "apiVersion": st.just("reactorsync.dev/v1alpha1"),
            "kind": st.sampled_from(["Reactor", "AnomalyScenario", "List"]),
            "metadata": json_values,
            "spec": st.dictionaries(
                st.sampled_from(["design", "site", "stages", "targets", "probes", "telemetry"]),
                json_values,
            ),
            "items": json_values,
        }
    )
)
def test_any_content_is_read_or_refused(document: object) -> None:
    text = yaml.safe_dump(document, allow_unicode=True)

    with suppress(ManifestError):
        load_manifests(text, source="f")


# Printed


def test_a_manifest_is_printed_as_kubectl_does() -> None:
    resource = reactor(
        REACTOR.replace("  name: bruce-1", "  name: bruce-1\n  labels: {unit: '1'}")
        + "  telemetry: {noise: 'Off'}\n"
    )

    assert to_manifest(resource) == dedent("""\
        apiVersion: reactorsync.dev/v1alpha1
        kind: Reactor
        metadata:
          labels:
            unit: "1"
          name: bruce-1
          namespace: default
        spec:
          design: Candu6
          powerSetpointPermille: 1000
          state: Running
          telemetry:
            intervalMilliseconds: 1000
            noise: "Off"
        """)


def test_a_status_is_printed_once_it_says_something() -> None:
    resource = reactor(REACTOR)
    observed = resource.model_copy(
        update={"status": resource.status.model_copy(update={"observed_generation": 1})}
    )

    assert "status" not in to_manifest(resource)
    assert "  observedGeneration: 1\n" in to_manifest(observed)


words = st.sampled_from(["Off", "no", "y", "010", "1e3", "0o7", "1_0", "2030-01-01", "~", "a: b"])
labels = st.dictionaries(
    st.sampled_from(["site", "on", "example.com/unit"]),
    st.sampled_from(["", "1", "NO", "y", "1e3", "0o7", "a.b", "null", "0x1"]),
)


@given(
    labels=labels,
    site=st.none() | st.builds(Site, name=words | st.text(min_size=1, max_size=120)),
    noise=st.sampled_from(SensorNoise),
    state=st.sampled_from(ReactorState),
    seed=st.none() | st.integers(0, 2**31 - 1),
)
def test_what_is_printed_is_read_back(
    labels: dict[str, str],
    site: Site | None,
    noise: SensorNoise,
    state: ReactorState,
    seed: int | None,
) -> None:
    resource = Reactor(
        metadata=ObjectMeta(name="bruce-1", labels=labels),
        spec=ReactorSpec(
            design=Design.CANDU6,
            site=site,
            telemetry=TelemetrySpec(noise=noise),
            state=state,
            seed=seed,
        ),
    )

    assert reactor(to_manifest(resource)) == resource
