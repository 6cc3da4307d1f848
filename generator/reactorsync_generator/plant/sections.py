"""The sections of a design file, each a model with the bounds of its numbers.

A number stands as ``name = { value = 15.5, source = "where it is from" }``; ``representative`` as a
source means typical of the type and chosen here. Names carry their unit.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A section: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(Strict):
    """One number and where it is from."""

    value: float = Field(allow_inf_nan=False)
    source: str = Field(min_length=3)


def _positive(parameter: Parameter) -> Parameter:
    if parameter.value <= 0.0:
        raise ValueError(f"must be above 0, is {parameter.value}")
    return parameter


def _not_negative(parameter: Parameter) -> Parameter:
    if parameter.value < 0.0:
        raise ValueError(f"must not be below 0, is {parameter.value}")
    return parameter


def _share(parameter: Parameter) -> Parameter:
    if not 0.0 <= parameter.value <= 1.0:
        raise ValueError(f"must be from 0 to 1, is {parameter.value}")
    return parameter


Positive = Annotated[Parameter, AfterValidator(_positive)]
NotNegative = Annotated[Parameter, AfterValidator(_not_negative)]
Share = Annotated[Parameter, AfterValidator(_share)]


class Groups(Strict):
    """Delayed neutron or decay-heat groups, with the total their fractions must add up to."""

    decay_per_s: tuple[Annotated[float, Field(gt=0.0, allow_inf_nan=False)], ...] = Field(
        min_length=1
    )
    fraction: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = Field(min_length=1)
    total_fraction: float = Field(gt=0.0, lt=1.0)
    source: str = Field(min_length=3)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.decay_per_s) != len(self.fraction):
            raise ValueError(
                f"decay_per_s has {len(self.decay_per_s)} groups, fraction {len(self.fraction)}"
            )
        total = sum(self.fraction)
        if abs(total / self.total_fraction - 1.0) > 1e-3:
            raise ValueError(
                f"fraction adds up to {total:.6g}, total_fraction says {self.total_fraction:.6g}"
            )
        return self


class Kinetics(Strict):
    """Neutron kinetics and the heat of fission products."""

    generation_time_s: Positive
    source_reactivity: NotNegative = Field(
        description="Generation time times the neutron source; keeps a shut-down core alight."
    )
    precursors: Groups
    photoneutrons: Groups | None = None
    decay_heat: Groups


class Core(Strict):
    """The core at full power."""

    rated_thermal_mw: Positive
    fuel_temperature_c: Positive
    fuel_time_constant_s: Positive
    inlet_temperature_c: Positive
    outlet_temperature_c: Positive
    primary_flow_kg_s: Positive
    coolant_heat_capacity_kj_kg_k: Positive


class ReactivityEffects(Strict):
    """Reactivity coefficients and poisons."""

    doppler_pcm_per_k: Parameter
    coolant_pcm_per_k: Parameter = Field(description="At the core's average temperature.")
    boron_pcm_per_ppm: Parameter
    boron_ppm: NotNegative = Field(description="At full power and equilibrium.")
    xenon_worth_pcm: Positive = Field(description="Of the equilibrium at full power.")
    xenon_burnup_per_s: Positive = Field(description="Cross-section times flux at full power.")
    iodine_yield: Positive
    xenon_yield: Positive
    iodine_decay_per_s: Positive
    xenon_decay_per_s: Positive


class Primary(Strict):
    """The primary circuit: volumes, water masses per node, pumps, make-up."""

    loop_volume_m3: Positive = Field(description="Without the pressurizer.")
    core_mass_kg: Positive
    hot_leg_mass_kg: Positive
    tube_mass_kg: Positive
    cold_leg_mass_kg: Positive
    natural_circulation_share: Share = Field(
        description="Flow without pumps at full temperature rise, as a share of rated flow."
    )
    pump_quadratic_friction_per_s: NotNegative
    pump_linear_friction_per_s: NotNegative
    pump_wear_flow_loss: Share = Field(description="Share of speed lost with a worn-out bearing.")
    pump_wear_time_s: Positive
    vibration_mm_s: Positive
    worn_vibration_mm_s: Positive
    makeup_kg_s: NotNegative
    letdown_kg_s: NotNegative
    makeup_temperature_c: Positive
    injection_pressure_mpa: Positive = Field(description="Safety injection flows below it.")
    injection_kg_s: NotNegative
    injection_temperature_c: Positive
    flashing_margin_k: NotNegative = Field(
        description="Superheat of the outlet that still counts as rated boiling."
    )
    leak_area_m2: Positive = Field(description="Break area of a leak of full severity.")
    leak_discharge_coefficient: Share


class Pressurizer(Strict):
    """The pressurizer and its pressure control."""

    pressure_mpa: Positive
    volume_m3: Positive
    level_percent: Positive = Field(description="At full power.")
    level_at_zero_power_percent: Positive
    heater_mw: Positive
    heater_band_mpa: Positive = Field(description="Pressure drop that calls all heaters.")
    wall_loss_mw: Positive
    spray_kg_s: NotNegative
    spray_start_mpa: Positive
    spray_full_mpa: Positive
    relief_kg_s: NotNegative
    relief_start_mpa: Positive
    relief_full_mpa: Positive
    safety_kg_s: Positive
    safety_start_mpa: Positive
    safety_full_mpa: Positive
    flashing_time_s: Positive
    condensation_time_s: Positive


class SteamGenerator(Strict):
    """All steam generators together, with feedwater and relief."""

    steam_pressure_mpa: Positive = Field(description="At full power.")
    steam_flow_kg_s: Positive
    water_mass_kg: Positive = Field(description="At full power and level setpoint.")
    metal_mj_per_k: NotNegative
    level_span_m3: Positive
    level_setpoint_percent: Positive
    swell_percent: NotNegative = Field(description="Level lost when boiling stops.")
    swell_time_s: Positive
    uncovered_mass_kg: Positive = Field(description="Below it the tubes transfer less heat.")
    flow_independent_resistance: Share = Field(
        description="Share of the heat transfer's resistance that does not depend on primary flow."
    )
    feedwater_temperature_c: Positive = Field(description="At full load.")
    feedwater_unheated_c: Positive = Field(description="Without bleed steam.")
    feedwater_heating_time_s: Positive
    feedwater_capacity: Positive = Field(description="Of the main pumps, shares of rated flow.")
    feedwater_after_trip: NotNegative = Field(description="Share that start-up valves pass.")
    feedwater_lag_s: Positive
    feedwater_gain_per_percent: Positive
    feedwater_integral_per_percent_s: NotNegative
    auxiliary_feedwater: NotNegative
    auxiliary_start_percent: Positive
    auxiliary_temperature_c: Positive
    bypass_capacity: NotNegative
    bypass_start_mpa: Positive
    bypass_full_mpa: Positive
    relief_capacity: NotNegative
    relief_start_mpa: Positive
    relief_full_mpa: Positive
    safety_capacity: Positive
    safety_start_mpa: Positive
    safety_full_mpa: Positive
    break_flow_share: Positive = Field(description="Of a steam line break of full severity.")


class Turbine(Strict):
    """Turbine, generator and their governor."""

    rated_electrical_mw: Positive
    follows_reactor: Share = Field(
        description="1: holds steam pressure and takes what the reactor gives; 0: holds its load."
    )
    load_ramp_per_s: Positive
    valve_speed_per_s: Positive
    trip_valve_speed_per_s: Positive
    pressure_gain_per_mpa: NotNegative
    pressure_integral_per_mpa_s: NotNegative
    no_load_share: Share = Field(description="Steam that only keeps it turning.")
    generator_lag_s: Positive
    synchronisation_power: Share = Field(description="Power from which it takes load again.")


class Regulation(Strict):
    """Power regulation, by control rods or by liquid zones, and the way back after a trip."""

    worth_pcm: Positive
    s_curve: Share = Field(description="1: worth over position as a rod bank's; 0: linear.")
    insertion: Share = Field(description="At full power.")
    insertion_at_zero_power: Share
    speed_per_s: Positive
    controls_temperature: Share = Field(description="1: average temperature; 0: power alone.")
    zero_power_temperature_c: Positive
    deadband_k: NotNegative
    full_speed_error_k: Positive
    power_gain_per_s: Positive
    power_rate_gain: NotNegative
    raise_per_s: Positive
    lower_per_s: Positive
    raise_log_per_s: Positive
    turbine_trip_power: Share = Field(description="Power to run back to without turbine.")
    trim_low_insertion: Share
    trim_high_insertion: Share
    boration_ppm_s: NotNegative
    dilution_kg_s: NotNegative
    dilution_fault_kg_s: NotNegative
    adjuster_worth_pcm: NotNegative
    adjuster_speed_per_s: NotNegative
    poison_worth_pcm: NotNegative = Field(
        description="Of all the poison that is ever dissolved in the moderator; 0: none."
    )
    poison_speed_per_s: NotNegative = Field(description="Share of it added or removed.")


class Shutdown(Strict):
    """Shutdown system."""

    worth_pcm: Positive
    delay_s: NotNegative
    insertion_time_s: Positive
    withdrawal_time_s: Positive
    drops_regulating_device: Share
    reset_delay_s: Positive


class Trips(Strict):
    """Setpoints that shut the reactor down."""

    high_neutron_power: Positive
    high_power_rate_per_s: Positive
    low_primary_pressure_mpa: Positive
    high_primary_pressure_mpa: Positive
    low_primary_flow: Share
    low_steam_generator_level_percent: Positive
    high_outlet_temperature_c: Positive
    low_pressurizer_level_percent: NotNegative = Field(description="0: no such trip.")
    high_containment_pressure_kpa: Positive
    low_steam_pressure_mpa: Positive = Field(description="Isolates the steam lines as well.")
    turbine_trip_interlock_power: Positive = Field(
        description="A turbine trip above it trips the reactor; beyond any power: no such trip."
    )
    confirmation_s: Positive = Field(description="How long a condition must last.")


class Containment(Strict):
    """Containment building."""

    volume_m3: Positive
    pressure_kpa: Positive
    temperature_c: Positive
    cooling_time_s: Positive


class Sensor(Strict):
    """An instrument: first-order lag and standard deviation of its noise, in the signal's unit."""

    lag_s: float = Field(gt=0.0, le=60.0)
    noise: float = Field(ge=0.0, allow_inf_nan=False)
