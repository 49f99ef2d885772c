"""Calls that are wrong: exit status 2, one line, before anything is done."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--scale", "nan"], "finite number of at least 1"),
        (["--scale", "inf"], "finite number of at least 1"),
        (["--scale", "0"], "finite number of at least 1"),
        (["--scale", "-3"], "finite number of at least 1"),
        (["--scale", "0.5"], "finite number of at least 1"),
        (["--scale", "2x0"], "finite number of at least 1"),
        (["--scale", "1e9"], "too large"),
        (["--scale", "5e6"], "no side may exceed"),
        (["--scale", "big"], "is not a number like 3 or 1.7"),
        (["--scale", "1x2x3"], "nor two like 2x3"),
        (["--scale", ""], "is not a number"),
        (["--size", "15x100"], "not an enlargement"),
        (["--size", "8x"], "not an enlargement"),
        (["--size", "0x"], "at least 1"),
        (["--size", "x"], "at least 1"),
        (["--size", "tall"], "not WIDTHxHEIGHT"),
        (["--size", "1920"], "not WIDTHxHEIGHT"),
        ([], "give either a scale"),
        (["--scale", "2", "--size", "64x"], "not both"),
        (["--scale", "2", "--engine", "tensorrt"], "--engine 'tensorrt' is not one of auto, openvino, torch"),
        (["--scale", "2", "--precision", "fp8"], "--precision 'fp8' is not one of"),
        (["--scale", "2", "--device", "tpu"], "--device 'tpu' is not one of"),
        (["--scale", "2", "--halo", "wide"], "halo 'wide' is not auto, exact or a number"),
        (["--scale", "2", "--threads", "0"], "--threads"),
        (["--scale", "2", "--threads", "many"], "--threads"),
        (["--scale", "2", "--quality", "101"], "--quality"),
        (["--scale", "2", "--max-pixels", "0"], "--max-pixels"),
        (["--scale", "2", "--format", "bmp"], "use png, jpeg, tiff, webp"),
        (["--scale", "2", "--format", "jpeg", "-o", "b.png"], "contradicts the name b.png"),
        (["--scale", "2", "--background", "red"], "not a colour like '#ffffff'"),
        (["--scale", "2", "--memory", "5 apples"], "not an amount like 1GiB"),
        (["--scale", "2", "--memory", "1"], "less than 1MiB; say the unit"),
        (["--scale", "2", "--memory", "-1GiB"], "not an amount"),
        (["--scale", "2", "--resume", "--overwrite"], "give one of them"),
        (["--scale", "2", "--json", "-o", "-"], "can't both go to stdout"),
        (["--scale", "2", "-o", ""], "empty name"),
        (["--scale", "2", "--unknown"], "No such option: --unknown"),
        (["--scale", "2", "-", "-o", "out/"], "standard input (-) can be given once"),
        (["--scale", "2", "other.png", "-o", "b.png"], "name of one file, but several inputs"),
        (["--scale", "2", "other.png", "-o", "a.png"], "is a file, but several inputs"),
        (["--scale", "2", "other.png", "-o", "-"], "several results can't go to standard output"),
    ],
)
def test_option(refused, picture, options, part):
    picture("a.png")
    assert part in refused("run", "a.png", "--quiet", *options, status=2)


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_no_command_shows_the_help(cli, arguments):
    done = cli(*arguments)
    assert (done.status, done.stdout) == (2, b"")
    assert "Usage: edge-liif" in done.stderr
    assert len(done.stderr.splitlines()) > 5


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["enlarge"], "No such command 'enlarge'; see edge-liif --help"),
        (["run"], "Missing argument 'INPUT'; see edge-liif run --help"),
        (["run", "-", "-", "--scale", "2"], "given once"),
        (["eval", "edsr-baseline-liif"], "--data"),
    ],
)
def test_command(refused, arguments, part):
    assert part in refused(*arguments, status=2)
