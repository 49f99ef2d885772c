"""How much of each group goes: a global budget of multiply-adds, spent where it costs the least."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import UsageError
from ..model.checkpoint import Network
from ..model.spec import ModelSpec
from .scores import Order
from .structure import channel_groups, costs_per_channel, multiply_adds, spec_of


def choose(
    network: Network, orders: Mapping[str, Order], share: float, scale: float, multiple: int
) -> dict[str, list[int]]:
    """Channels of each group that stay (producer -> numbers, ascending) so that `share` of the multiply-adds at `scale`
    goes, or a little more: widths are multiples of `multiple`, the widths in which kernels compute.

    Chunks go one after the other, each time the one that costs the least per multiply-add saved at the widths then; by
    scores that have no costs, the one after which the least share of its group is gone. So all groups go down alike,
    the wide ones first, because a chunk is less of them: a quarter of EDSR-baseline-LIIF's work is found in the
    decoder's 256 hidden units alone, before the first sixteen of an encoder's 64 channels would go.
    Raises UsageError if even the smallest widths keep more than is asked for.
    """
    spec = network.spec
    whole = multiply_adds(spec, scale)
    widths = {group.producer: group.width for group in channel_groups(spec)}
    gone = dict.fromkeys(widths, 0)
    current = spec
    while multiply_adds(current, scale) > (1 - share) * whole:
        per_channel = costs_per_channel(current, scale)
        best, best_rate = None, np.inf
        for producer, order in orders.items():
            left = widths[producer] - gone[producer]
            # down to the next multiple below
            size = left - multiple * ((left - 1) // multiple)
            if left - size < multiple or gone[producer] + size > len(order.channels):
                continue
            if order.costs is None:
                # every group in equal shares
                rate = (gone[producer] + size) / widths[producer]
            else:
                rate = sum(order.costs[gone[producer] : gone[producer] + size]) / (size * per_channel[producer])
            if rate < best_rate:
                best, best_rate = (producer, size), rate
        if best is None:
            least = 1 - multiply_adds(current, scale) / whole
            raise UsageError(
                f"--prune {share:g} is more than this network can lose with widths in multiples of {multiple}; at most "
                f"{least:.2f}"
            )
        gone[best[0]] += best[1]
        current = _with_widths(network, {p: widths[p] - gone[p] for p in widths})
    return {
        producer: sorted(set(range(width)) - set(orders[producer].channels[: gone[producer]]))
        for producer, width in widths.items()
        if gone[producer]
    }


def _with_widths(network: Network, widths: Mapping[str, int]) -> ModelSpec:
    """The specification with other widths of the groups; shapes only, no tensor is touched."""
    shapes = dict(network.spec.tensor_shapes)
    for group in channel_groups(network.spec):
        less = group.width - widths[group.producer]
        if less:
            for part in ("weight", "bias"):
                name = f"{group.producer}.{part}"
                shapes[name] = (shapes[name][0] - less, *shapes[name][1:])
            for consumer, _ in group.consumers:
                name = f"{consumer}.weight"
                shapes[name] = (shapes[name][0], shapes[name][1] - less, *shapes[name][2:])
    return spec_of(network.spec, shapes)
