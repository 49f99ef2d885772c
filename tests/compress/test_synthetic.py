"""Synthetic calibration pictures: the same bytes again, the shares asked for, and the spectrum of photographs."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edge_liif.compress.dead_leaves import leaves_picture
from edge_liif.compress.recipe import Recipe
from edge_liif.compress.synthetic import EXTREMES, plan, synthesize

SMALL = Recipe(
    count=10, size=32, largest_radius=16.0, noise_share=0.3, extreme_share=0.2, vivid_share=0.0, jpeg_share=0.5
)
ONLY_LEAVES = Recipe(count=16, noise_share=0.0, extreme_share=0.0, vivid_share=0.0, jpeg_share=0.0)


def slope(pictures: np.ndarray) -> float:
    """Exponent of mean power over frequency, 0.03 to 0.3 cycles a pixel, of the grey pictures under a Hann window."""
    side = pictures.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    grey = pictures.mean(axis=3)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(axis=0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    edges = np.geomspace(0.03, 0.3, 12)
    rings = [(frequency >= a) & (frequency < b) for a, b in itertools.pairwise(edges)]
    x = [np.log(frequency[ring]).mean() for ring in rings if ring.any()]
    y = [np.log(power[ring].mean()) for ring in rings if ring.any()]
    return float(np.polyfit(x, y, 1)[0])


def test_the_same_recipe_gives_the_same_bytes_whatever_the_threads() -> None:
    program = (
        "import hashlib, sys, cv2; from edge_liif.compress.recipe import Recipe\n"
        "from edge_liif.compress.synthetic import synthesize\n"
        f"cv2.setNumThreads(3); print(hashlib.sha256(synthesize({SMALL!r})).hexdigest())\n"
        "assert 'torch' not in sys.modules and 'PIL' not in sys.modules"
    )
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "3")
    other = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | threads, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == hashlib.sha256(synthesize(SMALL)).hexdigest()


def test_another_seed_gives_other_pictures() -> None:
    assert not np.array_equal(synthesize(SMALL), synthesize(replace(SMALL, seed=1)))


def test_pictures_of_a_kind_differ_from_each_other() -> None:
    pictures = synthesize(replace(SMALL, extreme_share=0.0))
    assert len({picture.tobytes() for picture in pictures}) == SMALL.count


@pytest.mark.parametrize("size", [16, 33, 96])
@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_shape_and_type(size: int, reduce: int) -> None:
    pictures = synthesize(Recipe(count=3, size=size, reduce=reduce, largest_radius=16.0))
    assert pictures.dtype == np.uint8 and pictures.shape == (3, size, size, 3)


def test_the_full_range_is_there() -> None:
    pictures = synthesize(Recipe())
    assert pictures.min() == 0 and pictures.max() == 255
    assert 100 < pictures.mean() < 155, "middle grey on the whole"
    black, white = ((pictures == level).all(axis=3).mean() for level in (0, 255))
    assert 0.01 < black < 0.2 and 0.01 < white < 0.2


@pytest.mark.parametrize(
    ("noise", "extreme", "vivid", "expected"),
    [
        (0.0, 0.0, 0.0, (0, 0, 0, 20)),
        (1.0, 0.0, 0.0, (20, 0, 0, 0)),
        (0.0, 1.0, 0.0, (0, 20, 0, 0)),
        (0.0, 0.0, 1.0, (0, 0, 20, 0)),
        (0.5, 0.5, 0.0, (10, 10, 0, 0)),
        (0.2, 0.1, 0.15, (4, 2, 3, 11)),
        (0.025, 0.024, 0.026, (1, 0, 1, 18)),
        (0.525, 0.475, 0.0, (10, 10, 0, 0)),  # both round up, and 21 pictures there are not
        (0.325, 0.325, 0.325, (6, 7, 7, 0)),
    ],
)
def test_shares_of_kinds(noise: float, extreme: float, vivid: float, expected: tuple[int, int, int, int]) -> None:
    planned = plan(Recipe(noise_share=noise, extreme_share=extreme, vivid_share=vivid))
    kinds = Counter(picture.kind for picture in planned)
    extremes = sum(kinds[kind] for kind in EXTREMES)
    assert (kinds["noise"], extremes, kinds["vivid"], kinds["leaves"]) == expected and len(planned) == 20


def test_every_kind_is_what_its_name_says() -> None:
    recipe = replace(SMALL, count=20, noise_share=0.2, extreme_share=0.4, vivid_share=0.2, jpeg_share=0.0)
    seen = set()
    for planned, picture in zip(plan(recipe), synthesize(recipe), strict=True):
        seen.add(planned.kind)
        colours = len(np.unique(picture.reshape(-1, 3), axis=0))
        steps = np.abs(np.diff(picture.astype(int), axis=1)).max()
        if planned.kind in ("black", "white"):
            assert (picture == (255 if planned.kind == "white" else 0)).all()
        elif planned.kind == "flat":
            assert colours == 1 and set(np.unique(picture)) == {0, 255}
        elif planned.kind in ("mosaic", "vivid"):
            assert colours == 4 and (np.diff(picture.astype(int), axis=1) == 0).mean() > 0.9
        elif planned.kind == "halves":
            assert colours == 2 and 0.2 < (picture == 0).mean() < 0.8
        elif planned.kind == "ramp":
            assert colours > 32 and steps < 20 and {0, 255} <= set(np.unique(picture))
        else:
            assert colours > 300
    assert seen == {*EXTREMES, "vivid", "noise", "leaves"}


def test_vivid_colours_lie_near_the_faces_of_the_cube() -> None:
    """By the arcsine law half of the values lie within 15 % of an end; 30 % would, were they uniform."""
    values = synthesize(replace(SMALL, count=40, noise_share=0.0, extreme_share=0.0, vivid_share=1.0)) / 255
    assert 0.4 < ((values < 0.15) | (values > 0.85)).mean() < 0.6
    assert abs(values.mean() - 0.5) < 0.05


def test_the_share_asked_for_passes_through_jpeg() -> None:
    """JPEG changes the pictures that the plan says, those alone, and leaves their content what it was."""
    plain, coded = synthesize(replace(SMALL, jpeg_share=0.0)), synthesize(SMALL)
    changed = [not np.array_equal(a, b) for a, b in zip(plain, coded, strict=True)]
    assert changed == [picture.jpeg_quality is not None for picture in plan(SMALL)]
    assert sum(changed) == 4, "half of the eight that are neither flat nor ramps"
    # colour is lost first at low quality: compare the brightness
    for a, b in zip(plain[changed], coded[changed], strict=True):
        assert np.corrcoef(a.mean(axis=2).ravel(), b.mean(axis=2).ravel())[0, 1] > 0.9


def test_jpeg_qualities_lie_in_the_range() -> None:
    recipe = Recipe(count=400, jpeg_share=1.0, extreme_share=0.0, vivid_share=0.0, jpeg_quality=(40, 43))
    assert {picture.jpeg_quality for picture in plan(recipe)} == {40, 41, 42, 43}


def test_power_falls_with_the_square_of_the_frequency() -> None:
    assert slope(synthesize(ONLY_LEAVES)) == pytest.approx(-2, abs=0.3)
    assert slope(synthesize(replace(ONLY_LEAVES, noise_share=1.0))) == pytest.approx(-2, abs=0.3)
    white = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3))
    assert slope(white) == pytest.approx(0, abs=0.2), "the measure itself"


def test_leaves_are_plain_areas_with_sharp_edges() -> None:
    """Without texture a leaf has one colour, and colours meet without a transition."""
    picture = leaves_picture(np.random.default_rng(0), 96, 4, 48, texture=0.0).astype(int)
    equal = (np.diff(picture, axis=1) == 0).all(axis=2)
    assert 0.6 < equal.mean() < 0.95
    steps = np.abs(np.diff(picture.mean(axis=2), axis=1))[~equal]
    assert np.median(steps) > 20
    textured = leaves_picture(np.random.default_rng(0), 96, 4, 48, texture=0.3).astype(int)
    assert (np.diff(textured, axis=1) == 0).all(axis=2).mean() < 0.5 * equal.mean()
    assert np.corrcoef(picture.ravel(), textured.ravel())[0, 1] > 0.8, "the same leaves"


def test_radii_set_how_coarse_the_leaves_are() -> None:
    """Edges per pixel fall as the smallest leaf grows."""
    shares = []
    for smallest in (2, 4, 8):
        picture = leaves_picture(np.random.default_rng(3), 128, smallest, 40, texture=0.0).astype(int)
        shares.append((np.diff(picture, axis=0) != 0).any(axis=2).mean())
    assert shares[0] > 1.3 * shares[1] > 1.3**2 * shares[2]
