"""Water and steam against IAPWS reference values."""

import pytest

from reactorsync_generator.plant.water import (
    liquid_density_kg_m3,
    liquid_enthalpy_kj_kg,
    saturation_pressure_mpa,
    saturation_temperature_c,
    steam_enthalpy_kj_kg,
    steam_pressure_mpa,
)


@pytest.mark.parametrize(
    ("pressure_mpa", "kelvin"), [(0.1, 372.755919), (1.0, 453.035632), (10.0, 584.149488)]
)
def test_boiling_points_are_those_of_the_release(pressure_mpa: float, kelvin: float) -> None:
    """IAPWS-IF97, table 36."""
    assert saturation_temperature_c(pressure_mpa) + 273.15 == pytest.approx(kelvin, abs=1e-6)


@pytest.mark.parametrize(
    ("kelvin", "pressure_mpa"), [(300.0, 0.353658941e-2), (500.0, 2.63889776), (600.0, 12.3443146)]
)
def test_vapour_pressures_are_those_of_the_release(kelvin: float, pressure_mpa: float) -> None:
    """IAPWS-IF97, table 35."""
    assert saturation_pressure_mpa(kelvin - 273.15) == pytest.approx(pressure_mpa, rel=1e-8)


@pytest.mark.parametrize(
    ("temperature_c", "liquid_kj_kg", "steam_kj_kg", "density", "steam_density"),
    [
        (100.0, 419.17, 2675.57, 958.35, 0.59817),
        (200.0, 852.27, 2792.01, 864.66, 7.8610),
        (260.0, 1134.96, 2796.60, 783.63, 23.712),
        (310.0, 1402.22, 2727.95, 690.67, 54.541),
        (345.0, 1631.48, 2594.90, 593.63, 102.364),
    ],
)
def test_the_fits_stay_within_their_stated_deviation(
    temperature_c: float,
    liquid_kj_kg: float,
    steam_kj_kg: float,
    density: float,
    steam_density: float,
) -> None:
    """IAPWS-95 values on the saturation line."""
    assert liquid_enthalpy_kj_kg(temperature_c) == pytest.approx(liquid_kj_kg, rel=1.4e-3)
    assert steam_enthalpy_kj_kg(temperature_c) == pytest.approx(steam_kj_kg, rel=8e-4)
    assert liquid_density_kg_m3(temperature_c) == pytest.approx(density, rel=3.2e-3)
    pressure = saturation_pressure_mpa(temperature_c)
    assert steam_pressure_mpa(steam_density) == pytest.approx(pressure, rel=1.7e-3)


def test_steam_pressure_rises_with_density_over_all_that_can_occur() -> None:
    pressures = [steam_pressure_mpa(0.1 * tenth) for tenth in range(1, 1901)]
    assert pressures == sorted(pressures)
