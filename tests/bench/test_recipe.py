"""Recipes as words and tables, and sweep files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torchao")

from edge_liif.bench.recipe import parse_recipe, recipe_of, with_real_twins
from edge_liif.bench.report import compress_command
from edge_liif.bench.sweep import Sweep, sweep_settings
from edge_liif.compress.config import CompressConfig
from edge_liif.errors import UsageError
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("word", "config", "title"),
    [
        ("original", None, "original"),
        ("w8a8", CompressConfig("lockstep", 0.0, 8, 8), "W8A8"),
        ("p25", CompressConfig("lockstep", 0.25), "25 %"),
        ("p12.5-w4", CompressConfig("lockstep", 0.125, 4), "12.5 % + W4"),
        ("p30-w6a8:magnitude", CompressConfig("magnitude", 0.3, 6, 8), "30 % + W6A8, magnitude"),
    ],
)
def test_words(word: str, config: CompressConfig | None, title: str) -> None:
    recipe = parse_recipe(word)
    assert recipe.config == config and recipe.title == title
    assert recipe.integer == (config is not None and config.activation_bits is not None)


@pytest.mark.parametrize("word", ["", "p", "8", "w9a8", "w8a5", "p95", "w8a8:magic", "a8", "p25w8a8x", "w2"])
def test_words_that_mean_nothing(word: str) -> None:
    with pytest.raises(UsageError, match="recipe"):
        parse_recipe(word)


def test_the_command_makes_the_same_recipe() -> None:
    table = {"name": "mine", "prune": 0.3, "weight_bits": 6, "activation_bits": 8, "keep": {"imnet.*": 8}, "seed": 3}
    recipe = recipe_of({**table, "calibrate_on": "my photos"})
    command = compress_command("m", recipe, "out.safetensors")
    assert command == (
        "edge-liif compress m --prune 0.3 --weight-bits 6 --activation-bits 8 --keep 'imnet.*=8' --seed 3 "
        "--calibrate-on 'my photos' -o out.safetensors"
    )
    assert recipe.title.endswith("real pictures")
    other = recipe_of({"name": "mine", "prune": 0.3, "scale": 2.0, "multiple": 32})
    assert compress_command("m", other, "o") == "edge-liif compress m --prune 0.3 --scale 2 --multiple 32 -o o"
    scored = recipe_of({"name": "mine", "prune": 0.3, "method": "udfc", "score": "energy", "equalise": True})
    assert scored.title == "30 %, udfc, by energy, equalised"
    assert compress_command("m", scored, "o") == (
        "edge-liif compress m --prune 0.3 --method udfc --score energy --equalise -o o"
    )
    beyond = recipe_of({"name": "mine", "weight_bits": 4, "margin": 1.2})
    assert compress_command("m", beyond, "o") == "edge-liif compress m --config mine.toml -o o"
    twin = with_real_twins((beyond,), Path("photos"))[1]
    assert compress_command("m", twin, "o") == "edge-liif compress m --config mine.toml --calibrate-on photos -o o"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "benchmarks/sweeps").glob("*.toml")), ids=lambda path: path.stem)
def test_our_sweep_files(path: Path) -> None:
    recipes = sweep_settings(path)["recipes"]
    assert len({recipe.name for recipe in recipes}) == len({recipe.title for recipe in recipes}) == len(recipes) > 2


def test_a_sweep_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(
        'models = ["a", "b"]\ndata = ["d"]\nrecipes = ["original", "w8a8"]\nscales = [2, 3.5]\nsize = [64, 48]\n'
        'rounds = 0\n[[recipe]]\nname = "real"\nweight_bits = 4\ncalibrate_on = "photos"\n'
    )
    sweep = Sweep(**sweep_settings(path))
    assert sweep.models == ("a", "b") and sweep.scales == (2.0, 3.5) and sweep.size == (64, 48)
    assert [r.name for r in sweep.recipes] == ["original", "w8a8", "real"]
    assert sweep.recipes[2].calibrate_on == Path("photos")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("modles = []", "no setting 'modles'"),
        ("models = 3", "models is a list"),
        ("models = [3]", "list of texts"),
        ("scales = ['2']", "list of numbers"),
        ("rounds = 1.5", "whole number"),
        ("peers = 1", "true or false"),
        ("size = [3]", "width, height"),
        ('recipes = ["w99"]', "recipe 'w99'"),
        ("[[recipe]]\nprune = 0.5", "needs a name"),
        ('[[recipe]]\nname = "x"\nprun = 0.5', "no setting 'prun'"),
        ("models = [", "sweep.toml"),
    ],
)
def test_sweep_files_that_are_wrong(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=part):
        sweep_settings(path)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"scales": (1.0,)}, "scale"),
        ({"precisions": ("auto",)}, "auto would hide"),
        ({"engines": ("cuda",)}, "--engine 'cuda'"),
        ({"rounds": -1}, "--rounds -1"),
        ({"limit": 0}, "--limit 0 is not from 1"),
        ({"threads": 0}, "--threads 0 is not from 1"),
        ({"crops": 21}, "--crops 21"),
        ({"models": ("m", "m")}, "models: m is there twice"),
        ({"scales": (2.0, 3.0, 2.0)}, "scales: 2.0 is there twice"),
        ({"data": (Path("d"), Path("d"))}, "data: d is there twice"),
        ({"size": (8, 64)}, "--size 8x64"),
        ({"data": ()}, "--data DIR"),
        ({"downsample": "lanczos"}, "pil or matlab"),
        ({"recipes": (parse_recipe("w8"), parse_recipe("w8"))}, "two recipes"),
    ],
)
def test_sweeps_that_are_wrong(change: dict, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        Sweep(**{"models": ("m",), "data": (Path("d"),), **change})
