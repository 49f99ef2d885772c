"""Write the size and sha256 of every bundled model into models.toml, after a weights file was replaced.

python weights/refresh_manifest.py
"""

import hashlib
import re
from pathlib import Path

FOLDER = Path(__file__).parent


def refreshed(text: str, folder: Path = FOLDER) -> str:
    """The manifest with `size` and `sha256` of each table that has a `file` set to what lies in `folder`.

    Raises ValueError for such a table that lacks one of the two.
    """
    tables = re.split(r"(?m)^(?=\[)", text)
    for i, table in enumerate(tables):
        match = re.search(r'(?m)^file = "(.+)"', table)
        if match:
            data = (folder / match[1]).read_bytes()
            facts = {"size": len(data), "sha256": f'"{hashlib.sha256(data).hexdigest()}"'}
            for name, value in facts.items():
                table, count = re.subn(rf"(?m)^{name} = .*", f"{name} = {value}", table)
                if count != 1:
                    raise ValueError(f"the table of {match[1]} has {count} lines `{name} = ...` where it needs one")
            tables[i] = table
    return "".join(tables)


if __name__ == "__main__":
    manifest = FOLDER / "models.toml"
    text = refreshed(manifest.read_text())
    part = manifest.with_suffix(".part")
    part.write_text(text)
    part.replace(manifest)
