"""A short run of damaged files; `python -m tests.fuzz.campaign` makes a long one. And the generators themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_liif.image.read import read

from .campaign import do_case
from .cases import LARGEST, Seeds, case_file, load
from .seeds import networks, pictures


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    return Seeds(pictures(), networks(tmp_path_factory.mktemp("networks")))


def test_whole_files_are_read(seeds: Seeds, tmp_path: Path) -> None:
    """Else a campaign would only show that everything is refused."""
    for name, data in seeds.pictures.items():
        read(data, name, max_pixels=LARGEST)
    for name, data in seeds.networks.items():
        (tmp_path / name).write_bytes(data)
        load(tmp_path / name)


@pytest.mark.parametrize("models", [False, True])
def test_cases_can_be_made_again(seeds: Seeds, models: bool) -> None:
    first = [case_file(seeds, 3, number, models) for number in range(20)]
    assert first == [case_file(seeds, 3, number, models) for number in range(20)]
    assert len({data for _, data in first}) > 15


@pytest.mark.parametrize(("models", "cases"), [(False, 400), (True, 150)])
def test_damaged_files_are_refused_or_read(seeds: Seeds, models: bool, cases: int, tmp_path: Path) -> None:
    outcomes = []
    for number in range(cases):
        try:
            outcomes.append(do_case(seeds, 0, number, models, tmp_path))
        except Exception as error:
            raise AssertionError(f"case {number}: {error}") from error
    assert 0.2 * cases < outcomes.count("refused") < cases
