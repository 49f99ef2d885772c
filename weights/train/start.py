"""Where a network's first weights come from: an RDN that starts as a trained EDSR, instead of from noise.

A residual dense block can do what EDSR's residual blocks do, because its 1x1 fusion passes a linear result through the
ReLU of a dense convolution: y = relu(y) - relu(-y), or y = relu(y + b) - b where b is larger than any -y.

`exact`: one EDSR block for each dense block, where the growth channels suffice (hidden width + two signs of the result:
64 + 128 = 192 = 6 x 32). Left-over convolutions are random and left-over blocks do nothing yet (fusion weights zero).
The network starts by giving EDSR's own picture; configurations A and B (20 and 16 blocks) both can.

`compressed`: two EDSR blocks for each dense block, refitted in closed form in lock step with the original
(edge_liif.compress.least_squares). All hidden channels stay; of each block's result, what the fusion can't make from
them by itself (it sees no neighbours) goes through in a few directions. For networks with fewer blocks.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from edge_liif.compress import queries
from edge_liif.compress.least_squares import Moments, Reader, channel_columns, eliminate, patches
from edge_liif.engine.torch import TorchLayers
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec

Tensors = dict[str, torch.Tensor]

# Readers of a sum other than the next convolution, as a share of what errors cost there. Of 0.1 and 1, the better one
# on Set5 and four pictures of Urban100 (README.md here).
OTHERS = 0.1


def exact(spec: RDNSpec, teacher: Network, seed: int = 0) -> Tensors:
    """Encoder tensors of an RDN that computes what the teacher's EDSR encoder computes.

    Raises ValueError if blocks or growth channels don't suffice.
    """
    source, hidden = _edsr(teacher, spec)
    if len(spec.growth) < len(source.blocks):
        raise ValueError(f"{len(source.blocks)} EDSR blocks need as many dense blocks, not {len(spec.growth)}")
    t = _torch(teacher)
    new = _blank(spec, seed)
    width = spec.features
    for b in range(len(source.blocks)):
        growth = list(spec.growth[b])
        if sum(growth) < hidden + 2 * width:
            raise ValueError(f"dense block {b} has {sum(growth)} growth channels; {hidden + 2 * width} are needed")
        inner = t[f"encoder.body.{b}.body.0.weight"], t[f"encoder.body.{b}.body.0.bias"]
        outer = t[f"encoder.body.{b}.body.2.weight"], t[f"encoder.body.{b}.body.2.bias"]
        # rows in the order of the growth channels: hidden, +y, -y; the inputs they read lie at `at` in the
        # concatenation
        rows = [(inner[0][i], inner[1][i], 0) for i in range(hidden)]
        rows += [(sign * outer[0][o], sign * outer[1][o], width) for sign in (1, -1) for o in range(width)]
        fuse = torch.zeros(width, width + sum(growth), 1, 1)
        for c, start in enumerate(np.cumsum([0, *growth[:-1]])):
            name = f"encoder.RDBs.{b}.convs.{c}.conv.0"
            for j in range(growth[c]):
                if start + j >= len(rows):
                    continue  # stays random, and unread by the fusion
                weight, bias, at = rows[start + j]
                if at + len(weight) > new[f"{name}.weight"].shape[1]:
                    raise ValueError(f"{name} reads {new[f'{name}.weight'].shape[1]} channels; hidden lies beyond")
                new[f"{name}.weight"][j] = 0
                new[f"{name}.weight"][j, at : at + len(weight)] = weight
                new[f"{name}.bias"][j] = bias
        for o in range(width):
            fuse[o, width + hidden + o] = 1
            fuse[o, width + hidden + width + o] = -1
        _set(new, f"encoder.RDBs.{b}.LFF", fuse, torch.zeros(width))
    for b in range(len(source.blocks), len(spec.growth)):
        for part in ("weight", "bias"):
            new[f"encoder.RDBs.{b}.LFF.{part}"].zero_()
    _frame(new, t, spec, f"encoder.body.{len(source.blocks)}")
    return new


def compressed(spec: RDNSpec, teacher: Network, lr: torch.Tensor) -> Tensors:
    """Encoder tensors of an RDN that comes near to the teacher's EDSR encoder on LR pictures lr (n, 3, h, w) in -1..1.

    Each dense block takes the work of two EDSR blocks: growth channels [first hidden layer, a few directions of the
    first result, second hidden layer, a few directions of the second result]. Raises ValueError if the shapes don't
    allow it.
    """
    source, hidden = _edsr(teacher, spec)
    width = spec.features
    if len(source.blocks) != 2 * len(spec.growth):
        raise ValueError(f"{len(source.blocks)} EDSR blocks need half as many dense blocks, not {len(spec.growth)}")
    ranks = [_directions(growth, hidden, width) for growth in spec.growth]
    t = _torch(teacher)
    new = _blank(spec, 0)
    _frame(new, t, spec, f"encoder.body.{len(source.blocks)}")
    with torch.inference_mode():
        x = original = F.conv2d(lr, *_layer(t, "encoder.head.0"), padding=1)
        outputs = []
        for d, (growth, rank) in enumerate(zip(spec.growth, ranks, strict=True)):
            dense = [x]
            rows: list[tuple[torch.Tensor, torch.Tensor]] = []
            for block in (2 * d, 2 * d + 1):
                inner = F.conv2d(original, *_layer(t, f"encoder.body.{block}.body.0"), padding=1)
                original = original + F.conv2d(F.relu(inner), *_layer(t, f"encoder.body.{block}.body.2"), padding=1)
                rows.append(_fit(dense, inner, 3))
                dense.append(F.relu(F.conv2d(torch.cat(dense, 1), *rows[-1], padding=1)))
                weight, bias = _fit_directions(dense, original - x, rank, _errors_cost(t, block + 1))
                result = F.conv2d(torch.cat(dense, 1), weight, bias, padding=1)
                shift = (-result.amin((0, 2, 3))).clamp_min(0) * 1.1
                rows.append((weight, bias + shift))
                dense.append(F.relu(result + shift[None, :, None, None]))
            _fill_convs(new, d, growth, rows)
            weight, bias = _fit(dense, original - x, 1)
            _set(new, f"encoder.RDBs.{d}.LFF", weight, bias)
            x = x + F.conv2d(torch.cat(dense, 1), weight, bias)
            outputs.append(x)
            error = ((x - original).square().mean() / original.square().mean()).sqrt()
            print(f"start: block {d}: relative error {float(error):.4f}", flush=True)
        # what all blocks together know about the teacher's last block, then what that says about its tail
        weight, bias = _fit(outputs, original, 1)
        new["encoder.GFF.0.weight"][:width], new["encoder.GFF.0.bias"][:width] = weight, bias
        tail = F.conv2d(original, *_layer(t, f"encoder.body.{len(source.blocks)}"), padding=1)
        _set_tail(new, spec, *_fit([F.conv2d(torch.cat(outputs, 1), weight, bias)], tail, 3))
    return new


def narrower_decoder(teacher: Network, hidden: tuple[int, ...], inputs: torch.Tensor) -> Tensors:
    """Decoder tensors with fewer hidden units, refitted in lock step on MLP inputs (n, 9 F + 4), as `compressed`."""
    t = _torch(teacher)
    new: Tensors = {}
    with torch.inference_mode():
        before, reduced = inputs, inputs
        weight, bias = _layer(t, "imnet.layers.0")
        for i, width in enumerate(hidden):
            name, following = f"imnet.layers.{2 * i}", f"imnet.layers.{2 * i + 2}"
            wide = F.relu(F.linear(reduced, weight, bias))
            before = F.relu(F.linear(before, *_layer(t, name)))
            goal = F.linear(before, *_layer(t, following))
            moments = Moments(wide.shape[1], goal.shape[1])
            moments.add(wide, goal)
            covariance, _ = moments.covariance()
            reader = Reader(covariance, moments.solution()[0], channel_columns(range(wide.shape[1]), 1))
            gone = eliminate([reader], wide.shape[1] - width)
            kept = sorted(set(range(wide.shape[1])) - set(gone.dropped))
            _set(new, name, weight[kept], bias[kept])
            reduced = F.relu(F.linear(reduced, weight[kept], bias[kept]))
            moments = Moments(width, goal.shape[1])
            moments.add(reduced, goal)
            weight, bias = (v.float() for v in moments.solution())
        _set(new, f"imnet.layers.{2 * len(hidden)}", weight, bias)
    return new


def mlp_inputs(teacher: Network, lr: torch.Tensor, count: int, seed: int = 0) -> torch.Tensor:
    """What the teacher's MLP reads at `count` random places of each of the LR pictures (n, 3, h, w): (n * count, 9 F +
    4)."""
    layers = TorchLayers(teacher, torch.float32, torch.device("cpu"))
    places = queries.random_queries(len(lr), lr.shape[2], lr.shape[3], count, 3.0, seed)
    with torch.inference_mode():
        return queries.mlp_inputs(teacher.spec.encoder_module.forward(layers, teacher.spec.encoder, lr), places)


def _edsr(teacher: Network, spec: RDNSpec) -> tuple[EDSRSpec, int]:
    source = teacher.spec.encoder
    if not isinstance(source, EDSRSpec) or source.features != spec.features or len(set(source.blocks)) != 1:
        raise ValueError(f"the start must be an EDSR of {spec.features} features and one hidden width")
    if spec.fusion < spec.features:
        raise ValueError(f"a fusion of {spec.fusion} channels can't pass {spec.features} features on")
    return source, source.blocks[0]


def _blank(spec: RDNSpec, seed: int) -> Tensors:
    return {
        name: torch.from_numpy(value)
        for name, value in random_network(_spec_of(spec), seed).tensors.items()
        if name.startswith("encoder.")
    }


def _spec_of(spec: RDNSpec) -> ModelSpec:
    from edge_liif.model.liif import DecoderSpec

    return ModelSpec("start", spec, DecoderSpec((8,)))


def _torch(network: Network) -> Tensors:
    return {name: torch.from_numpy(value.copy()) for name, value in network.tensors.items()}


def _layer(t: Tensors, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return t[f"{name}.weight"], t[f"{name}.bias"]


def _set(new: Tensors, name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
    new[f"{name}.weight"], new[f"{name}.bias"] = weight.contiguous(), bias.contiguous()


def _frame(new: Tensors, t: Tensors, spec: RDNSpec, tail: str) -> None:
    """Everything around the blocks: head, identity, fusion that passes the last block's output on, tail."""
    width = spec.features
    _set(new, "encoder.SFENet1", *_layer(t, "encoder.head.0"))
    identity = torch.zeros(width, width, 3, 3)
    identity[range(width), range(width), 1, 1] = 1
    _set(new, "encoder.SFENet2", identity, torch.zeros(width))
    fusion = torch.zeros(spec.fusion, width * len(spec.growth), 1, 1)
    fusion[range(width), range(width * (len(spec.growth) - 1), width * len(spec.growth))] = 1
    _set(new, "encoder.GFF.0", fusion, torch.zeros(spec.fusion))
    _set_tail(new, spec, *_layer(t, tail))


