import pytest
import torch

from edge_liif.compress.least_squares import (
    LATE_DROPS,
    Moments,
    Reader,
    channel_columns,
    cholesky,
    eliminate,
    patches,
    ridged,
)


def correlated(n: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator) @ torch.randn(d, d, generator=generator) + 0.5


def test_solution_is_the_regression():
    x = correlated(4000, 6)
    weight, bias = torch.randn(3, 6), torch.randn(3)
    moments = Moments(6, 3)
    moments.add(x, x @ weight.T + bias, piece=1000)
    found, offset = moments.solution()
    assert torch.allclose(found.float(), weight, atol=2e-2)
    assert torch.allclose((x @ found.float().T + offset.float()), x @ weight.T + bias, atol=5e-2)


def test_the_ridge_pulls_towards_a_given_weight():
    """Where the samples say nothing (a constant input), what was there stays."""
    x = correlated(500, 4)
    x[:, 2] = 1.0
    weight = torch.randn(2, 4)
    moments = Moments(4, 2)
    moments.add(x, x @ weight.T)
    assert torch.allclose(moments.solution(near=weight)[0].float(), weight, atol=1e-3)
    assert moments.solution()[0][:, 2].abs().max() < 1e-2


def test_patches_are_what_a_convolution_reads():
    x = torch.randn(2, 3, 5, 6)
    kernel = torch.randn(4, 3, 3, 3)
    rows = patches(x, 3) @ kernel.flatten(1).T
    expected = torch.nn.functional.conv2d(x, kernel, padding=1)
    assert torch.allclose(rows.view(2, 5, 6, 4).permute(0, 3, 1, 2), expected, atol=1e-5)
    some = patches(x, 3, 2, (1, 0)).view(2, 2, 3, -1)
    assert torch.equal(some, patches(x, 3).view(2, 5, 6, -1)[:, 1::2, 0::2])


def brute_force(covariance, weight, columns, gone) -> float:
    """Squared error of the best compensation without the columns of `gone`."""
    lost = columns[gone].flatten()
    keep = torch.tensor([c for c in range(len(covariance)) if c not in set(lost.tolist())])
    kk, kp, pp = covariance[keep][:, keep], covariance[keep][:, lost], covariance[lost][:, lost]
    rest = pp - kp.T @ torch.linalg.solve(kk, kp)
    return float((weight[:, lost] @ rest * weight[:, lost]).sum())


def test_elimination_costs_are_the_least_squares_errors():
    x = correlated(3000, 12).double()
    covariance = torch.cov(x.T)
    weight = torch.randn(5, 12, dtype=torch.float64)
    columns = channel_columns(range(4), 3)
    result = eliminate([Reader(covariance, weight, columns)], 3)
    assert len(set(result.dropped)) == 3
    for n in range(1, 4):
        assert abs(sum(result.costs[:n]) - brute_force(covariance, weight, columns, result.dropped[:n])) < 1e-6
    singles = [brute_force(covariance, weight, columns, [g]) for g in range(4)]
    assert result.dropped[0] == min(range(4), key=singles.__getitem__)


def test_costs_of_several_readers_add_and_groups_may_be_spared():
    first, second = (torch.cov(correlated(2000, 6, s).T.double()) for s in (1, 2))
    weights = [torch.randn(2, 6, dtype=torch.float64) for _ in range(2)]
    columns = channel_columns(range(6), 1)
    unread = columns.clone()
    unread[:3] = -1  # the second reader sees only the last three
    readers = [Reader(first, weights[0], columns), Reader(second, weights[1], unread)]
    for group in range(6):
        result = eliminate(readers, 1, may_drop=lambda g, group=group: g == group)
        expected = brute_force(first, weights[0], columns, [group])
        if group >= 3:
            expected += brute_force(second, weights[1], columns, [group])
        assert result.dropped == [group]
        assert abs(result.costs[0] - expected) < 1e-6 * max(1.0, expected)
    assert eliminate(readers, 6, may_drop=lambda g: g != 2).dropped.count(2) == 0


def test_a_copied_channel_goes_first_and_for_nothing():
    x = correlated(2000, 5).double()
    x = torch.cat([x, x[:, 1:2]], 1)
    covariance = torch.cov(x.T) + 1e-9 * torch.eye(6, dtype=torch.float64)
    result = eliminate([Reader(covariance, torch.randn(3, 6, dtype=torch.float64), channel_columns(range(6), 1))], 1)
    assert result.dropped[0] in (1, 5)
    assert result.costs[0] < 1e-6


def test_costs_stay_exact_over_many_drops():
    """More drops than the inverse is told of at once."""
    groups, taps = LATE_DROPS + 20, 2
    covariance = ridged(torch.cov(correlated(4000, groups * taps).double().T))
    weight = torch.randn(3, groups * taps, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    columns = channel_columns(range(groups), taps)
    result = eliminate([Reader(covariance, weight, columns)], groups - 2)
    for n in (LATE_DROPS - 1, LATE_DROPS + 1, groups - 2):
        exact = brute_force(covariance, weight, columns, result.dropped[:n])
        assert sum(result.costs[:n]) == pytest.approx(exact, rel=1e-6)


def test_a_covariance_that_rounding_made_indefinite_is_factored():
    x = torch.randn(50, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    noisy = x.T @ x
    noisy[0] = noisy[1]
    noisy[:, 0] = noisy[:, 1]
    noisy[0, 0] -= 1e-6 * float(noisy.diagonal().mean())
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.cholesky(noisy)
    factor = cholesky(noisy)
    assert torch.allclose(factor @ factor.T, noisy, atol=2e-4 * float(noisy.diagonal().mean()))
    with pytest.raises(RuntimeError, match="not positive"):
        cholesky(-torch.eye(3, dtype=torch.float64))
