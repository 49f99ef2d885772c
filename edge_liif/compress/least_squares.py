"""The closed forms under every method here: second moments, least squares, and which inputs a consumer can do without.

A *consumer* is a layer y = W x + b. Its inputs come in *groups* that live or die together: for a convolution the k * k
taps of one channel (the order of `torch.nn.functional.unfold`), for a linear layer single numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

# Ridge of every regression but one (`STAY` in methods.py), as a share of the mean diagonal of the matrix it steadies.
RIDGE = 1e-4
# Columns from which on numpy's product pays: its threads wait awake for the next one, in the way of torch's.
WIDE = 3000
# Drops that an inverse covariance learns of together.
LATE_DROPS = 32


class Moments:
    """First and second moments of samples x (n, D) and of targets y (n, O) with them, streamed.

    Products are made in float32 a piece at a time and summed in float64. They are products of differences from the
    first piece's mean: of inputs that hardly vary, second moments minus squared means would be rounding noise, and
    negative.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        self.count = 0
        self._shift = (torch.zeros(inputs), torch.zeros(outputs))
        self._x = torch.zeros(inputs, dtype=torch.float64)
        self._y = torch.zeros(outputs, dtype=torch.float64)
        self._xx = torch.zeros(inputs, inputs, dtype=torch.float64)
        self._xy = torch.zeros(inputs, outputs, dtype=torch.float64)

    def add(self, x: torch.Tensor, y: torch.Tensor, piece: int = 8192) -> None:
        """Take in samples x (n, D) and y (n, O), O may be 0."""
        for start in range(0, len(x), piece):
            a, b = x[start : start + piece].float(), y[start : start + piece].float()
            if self.count == 0:
                self._shift = (a.mean(0), b.mean(0))
            a, b = a - self._shift[0], b - self._shift[1]
            self.count += len(a)
            self._x += a.sum(0)
            self._y += b.sum(0)
            self._xx += _gram(a)
            self._xy += a.T @ b

    @property
    def means(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Means of x (D) and y (O)."""
        return self._shift[0] + self._x / self.count, self._shift[1] + self._y / self.count

    def covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(C_xx (D, D), C_xy (D, O)), means removed, ridge added to C_xx."""
        xx, xy = self.centred()
        return ridged(xx), xy

    def centred(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(C_xx, C_xy) without the ridge. The leading rows and columns are those of the leading inputs alone."""
        x, y = self._x / self.count, self._y / self.count
        return self._xx / self.count - torch.outer(x, x), self._xy / self.count - torch.outer(x, y)

    def solution(self, near: torch.Tensor | None = None, ridge: float = RIDGE) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (O, D) and bias (O) of the affine map that predicts y from x with least squared error, `ridge` times
        the mean diagonal of C_xx pulling towards `near` (O, D), zero by default."""
        bare, xy = self.centred()
        xx = ridged(bare, ridge)
        if near is not None:
            xy = xy + (xx - bare) @ near.double().T
        weight = torch.linalg.solve(xx, xy).T
        mean_x, mean_y = self.means
        return weight, mean_y - weight @ mean_x


def ridged(matrix: torch.Tensor, ridge: float = RIDGE) -> torch.Tensor:
    """A positive semidefinite matrix (D, D) with a share `ridge` of its mean diagonal added to its diagonal."""
    level = ridge * matrix.diagonal().mean().clamp_min(1e-12)
    return matrix + level * torch.eye(len(matrix), dtype=matrix.dtype)


def cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """Lower factor of a matrix (D, D) that is positive definite but for rounding, which costs it a larger ridge.

    Covariances are sums of float32 products: where inputs hardly vary, or follow from each other, RIDGE may be less
    than the noise in them. Raises RuntimeError if it is not positive semidefinite by any stretch.
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    level = RIDGE * float(matrix.diagonal().mean())
    for _ in range(4):
        if not failed:
            return factor
        factor, failed = torch.linalg.cholesky_ex(matrix + level * torch.eye(len(matrix), dtype=matrix.dtype))
        level *= 10
    if failed:
        raise RuntimeError("a covariance is not positive semidefinite")
    return factor


def _gram(x: torch.Tensor) -> torch.Tensor:
    """x^T x."""
    if x.shape[1] < WIDE:
        return x.T @ x
    # numpy notices that this is symmetric (BLAS syrk), which is half the work; torch does not
    rows = x.numpy()
    return torch.from_numpy(rows.T @ rows)


@dataclass(frozen=True)
class Reader:
    """A consumer for `eliminate`: covariance (D, D) of its inputs, positive definite; its weight (O, D), rows scaled by
    the square root of what an error of each output costs; columns (G, taps): which of its inputs belong to each of the
    G groups, -1 throughout where it does not read that group."""

    covariance: torch.Tensor
    weight: torch.Tensor
    columns: torch.Tensor


@dataclass(frozen=True)
class Elimination:
    """Groups in the order in which they were dropped, and what each drop cost: squared error of the readers' outputs,
    so scaled, summed over the readers."""

    dropped: list[int]
    costs: list[float]


def eliminate(
    readers: Sequence[Reader],
    count: int,
    may_drop: Callable[[int], bool] = lambda group: True,
    dropping: Callable[[int], None] = lambda group: None,
) -> Elimination:
    """Drop `count` groups (fewer if `may_drop` refuses the rest), each time the one whose loss is made good best.

    The cost of group g at a reader is tr(W_g ([C^-1]_gg)^-1 W_g^T), exact for a drop with optimal compensation by all
    its other inputs, as in Optimal Brain Surgeon (Hassibi and Stork 1993) with groups for single weights. `dropping` is
    told each choice. Inputs in no group are never dropped.
    """
    remaining = [_Remaining(reader) for reader in readers]
    groups = len(readers[0].columns)
    alive = torch.ones(groups, dtype=torch.bool)
    dropped, costs = [], []
    for _ in range(count):
        cost = torch.zeros(groups, dtype=torch.float64)
        for reader in remaining:
            cost[reader.groups] += reader.costs()
        candidates = [g for g in cost.argsort().tolist() if alive[g] and may_drop(g)]
        if not candidates:
            break
        best = candidates[0]
        for reader in remaining:
            reader.drop(best)
        alive[best] = False
        dropping(best)
        dropped.append(best)
        costs.append(float(cost[best]))
    return Elimination(dropped, costs)


class _Remaining:
    """A reader while its inputs go.

    Each drop takes a matrix V^T V of as many ranks as the group has taps from the inverse covariance. The costs need
    its diagonal blocks alone, so these and the weight are kept up to date, and the rest of the inverse learns of many
    drops at once: for thousands of inputs it is memory traffic that would take the time.
    """

    def __init__(self, reader: Reader) -> None:
        self.groups = torch.nonzero(reader.columns[:, 0] >= 0).flatten()
        self._columns = reader.columns[self.groups]
        self._number = {group: i for i, group in enumerate(self.groups.tolist())}
        self._inverse = torch.linalg.inv(reader.covariance.double())
        self._weight = reader.weight.double().T.clone()  # (D, O): the rows of a group are read together
        self._blocks = self._inverse[self._columns[:, :, None], self._columns[:, None, :]]
        self._gone = torch.zeros(len(self._inverse), dtype=torch.bool)
        taps = reader.columns.shape[1]
        self._late = torch.empty(LATE_DROPS * taps, len(self._inverse), dtype=torch.float64)
        self._used = 0

    def costs(self) -> torch.Tensor:
        """What losing each of `groups` would cost; 0 for those that are lost."""
        parts = self._weight[self._columns]
        return (torch.linalg.inv(self._blocks) * (parts @ parts.mT)).sum((1, 2))

    def drop(self, group: int) -> None:
        """Take a group's inputs out, and compensate for them in the weight; nothing if it is not read here."""
        if group not in self._number:
            return
        number = self._number[group]
        columns = self._columns[number]
        taps = len(columns)
        if self._used == len(self._late):
            self._inverse -= _gram(self._late)
            self._used = 0
        late = self._late[: self._used]
        rows = self._inverse[columns] - late[:, columns].T @ late
        # exact zeros where rounding leaves something: these inputs are gone
        rows[:, self._gone] = 0.0
        factor = cholesky(rows[:, columns])
        v = torch.linalg.solve_triangular(factor, rows, upper=False)
        self._late[self._used : self._used + taps] = v
        self._used += taps
        self._weight -= v.T @ torch.linalg.solve_triangular(factor, self._weight[columns], upper=False)
        parts = v[:, self._columns].transpose(0, 1)
        self._blocks -= parts.mT @ parts
        self._gone[columns] = True
        self._weight[columns] = 0.0
        self._blocks[number] = torch.eye(taps, dtype=torch.float64)


def patches(x: torch.Tensor, kernel: int, step: int = 1, first: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """What a convolution reads: x (n, C, H, W), zero-padded, to (n * positions, C * kernel * kernel), at every
    `step`-th row and column from `first` on."""
    pad = kernel // 2
    wide = torch.nn.functional.pad(x, (pad, pad, pad, pad))[:, :, first[0] :, first[1] :]
    unfolded = torch.nn.functional.unfold(wide, kernel, stride=step)
    return unfolded.transpose(1, 2).reshape(-1, x.shape[1] * kernel * kernel)


def channel_columns(channels: Sequence[int], taps: int) -> torch.Tensor:
    """For each of the channels, its columns in `patches`: (channels, taps)."""
    return torch.tensor(list(channels))[:, None] * taps + torch.arange(taps)
