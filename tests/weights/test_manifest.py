"""What is bundled is what the manifest says, and the script that writes it notices what it can't write."""

from __future__ import annotations

import hashlib
import sys

import pytest

from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "weights"))
from refresh_manifest import refreshed


def test_the_manifest_is_up_to_date() -> None:
    text = (REPOSITORY / "weights" / "models.toml").read_text()
    assert refreshed(text) == text


def test_size_and_hash_of_a_new_file(tmp_path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"12345")
    table = '[[model]]\nname = "a"\nfile = "a.safetensors"\nsize = 1\nsha256 = "x"\n'
    text = refreshed(f'[[model]]\nname = "far"\nsize = 9\nsha256 = "y"\n{table}', tmp_path)
    assert text.count("size = 9") == 1 and 'sha256 = "y"' in text
    assert "size = 5" in text and hashlib.sha256(b"12345").hexdigest() in text
    with pytest.raises(ValueError, match=r"a\.safetensors has 0 lines `size"):
        refreshed(table.replace("size = 1\n", ""), tmp_path)
