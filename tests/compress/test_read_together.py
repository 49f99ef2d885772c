"""Which activations share a scale up to whole steps."""

from __future__ import annotations

from edge_liif.compress.read_together import read_together
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec


def test_dense_blocks_and_the_fusion_of_their_outputs() -> None:
    together = read_together(ModelSpec("net", RDNSpec.uniform(3, 2, 8), DecoderSpec((16,))))
    growth = {f"encoder.RDBs.1.convs.{c}.conv.0.relu" for c in range(2)}
    outputs = {f"encoder.RDBs.{d}.LFF.sum" for d in range(3)}
    for name in growth:
        assert together[name] == growth, "the block's input is signed and convolved apart"
    for name in outputs:
        assert together[name] == outputs
    assert together["encoder.SFENet2"] == {"encoder.SFENet2"}


def test_without_concatenations_nothing_is_shared() -> None:
    together = read_together(ModelSpec("net", EDSRSpec(16, (16, 16)), DecoderSpec((16,))))
    assert all(names == {name} for name, names in together.items())
