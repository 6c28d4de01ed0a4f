"""The colours of curves: told apart by eyes that lack a kind of cone, on white paper and on dark."""

import itertools

import numpy as np
import pytest

from benchmark.report.page.colours import linear, on_dark
from benchmark.report.plot_styles import STYLES
from samplers import protocol_scheduler_names

# Linear sRGB as it is seen: Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color
# vision deficiency", 2009, severity 1.
SIGHTS = {
    "all cones": np.eye(3),
    "no long": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no middle": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no short": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Of CIE 1976; a difference of 2.3 is just seen, of two patches side by side.
LEAST_DIFFERENCE = 8.5


def lab(light: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(np.maximum(XYZ @ light / [0.9505, 1.0, 1.089], 0.001))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("paper", ["#FFFFFF", "#141416"])
def test_the_protocols_methods_have_colours_far_apart(paper: str, sight: str) -> None:
    colours = [STYLES[name][0] for name in protocol_scheduler_names()]
    if paper != "#FFFFFF":
        colours = [on_dark(colour) for colour in colours]
    seen = [lab(np.clip(SIGHTS[sight] @ linear(colour), 0, 1)) for colour in colours]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > LEAST_DIFFERENCE


@pytest.mark.parametrize("colour", ["#000000", "#FFFFFF", *(colour for colour, _ in STYLES.values())])
def test_every_colour_stands_out_from_dark_paper(colour: str) -> None:
    assert contrast(on_dark(colour), "#141416") > 3


def test_greys_stay_grey() -> None:
    found = on_dark("#707070")
    assert found[1:3] == found[3:5] == found[5:7]


def test_every_curve_has_a_marker_of_its_own() -> None:
    markers = [STYLES[name][1] for name in protocol_scheduler_names()]
    assert len(set(markers)) == len(markers)
