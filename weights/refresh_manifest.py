"""Write the size and sha256 of every bundled model into models.toml, after a weights file was replaced.

python weights/refresh_manifest.py
"""

import hashlib
import re
from pathlib import Path

FOLDER = Path(__file__).parent


def refreshed(text: str) -> str:
    """The manifest with `size` and `sha256` of each table that has a `file` set to what lies beside it."""
    tables = re.split(r"(?m)^(?=\[)", text)
    for i, table in enumerate(tables):
        match = re.search(r'(?m)^file = "(.+)"', table)
        if match:
            data = (FOLDER / match[1]).read_bytes()
            table = re.sub(r"(?m)^size = .*", f"size = {len(data)}", table)
            tables[i] = re.sub(r"(?m)^sha256 = .*", f'sha256 = "{hashlib.sha256(data).hexdigest()}"', table)
    return "".join(tables)


if __name__ == "__main__":
    manifest = FOLDER / "models.toml"
    manifest.write_text(refreshed(manifest.read_text()))
