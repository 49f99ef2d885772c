"""What a recipe makes of a model, as a file: the network that `edge-liif compress` would make."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchao")

from edge_liif.bench.networks import network_file
from edge_liif.bench.recipe import BenchRecipe, with_real_twins
from edge_liif.bench.store import Store
from edge_liif.compress.config import CompressConfig
from edge_liif.compress.pipeline import compress
from edge_liif.compress.real_pictures import with_photographs
from edge_liif.compress.recipe import Recipe
from edge_liif.model.checkpoint import Network, load_network, save_network
from edge_liif.model.convert import with_known_answer


def test_a_real_twin_sees_photographs_beside_the_recipes_pages(
    tmp_path: Path, small_edsr: Network, photograph: np.ndarray
) -> None:
    toy, real = tmp_path / "toy.safetensors", tmp_path / "real"
    save_network(with_known_answer(small_edsr), toy)
    real.mkdir()
    cv2.imwrite(str(real / "a.png"), cv2.resize(photograph, (360, 320)))
    config = CompressConfig(method="lockstep", weight_bits=8, queries=64)
    recipes = with_real_twins((BenchRecipe("w8", config),), real)
    files = [network_file(str(toy), recipe, (3.0,), Store(tmp_path / "work")) for recipe in recipes]
    free, twin = (load_network(file.path) for file in files)
    pictures, source = with_photographs(Recipe(), [real])
    expected, _ = compress(load_network(toy), config, pictures)
    name = "encoder.body.0.body.0.weight"
    assert np.array_equal(twin.tensors[name], expected.tensors[name])
    assert not np.array_equal(twin.tensors[name], free.tensors[name])
    said = [network.spec.compression.config["calibration"] for network in (free, twin)]
    assert said[1] == {**source, "recipe": said[0]["recipe"]} and "photographs" not in said[0]
