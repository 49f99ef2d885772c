import sys

import numpy as np
import pytest
import torch

from edge_liif.model.checkpoint import Network, random_network, read_liif_checkpoint, save_network
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "weights" / "train"))
import blend


def test_a_blend_lies_between(small_edsr, tmp_path, monkeypatch):
    after = random_network(small_edsr.spec, seed=9)
    save_network(small_edsr, tmp_path / "before.safetensors")
    state = {name: torch.from_numpy(value) for name, value in after.tensors.items()}
    torch.save({"model": {"name": "liif", "args": {}, "sd": state}}, tmp_path / "after.pth")
    monkeypatch.setattr(
        sys,
        "argv",
        ["blend.py", str(tmp_path / "before.safetensors"), str(tmp_path / "after.pth"), "--share", "0.25",
         "-o", str(tmp_path / "out.pth")],
    )  # fmt: skip
    blend.main()
    out = read_liif_checkpoint(tmp_path / "out.pth", "out")
    for name, value in out.tensors.items():
        assert np.allclose(value, 0.75 * small_edsr.tensors[name] + 0.25 * after.tensors[name], atol=1e-6), name


def test_networks_of_different_shapes_are_refused(small_edsr: Network, small_rdn: Network):
    with pytest.raises(ValueError, match="different shapes"):
        blend.blended(small_edsr, small_rdn, 0.5)