def _set_tail(new: Tensors, spec: RDNSpec, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """The last convolution; of a fusion wider than the features it reads the first ones."""
    wide = torch.zeros(spec.features, spec.fusion, *weight.shape[2:])
    wide[:, : weight.shape[1]] = weight
    _set(new, "encoder.GFF.1", wide, bias)


def _directions(growth: tuple[int, ...], hidden: int, width: int) -> int:
    """Directions that two EDSR blocks' results can have each, in a dense block. Raises ValueError if there is no cut
    between convolutions where one is needed."""
    rank = sum(growth) // 2 - hidden
    cuts = {hidden, hidden + rank, 2 * hidden + rank, 2 * (hidden + rank)}
    if not (1 <= rank <= width and cuts <= set(np.cumsum(growth).tolist())):
        raise ValueError(
            f"the growth widths {growth} can't be cut into {hidden} hidden channels, 1 to {width} directions, and both "
            "again"
        )
    return rank


def _moments(inputs: list[torch.Tensor], target: torch.Tensor, kernel: int) -> Moments:
    channels = sum(x.shape[1] for x in inputs)
    moments = Moments(channels * kernel * kernel, target.shape[1])
    for i in range(len(target)):  # one picture at a time: unfolded, all of them would be large
        moments.add(patches(torch.cat([x[i : i + 1] for x in inputs], 1), kernel), patches(target[i : i + 1], 1))
    return moments


def _fit(inputs: list[torch.Tensor], target: torch.Tensor, kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The convolution on the concatenated inputs that comes nearest to the target."""
    weight, bias = _moments(inputs, target, kernel).solution()
    return weight.float().view(target.shape[1], -1, kernel, kernel), bias.float()


def _errors_cost(t: Tensors, block: int) -> torch.Tensor:
    """What errors of the sum that EDSR block `block` reads cost there: (F, F), mean diagonal 1 + OTHERS."""
    inner = f"encoder.body.{block}.body.0.weight"
    weight = t[inner if inner in t else f"encoder.body.{block}.weight"].double()  # behind the blocks, the tail
    filters = weight.transpose(0, 1).flatten(1)
    cost = filters @ filters.T
    return cost / cost.diagonal().mean().clamp_min(1e-12) + OTHERS * torch.eye(len(cost), dtype=torch.float64)


def _fit_directions(
    inputs: list[torch.Tensor], target: torch.Tensor, rank: int, cost: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A 3x3 convolution to `rank` channels that predicts the target, beside the centres of its inputs, at least cost.

    Reduced-rank regression (Izenman 1975). The 1x1 fusion reads the centres of all inputs anyway, so the directions of
    the target that count are those to which the other taps add most.
    """
    moments = _moments(inputs, target, 3)
    covariance, _ = moments.covariance()
    weight, bias = moments.solution()
    centres = torch.arange(4, len(covariance), 9)
    by_centres = covariance[:, centres]
    rest = covariance - by_centres @ torch.linalg.solve(by_centres[centres], by_centres.T)
    values, vectors = torch.linalg.eigh(cost)
    root = vectors @ values.clamp_min(0).sqrt().diag() @ vectors.T
    directions = torch.linalg.eigh(root @ weight @ rest @ weight.T @ root)[1][:, -rank:].T @ root
    weight, bias = directions @ weight, directions @ bias
    return weight.float().view(rank, -1, 3, 3), bias.float()


def _fill_convs(new: Tensors, d: int, growth: tuple[int, ...], rows: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Cut layers of any width into the dense convolutions; inputs that a layer does not read get weight zero."""
    start = 0
    flat = [(weight[i], bias[i]) for weight, bias in rows for i in range(len(weight))]
    for c, width in enumerate(growth):
        name = f"encoder.RDBs.{d}.convs.{c}.conv.0"
        weight, bias = torch.zeros_like(new[f"{name}.weight"]), torch.zeros_like(new[f"{name}.bias"])
        for j in range(width):
            row, bias[j] = flat[start + j]
            weight[j, : len(row)] = row
        _set(new, name, weight, bias)
        start += width
