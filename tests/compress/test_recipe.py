"""Recipes: TOML there and back, and every bad value named with its file and key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_liif.compress.recipe import Recipe, read_recipe, write_recipe
from edge_liif.errors import UsageError

DEFAULT = Path(__file__).parents[2] / "calibration" / "default.toml"


def test_the_committed_recipe_is_the_default_in_full() -> None:
    assert read_recipe(DEFAULT) == Recipe()
    assert all(f"\n{field.name} = " in DEFAULT.read_text(encoding="utf-8") for field in fields(Recipe))


@given(
    st.builds(
        Recipe,
        version=st.just(1),
        count=st.integers(1, 200),
        size=st.integers(16, 200),
        seed=st.integers(0, (1 << 63) - 1),
        noise_share=st.floats(0, 0.25),
        extreme_share=st.floats(0, 0.5),
        vivid_share=st.floats(0, 0.25),
        jpeg_share=st.floats(0, 1),
        jpeg_quality=st.tuples(st.integers(1, 50), st.integers(50, 100)),
        reduce=st.integers(1, 8),
        smallest_radius=st.floats(0.5, 4),
        largest_radius=st.floats(4, 32),
        texture=st.floats(0, 1),
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    write_recipe(recipe, path)
    assert read_recipe(path) == recipe


def test_what_a_recipe_lacks_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("version = 1\ncount = 3\n", encoding="utf-8")
    assert read_recipe(tmp_path / "r.toml") == Recipe(count=3)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("count = 0", "count"),
        ("count = 1.5", "count"),
        ("count = true", "count"),
        ('count = "20"', "count"),
        ("count = 10_000\nsize = 1024", "count"),
        ("size = 8", "size"),
        ("size = 1024\nreduce = 8", "size"),
        ("seed = -1", "seed"),
        ("seed = 9223372036854775808", "seed"),
        ("noise_share = -0.1", "noise_share"),
        ("noise_share = nan", "noise_share"),
        ("extreme_share = inf", "extreme_share"),
        ("noise_share = 0.6\nextreme_share = 0.6", "extreme_share"),
        ("vivid_share = -1", "vivid_share"),
        ("noise_share = 0.4\nextreme_share = 0.4\nvivid_share = 0.4", "vivid_share"),
        ("jpeg_share = 1.01", "jpeg_share"),
        ("jpeg_quality = 50", "jpeg_quality"),
        ("jpeg_quality = [50]", "jpeg_quality"),
        ("jpeg_quality = [80, 50]", "jpeg_quality"),
        ("jpeg_quality = [0, 50]", "jpeg_quality"),
        ("jpeg_quality = [50, 101]", "jpeg_quality"),
        ("jpeg_quality = [50.0, 60.0]", "jpeg_quality"),
        ("reduce = 0", "reduce"),
        ("reduce = 9", "reduce"),
        ("smallest_radius = 0", "smallest_radius"),
        ("smallest_radius = 50", "smallest_radius"),
        ("largest_radius = 500", "largest_radius"),
        ("texture = 2", "texture"),
        ("colour = 1", "colour"),
        ("[count]\nx = 1", "count"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, line: str, key: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f"version = 1\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        read_recipe(path)
    assert str(path) in str(error.value) and key in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"count = 3", "version is missing"),
        (b"version = 2", "version must be 1"),
        (b"version = true", "version must be 1"),
        (b"count = [", "not a recipe in TOML"),
        (b"\xff\xfe", "not a recipe in TOML"),
        (None, "can't read"),
    ],
)
def test_files_that_are_no_recipes(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        read_recipe(path)
    assert str(path) in str(error.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't write"):
        write_recipe(Recipe(), tmp_path / "absent" / "r.toml")
