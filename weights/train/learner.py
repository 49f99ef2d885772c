"""The network while it learns: an encoder and one or more decoders ("heads") as trainable torch tensors.

The encoder is the package's own forward pass (edge_liif.model.rdn, .edsr) over trainable tensors. The decoder is the
package's exact fast form: its first layer is a 3x3 convolution made once per LR pixel, so no unfolded tensor is ever
built, and the gradients are those of the paper's form.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from edge_liif.compress.watch import Watched
from edge_liif.engine.torch import TorchLayers
from edge_liif.geometry import axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.model.liif import COORDINATES, layer_names
from edge_liif.model.spec import ModelSpec

Tensors = dict[str, torch.Tensor]


class TrainableLayers(TorchLayers):
    """`model.layers.Layers` over tensors that somebody else owns.

    centres: mean of each input channel of a convolution, by the convolution's name. Where it is given, the convolution
    reads x - centre and its tensor `bias` is meant for that. The function is the same, zero padding included; what
    changes is that a step in a weight no longer moves the mean of the output, which matters where inputs are far from
    zero (a shifted linear result behind a ReLU, as `start.py` makes them).
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.centres: Tensors = {}

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        if name not in self.centres:
            return super().conv(x, name)
        weight = self.tensors[f"{name}.weight"]
        pad = weight.shape[-1] // 2
        wide = F.pad(x, (pad, pad, pad, pad)) - self.centres[name].to(x.dtype)[:, None, None]
        return F.conv2d(wide, weight, self.tensors[f"{name}.bias"])


class AxisTable:
    """Both neighbours of every output position of an axis: cell, offset and share, as tensors (positions, 2)."""

    def __init__(self, cells: int, positions: int, device: torch.device) -> None:
        queries = axis_queries(cells, positions, 0, positions)

        def both(values) -> torch.Tensor:  # type: ignore[no-untyped-def]
            pair = torch.stack([torch.from_numpy(values[side]) for side in (queries.first, queries.second)], 1)
            return pair.to(device)

        self.cell = both(queries.index).long()
        self.offset = both(queries.offset).float()
        share = torch.from_numpy(queries.weight).float()
        self.share = torch.stack([1 - share, share], 1).to(device)


class Learner:
    """Trainable tensors of one encoder and of its heads.

    heads: name of the network that the encoder makes with that head, and its specification. Encoder tensors are shared.
    """

    def __init__(self, networks: list[Network], device: torch.device) -> None:
        first = networks[0]
        self.specs: dict[str, ModelSpec] = {n.spec.name: n.spec for n in networks}
        self.encoder_spec, self.encoder_module = first.spec.encoder, first.spec.encoder_module
        self.tensors: Tensors = {}
        for network in networks:
            for key, value in network.tensors.items():
                shared = key.startswith("encoder.")
                name = key if shared else f"{network.spec.name}:{key}"
                if name not in self.tensors:
                    tensor = torch.from_numpy(value.copy()).to(device)
                    if tensor.ndim == 4:
                        tensor = tensor.contiguous(memory_format=torch.channels_last)
                    self.tensors[name] = tensor.requires_grad_()
        self._layers = TrainableLayers(self.tensors)

    def centre(self, lr: torch.Tensor) -> None:
        """From now on the encoder's convolutions read their inputs less the means they have on lr (B, 3, h, w)."""
        centres: Tensors = {}

        def measure(name: str, x: torch.Tensor) -> None:
            centres[name] = x.float().mean((0, 2, 3))

        with torch.no_grad():
            self.encoder_module.forward(Watched(TrainableLayers(self.tensors), measure), self.encoder_spec, lr)
        self.set_centres(centres)
        for name in centres:
            self.tensors[f"{name}.bias"].data += self._moved(name, self.tensors)

    def set_centres(self, centres: Tensors) -> None:
        """Centres of a checkpoint, whose biases are meant for them already."""
        self._layers.centres = centres

    @property
    def centres(self) -> Tensors:
        return self._layers.centres

    def _moved(self, name: str, tensors: Tensors) -> torch.Tensor:
        """What a convolution gives for the centre of its input."""
        return tensors[f"{name}.weight"].detach().sum((2, 3)) @ self.centres[name]

    def features(self, lr: torch.Tensor) -> torch.Tensor:
        """Features (B, F, h, w) of LR pictures (B, 3, h, w) in -1..1."""
        return self.encoder_module.forward(self._layers, self.encoder_spec, lr)

    def colours(
        self, head: str, features: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, axis: AxisTable
    ) -> torch.Tensor:
        """Colours (B, Q, 3) in -1..1 at output positions rows, columns (B, Q) of square patches."""
        spec = self.specs[head]
        names = [f"{head}:{name}" for name in layer_names(spec.decoder)]
        weight, bias = self.tensors[f"{names[0]}.weight"], self.tensors[f"{names[0]}.bias"]
        batch, channels, height, width = features.shape
        kernel = weight[:, :-COORDINATES].reshape(len(weight), channels, 3, 3)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        hidden = F.conv2d(features, kernel, padding=1).permute(0, 2, 3, 1).reshape(batch, height * width, -1)
        # (B, Q, 2, 2): the four neighbours
        cell = axis.cell[rows][..., :, None] * width + axis.cell[columns][..., None, :]
        offset_row, offset_column = axis.offset[rows][..., :, None, None], axis.offset[columns][..., None, :, None]
        share = axis.share[rows][..., :, None] * axis.share[columns][..., None, :]
        picked = torch.gather(hidden, 1, cell.reshape(batch, -1, 1).expand(-1, -1, hidden.shape[-1]))
        x = picked.view(batch, -1, 2, 2, hidden.shape[-1])
        # 2 h / H, as Geometry.cell; square patches have one
        size = 2.0 * height / len(axis.cell)
        constant = bias + (weight[:, -2] + weight[:, -1]) * size
        x = x + (offset_row * weight[:, -4] + offset_column * weight[:, -3] + constant).to(x.dtype)
        for name in names[1:]:
            x = F.linear(F.relu(x), self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])
        return (x.float() * share[..., None]).sum((2, 3))

    def network(self, head: str, tensors: Tensors) -> Network:
        """The network of a head with these values (the learner's own names), on the CPU in float32."""
        spec = self.specs[head]
        arrays = {}
        for name in spec.tensor_shapes:
            source = name if name.startswith("encoder.") else f"{head}:{name}"
            value = tensors[source].detach()
            layer = name.removesuffix(".bias")
            if layer != name and layer in self.centres:
                value = value - self._moved(layer, tensors)
            arrays[name] = value.to("cpu", torch.float32).contiguous().numpy()
        return Network(replace(spec), arrays)


def groups_by_rate(learner: Learner, decoder_rate: float) -> list[dict]:
    """Parameter groups for an optimizer: the decoder learns at `decoder_rate` times the encoder's rate."""
    encoder = [t for name, t in learner.tensors.items() if name.startswith("encoder.")]
    decoder = [t for name, t in learner.tensors.items() if not name.startswith("encoder.")]
    return [{"params": encoder, "factor": 1.0}, {"params": decoder, "factor": decoder_rate}]
