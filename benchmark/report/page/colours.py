"""Colours of curves on dark paper: as light as they must be, and as far apart as those on white paper are."""

from __future__ import annotations

from typing import Any

import numpy as np

# Linear sRGB to the cones of OKLab, and these to lightness and two axes of colour: B. Ottosson, "A perceptual color
# space for image processing", 2020.
_CONES: Any = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_AXES: Any = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Of the lightness: what is added, its share that is kept, and the least. Of the values tried, these leave the colours
# of the protocol's methods farthest apart, also to eyes that lack a kind of cone.
_ADDED, _KEPT, _LEAST = 0.36, 0.7, 0.55


def on_dark(colour: str) -> str:
    """The same hue, lighter; as much less colourful as a screen needs to show it.

    Args:
        colour: `#RRGGBB`.
    """
    lightness, *axes = _AXES @ np.cbrt(_CONES @ linear(colour))
    lightness = min(1.0, max(_LEAST, _ADDED + _KEPT * lightness))
    for share in np.linspace(1.0, 0.0, 51):
        lab = np.array([lightness, *(share * axis for axis in axes)])
        found = np.linalg.inv(_CONES) @ (np.linalg.inv(_AXES) @ lab) ** 3
        if found.min() > -1e-3 and found.max() < 1 + 1e-3:
            break
    found = np.clip(found, 0.0, 1.0)
    channels = np.where(found <= 0.0031308, 12.92 * found, 1.055 * found ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in channels.tolist())


def linear(colour: str) -> Any:
    """Red, green and blue of `#RRGGBB` as shares of light, (3,)."""
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
