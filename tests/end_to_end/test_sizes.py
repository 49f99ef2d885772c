"""How large results become, and that they are the picture."""

from __future__ import annotations

import pytest

from .pictures import distance, size


@pytest.mark.parametrize(
    ("options", "expected", "name"),
    [
        (["--scale", "1"], (15, 10), "a_x1.png"),
        (["--scale", "3"], (45, 30), "a_x3.png"),
        (["--scale", "1.7"], (26, 17), "a_x1.7.png"),  # 25.5 and 17.0; halves go to the even side
        (["--scale", "2x3"], (30, 30), "a_x2x3.png"),
        (["--size", "192x108"], (192, 108), "a_192x108.png"),
        (["--size", "96x"], (96, 64), "a_w96.png"),
        (["--size", "x80"], (120, 80), "a_h80.png"),
    ],
)
def test_size_and_name(cli, picture, options, expected, name):
    picture("a.png", 15, 10)
    done = cli("run", "a.png", *options, "--json")
    assert done.status == 0, done.stderr
    assert size(name) == expected
    assert done.objects[0]["output_size"] == list(expected)
    assert distance(name, "a.png", "RGB") < 4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (500, 1), (7, 2)])
def test_thin_pictures(cli, picture, width, height):
    picture("thin.png", width, height)
    assert cli("run", "thin.png", "--scale", "2").status == 0
    assert size("thin_x2.png") == (2 * width, 2 * height)
    # A picture of a few pixels is mostly rim, where the network's zero padding shows; black or shifted is far more.
    assert distance("thin_x2.png", "thin.png", "RGB") < 45


def test_size_that_bends_the_picture_warns(cli, picture):
    picture("a.png", 15, 10)
    done = cli("run", "a.png", "--size", "30x30")
    assert "changes the proportions" in done.stderr
    assert size("a_30x30.png") == (30, 30)


def test_many_tiles_give_the_picture_of_one(cli, picture):
    picture("a.png", 70, 50)
    assert cli("run", "a.png", "--scale", "2", "-o", "one.png", "--precision", "fp32").status == 0
    limit = cli("plan", "a.png", "--scale", "2", "--memory", "2MiB", "--precision", "fp32", "--halo", "exact")
    needed = limit.stderr.split("--memory ")[-1].strip()
    done = cli(
        "run", "a.png", "--scale", "2", "-o", "many.png", "--precision", "fp32", "--halo", "exact", "--json",
        "--memory", needed,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert done.objects[0]["tiles"] > 1
    assert distance("many.png", "a.png", "RGB") < 4
    assert abs(distance("many.png", "a.png", "RGB") - distance("one.png", "a.png", "RGB")) < 0.01
