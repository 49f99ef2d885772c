"""Lines for people: always one, and never a reason to stop."""

from __future__ import annotations

import os
import sys

import pytest

from edge_liif.cli import console
from edge_liif.errors import OutputError


def test_complaint_is_one_line(capsys):
    console.complain("a.png:\n  many\n\n lines ")
    assert capsys.readouterr().err == "edge-liif: a.png: many lines\n"


def test_log_that_nobody_takes_is_no_error(monkeypatch):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", full)
        console.say("x" * 10_000)
        console.complain("x")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_full_stdout_is_our_error(monkeypatch):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        told = pytest.raises(OutputError, match=r"standard output: can't be written \(no space left on device\)")
        with told, console.standard_output():
            print("x")
        monkeypatch.undo()


def test_the_bar_says_what_it_is_at(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with console.progress_bar("compressing [x]", shown=True) as update:
        update(3, 4, "imnet.layers.0")
    said = capsys.readouterr().err
    assert "compressing [x]: imnet.layers.0" in said and "75%" in said and "left" in said


def test_no_bar_without_a_terminal(capsys):
    with console.progress_bar("label", shown=True) as update:
        assert update is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("size", "text"), [(None, "unknown"), (2**30, "1,024 MiB"), (0, "0 MiB")])
def test_amount(size, text):
    assert console.amount(size) == text


def test_errors_are_one_printable_line_and_keep_names() -> None:
    from edge_liif.errors import ModelError

    assert (
        str(ModelError("my  cat.png:\n  is \x1b[31mred\0 \tand\r\nlong")) == r"my  cat.png: is \x1b[31mred\x00 and long"
    )
