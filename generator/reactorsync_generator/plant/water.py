"""Properties of saturated water and steam that the plant model needs.

The saturation line is IAPWS-IF97 region 4 in both directions. The others are polynomials fitted to
the IAPWS-95 formulation between 15 and 358 degC (steam pressure: 100 to 366 degC). Largest relative
deviation: liquid enthalpy 0.14 %, steam enthalpy 0.08 %, liquid density 0.32 %, steam pressure
0.16 %. They stand for heavy water too, whose saturation temperature at 10 MPa differs by 1 K.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactorsync_generator.plant.jit import compiled

_KELVIN: Final = 273.15

# IAPWS-IF97 (2007 release), table 34.
_N1: Final = 0.11670521452767e4
_N2: Final = -0.72421316703206e6
_N3: Final = -0.17073846940092e2
_N4: Final = 0.12020824702470e5
_N5: Final = -0.32325550322333e7
_N6: Final = 0.14915108613530e2
_N7: Final = -0.48232657361591e4
_N8: Final = 0.40511340542057e6
_N9: Final = -0.23855557567849
_N10: Final = 0.65017534844798e3


@compiled
def saturation_temperature_c(pressure_mpa: float) -> float:
    """Return the saturation temperature at ``pressure_mpa`` (0.0007 to 22 MPa), in degC."""
    root = np.sqrt(np.sqrt(pressure_mpa))
    e = root * root + _N3 * root + _N6
    f = _N1 * root * root + _N4 * root + _N7
    g = _N2 * root * root + _N5 * root + _N8
    d = 2.0 * g / (-f - np.sqrt(f * f - 4.0 * e * g))
    inner = (_N10 + d) * (_N10 + d) - 4.0 * (_N9 + _N10 * d)
    return float((_N10 + d - np.sqrt(inner)) / 2.0 - _KELVIN)


@compiled
def saturation_pressure_mpa(temperature_c: float) -> float:
    """Return the saturation pressure at ``temperature_c`` (0 to 370 degC), in MPa."""
    kelvin = temperature_c + _KELVIN
    theta = kelvin + _N9 / (kelvin - _N10)
    a = theta * theta + _N1 * theta + _N2
    b = _N3 * theta * theta + _N4 * theta + _N5
    c = _N6 * theta * theta + _N7 * theta + _N8
    ratio = 2.0 * c / (-b + np.sqrt(b * b - 4.0 * a * c))
    squared = ratio * ratio
    return float(squared * squared)


@compiled
def _scaled(temperature_c: float) -> float:
    return (min(max(temperature_c, 5.0), 362.0) - 190.0) / 170.0


@compiled
def liquid_enthalpy_kj_kg(temperature_c: float) -> float:
    """Return the enthalpy of saturated liquid at ``temperature_c``, in kJ/kg."""
    x = _scaled(temperature_c)
    y = 5.21800557 + x * (47.2626159 + x * 24.7367452)
    y = 56.4305164 + x * (14.4342793 + x * (-24.4136781 + x * y))
    return 807.344346 + x * (757.504619 + x * (68.9523958 + x * y))


@compiled
def steam_enthalpy_kj_kg(temperature_c: float) -> float:
    """Return the enthalpy of saturated steam at ``temperature_c``, in kJ/kg."""
    x = _scaled(temperature_c)
    y = 59.6754712 + x * (-90.2635693 + x * -80.328858)
    y = -114.594 + x * (-62.0813693 + x * (50.8348023 + x * y))
    return 2785.22146 + x * (128.126463 + x * (-190.985956 + x * y))


@compiled
def liquid_density_kg_m3(temperature_c: float) -> float:
    """Return the density of saturated liquid at ``temperature_c``, in kg/m3."""
    x = _scaled(temperature_c)
    y = 33.4028106 + x * (-44.5808265 + x * -43.2270248)
    y = -78.3813044 + x * (-35.3922643 + x * (11.2389364 + x * y))
    return 876.3045 + x * (-188.555259 + x * y)


@compiled
def steam_pressure_mpa(density_kg_m3: float) -> float:
    """Return the pressure of saturated steam of ``density_kg_m3`` (0 to 400), in MPa; monotone."""
    x = np.sqrt(density_kg_m3) / 10.0
    y = 3.506669167 + x * (-4.875429139 + x * (4.062359706 + x * (-1.822349104 + x * 0.3382916589)))
    y = 0.1409526426 + x * (0.4839878235 + x * (-1.68129008 + x * y))
    return float(density_kg_m3 * y)
