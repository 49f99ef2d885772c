"""The stated upper estimates of memory hold, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import pyvips

WRITE = """
    import json, re, sys, numpy as np
    from pathlib import Path
    from edge_liif.image.write import RowWriter, writer_peak_bytes
    from edge_liif.image.vips import vips
    def resident(kind):
        return int(re.search(kind + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    path, fmt, width, height, bands = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    vips()
    rows = np.random.default_rng(0).integers(0, 64, (20, width, bands)).astype(np.uint8)
    before = resident("VmRSS")
    with RowWriter(path, fmt, width, height, bands, 8) as writer:
        for _ in range(height // 20):
            writer.write(rows)
        writer.commit()
    print(json.dumps([resident("VmHWM") - before, writer_peak_bytes(fmt, width, height, bands, 8)]))
"""

READ = """
    from edge_liif.memory import use_one_heap
    use_one_heap()
    import json, re, sys, tracemalloc
    from pathlib import Path
    from edge_liif.image.read import decode_peak_bytes, probe, read
    from edge_liif.image.vips import vips
    def resident(kind):
        return int(re.search(kind + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    vips()
    traced = "--arrays" in sys.argv
    if traced:
        tracemalloc.start()
    before = resident("VmRSS")
    header = probe(sys.argv[1])
    folder = None if sys.argv[2] == "memory" else Path(sys.argv[2])
    picture = read(sys.argv[1], max_pixels=10**8, folder=folder)
    planned = decode_peak_bytes(header) - (header.array_bytes if folder else 0)
    if header.has_alpha:
        from edge_liif.image.alpha import bled, bleed_bytes
        bled(picture.pixels)
        planned += bleed_bytes(header.height, header.width)
    used = tracemalloc.get_traced_memory()[1] if traced else resident("VmHWM") - before
    print(json.dumps([used, planned]))
"""


def measured(code: str, *arguments: object) -> tuple[int, int]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    used, planned = json.loads(result.stdout)
    return used, planned


@pytest.mark.parametrize("fmt", ["png", "jpeg", "tiff"])
def test_streamed_formats_hold_some_rows(fmt: str, tmp_path: Path) -> None:
    used, planned = measured(WRITE, tmp_path / "o", fmt, 12_000, 3000, 3)
    assert used <= planned
    assert used < 12_000 * 3000 * 3 * 0.6


@pytest.mark.parametrize(("bands", "side"), [(3, 2000), (4, 1000)])
def test_webp_stays_below_its_estimate(bands: int, side: int, tmp_path: Path) -> None:
    used, planned = measured(WRITE, tmp_path / "o", "webp", side, side, bands)
    assert used <= planned


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("o.png", {"compression": 1}),
        ("i.png", {"compression": 1, "interlace": True}),
        ("o.jpg", {"Q": 90}),
        ("p.jpg", {"Q": 90, "interlace": True}),
        ("o.tif", {"compression": "deflate", "tile": True}),
        ("o.webp", {"Q": 80, "effort": 0}),
    ],
)
def test_decoding_stays_below_its_estimate(name: str, options: dict[str, object], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 32, (1500, 6000, 3)).astype(np.uint8)
    path = tmp_path / name
    image = pyvips.Image.new_from_memory(noise.tobytes(), 6000, 1500, 3, "uchar").copy(interpretation="srgb")
    image.write_to_file(str(path), **options)
    used, planned = measured(READ, path, "memory")
    assert used <= planned


@pytest.mark.parametrize(("bands", "transparent"), [(3, False), (4, True)])
def test_pixels_in_a_file_take_no_memory(bands: int, transparent: bool, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 32, (4000, 6000, bands)).astype(np.uint8)
    if transparent:
        noise[::7, ::5, 3] = 0
    image = pyvips.Image.new_from_memory(noise.tobytes(), 6000, 4000, bands, "uchar").copy(interpretation="srgb")
    image.write_to_file(str(tmp_path / "o.png"), compression=1)
    path = tmp_path / "o.png"
    used, planned = measured(READ, path, tmp_path)
    assert used <= planned
    # What a process has resident varies by tens of MiB from run to run; what its arrays take at once does not.
    in_memory, _ = measured(READ, path, "memory", "--arrays")
    in_file, _ = measured(READ, path, tmp_path, "--arrays")
    bled_bytes = 4000 * 6000 * 3 if transparent else 0
    # a band of rows has to be read from the file, where in memory it is only looked at
    assert in_memory - in_file > 0.85 * (noise.nbytes + bled_bytes)
