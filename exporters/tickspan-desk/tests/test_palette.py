"""Colours of data are told apart by everybody, and seen on their ground."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest
import tickspan_desk

CSS = Path(tickspan_desk.__file__).parent / "web/static/desk.css"
Colour = tuple[float, float, float]

SIGHTS: Mapping[str, tuple[Colour, Colour, Colour]] = {
    "all cones": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "no long waves": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no middle waves": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no short waves": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Machado, Oliveira, Fernandes 2009, severity 1.0, over linear RGB."""

TOLD_APART = 8.0
"""CIE 1976 colour difference; 2.3 is just noticeable side by side."""
SEEN = 3.0
"""WCAG 2.2, success criterion 1.4.11: contrast of what a picture is made of."""


def colours(theme: str) -> dict[str, str]:
    """The variables of the sheet that are colours of a theme, in hex."""
    pairs = re.findall(r"(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS.read_text(encoding="utf-8"))
    return {name: light if theme == "light" else dark for name, light, dark in pairs}


def linear(colour: str) -> Colour:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return red, green, blue


def seen_by(sight: str, colour: Colour) -> Colour:
    red, green, blue = [
        min(1.0, max(0.0, sum(factor * part for factor, part in zip(row, colour, strict=True))))
        for row in SIGHTS[sight]
    ]
    return red, green, blue


def lab(colour: Colour) -> Colour:
    """CIELAB of linear sRGB under D65."""
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    ratios = [
        sum(factor * part for factor, part in zip(row, colour, strict=True)) / of
        for row, of in zip(rows, white, strict=True)
    ]
    x, y, z = [ratio ** (1 / 3) if ratio > 0.008856 else 7.787 * ratio + 16 / 116 for ratio in ratios]
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def luminance(colour: str) -> float:
    return sum(part * weight for part, weight in zip(linear(colour), (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_colours_of_data_look_alike(theme: str, sight: str) -> None:
    data = {name: colour for name, colour in colours(theme).items() if re.fullmatch(r"--c\d", name)}
    places = {name: lab(seen_by(sight, linear(colour))) for name, colour in data.items()}
    alike = {
        (one, other): round(
            sum((a - b) ** 2 for a, b in zip(places[one], places[other], strict=True)) ** 0.5, 1
        )
        for one, other in combinations(places, 2)
    }
    assert len(data) == 8
    assert {pair: far for pair, far in alike.items() if far < TOLD_APART} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_data_is_seen_on_its_ground(theme: str) -> None:
    found = colours(theme)
    ground = luminance(found["--card"])
    contrasts = {
        name: round((max(ground, of) + 0.05) / (min(ground, of) + 0.05), 2)
        for name, of in (
            (name, luminance(colour)) for name, colour in found.items() if re.fullmatch(r"--c\d", name)
        )
    }
    assert {name: contrast for name, contrast in contrasts.items() if contrast < SEEN} == {}
