"""Photographs take the places of what was painted to stand for them, and no others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_liif.compress.frozen import pictures_digest
from edge_liif.compress.real_pictures import crops, with_photographs
from edge_liif.compress.recipe import Recipe
from edge_liif.compress.synthetic import PHOTOGRAPHIC, plan, synthesize
from edge_liif.errors import UsageError

RECIPE = Recipe(count=12, size=16, largest_radius=8.0, jpeg_share=0.5)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(90, 110, (60, 70, 3), np.uint8))
    return tmp_path


def test_pages_and_mosaics_stay(photographs: Path) -> None:
    painted, real = synthesize(RECIPE), with_photographs(RECIPE, [photographs])[0]
    for i, planned in enumerate(plan(RECIPE)):
        same = np.array_equal(painted[i], real[i])
        assert same != (planned.kind in PHOTOGRAPHIC), planned
        if not same:
            assert real[i].min() > 80 and real[i].max() < 120


def test_photographs_are_coded_as_what_they_stand_for(photographs: Path) -> None:
    real, said = with_photographs(RECIPE, [photographs])
    places = [i for i, planned in enumerate(plan(RECIPE)) if planned.kind in PHOTOGRAPHIC]
    plain = crops([photographs], len(places), RECIPE.size, RECIPE.reduce, RECIPE.seed)
    coded = [plan(RECIPE)[i].jpeg_quality is not None for i in places]
    assert any(coded) and not all(coded)
    assert said == {"recipe": asdict(RECIPE), "photographs": pictures_digest(plain)}
    assert [not np.array_equal(real[i], picture) for i, picture in zip(places, plain, strict=True)] == coded


def test_what_is_too_small_or_has_no_place_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 90, 3), np.uint8))
    with pytest.raises(UsageError, match="no picture of at least 48 x 48 pixels"):
        with_photographs(RECIPE, [tmp_path])
    pages = Recipe(count=3, size=16, largest_radius=8.0, noise_share=0.0, extreme_share=1.0, vivid_share=0.0)
    with pytest.raises(UsageError, match="no leaves and no noise"):
        with_photographs(pages, [tmp_path])
