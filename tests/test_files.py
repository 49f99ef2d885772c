"""Which files go in, and what results are called; the pictures here are only their first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_liif.errors import OutputError, UsageError
from edge_liif.files import Input, Naming, collect, settle
from edge_liif.scale import enlargement

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
X2 = enlargement(2)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def put(*names: str, data: bytes = PNG) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)


def names(items: list[Input]) -> list[str]:
    return [item.name for item in items]


def test_order_is_that_of_the_words_and_folders_are_sorted():
    put("d/b.png", "d/a.PNG", "d/c.txt", "z.png", "a.png")
    assert names(collect(["z.png", "d", "a.png"], False)) == ["z.png", "d/a.PNG", "d/b.png", "a.png"]


def test_hidden_files_and_folders_are_passed_over():
    put("d/.a.png", "d/.git/b.png", "d/sub/c.png")
    assert collect(["d"], True) == [Input(Path("d/sub/c.png"), Path("sub"))]


def test_named_hidden_file_is_taken():
    put(".a.png")
    assert names(collect([".a.png"], False)) == [".a.png"]


def test_pattern_takes_folders_only_with_recursive():
    put("d/a.png", "d/b.png")
    Path("d/c.d").mkdir()
    put("d/c.d/x.png")
    assert names(collect(["d/*"], False)) == ["d/a.png", "d/b.png"]
    assert names(collect(["d/*"], True)) == ["d/a.png", "d/b.png", "d/c.d/x.png"]
    assert names(collect(["**/x.png"], False)) == ["d/c.d/x.png"]


def test_what_does_not_exist_stays_in_the_list():
    assert names(collect(["none.png"], False)) == ["none.png"]


def test_loops_of_links_end():
    put("d/a.png")
    Path("d/loop").symlink_to(".")
    assert names(collect(["d"], True)) == ["d/a.png"]


@pytest.mark.parametrize("words", [[""], ["-", "-"], ["-", "a.png"], ["*.none"], ["empty"]])
def test_refused(words):
    Path("empty").mkdir()
    with pytest.raises(UsageError):
        collect(words, False)


def test_result_folder_is_passed_over_unless_it_is_named():
    put("d/a.png", "d/out/a.png")
    assert names(collect(["d"], True, "d/out")) == ["d/a.png"]
    assert names(collect(["d/out"], True, "d/out")) == ["d/out/a.png"]
    assert names(collect(["d"], True, "-")) == ["d/a.png", "d/out/a.png"]


@pytest.mark.parametrize(
    ("output", "name", "kind", "path", "written"),
    [
        (None, "d/a.png", "png", "d/a_x2.png", "png"),
        (None, "d/a.JPG", "jpeg", "d/a_x2.JPG", "jpeg"),
        (None, "d/a.jpg", "png", "d/a_x2.png", "png"),
        (None, "d/a.v1.bmp", "bmp", "d/a.v1_x2.png", "png"),
        (None, "d/a", "gif", "d/a_x2.png", "png"),
        ("out/", "d/a.tiff", "tiff", "out/a.tiff", "tiff"),
        ("b.webp", "d/a.png", "png", "b.webp", "webp"),
        ("-", "d/a.bmp", "bmp", None, "png"),
        ("-", "d/a.jpg", "jpeg", None, "jpeg"),
    ],
)
def test_result(output, name, kind, path, written):
    naming = Naming(output, X2, many=False)
    assert naming.result(Input(Path(name)), kind) == (None if path is None else Path(path), written)


def test_result_of_stdin():
    assert Naming(None, X2, False).result(Input(None), "jpeg") == (None, "jpeg")
    assert Naming("out/", X2, False).result(Input(None), "gif") == (Path("out/picture.png"), "png")


def test_result_keeps_the_folder_under_the_one_named():
    item = Input(Path("d/sub/a.png"), Path("sub"))
    assert Naming("out", X2, many=True).result(item, "png")[0] == Path("out/sub/a.png")


def test_format_option_wins_and_may_not_contradict():
    assert Naming(None, X2, False, "jpg").result(Input(Path("a.png")), "png") == (Path("a_x2.jpg"), "jpeg")
    assert Naming("b.dat", X2, False, "jpg").result(Input(Path("a.png")), "png") == (Path("b.dat"), "jpeg")
    assert Naming("b.jpe", X2, False, "jpeg").result(Input(Path("a.png")), "png") == (Path("b.jpe"), "jpeg")
    with pytest.raises(UsageError, match="contradicts"):
        Naming("b.png", X2, False, "jpeg")


def test_output_without_extension():
    with pytest.raises(OutputError, match=r"has no extension; use \.png"):
        Naming("b", X2, False).result(Input(Path("a.png")), "png")


@pytest.mark.parametrize("output", ["-", "a.png", "new.jpg", "file"])
def test_outputs_that_take_one_result_only(output):
    put("file")
    with pytest.raises(UsageError):
        Naming(output, X2, many=True)


def test_folder_that_looks_like_a_file_may_be_named():
    Path("out.png").mkdir()
    for output in ("out.png", "new.png/"):
        Naming(output, X2, many=True)


def test_settle_leaves_out_results_of_earlier_runs():
    put("a.png", "a_x2.png", "a_x2_x2.png", "a_x3.png", "b_x2.png")
    items = collect(["."], False)
    todo, left_out = settle(items, Naming(None, X2, True))
    assert names(todo) == ["a.png", "a_x3.png", "b_x2.png"]
    assert names(left_out) == ["a_x2.png", "a_x2_x2.png"]
    todo, left_out = settle(items, Naming("out", X2, True))
    assert (len(todo), left_out) == (5, [])


def test_settle_refuses_two_inputs_with_one_result():
    put("one/a.png", "two/a.png")
    with pytest.raises(UsageError, match=r"one/a\.png and two/a\.png would both become .*out/a\.png"):
        settle(collect(["one/a.png", "two/a.png"], False), Naming("out", X2, True))


def test_settle_goes_by_content():
    put("a.bmp", data=PNG)
    put("a.jpg", data=JPEG)
    put("b.jpg", "b.png", data=PNG)
    settle(collect(["a.bmp", "a.jpg"], False), Naming(None, X2, True))
    with pytest.raises(UsageError, match=r"b\.jpg and b\.png would both become"):
        settle(collect(["b.jpg", "b.png"], False), Naming(None, X2, True))


def test_settle_lets_bad_inputs_fail_by_themselves():
    put("a.png")
    put("text.png", data=b"text")
    items = collect(["a.png", "none.png", "text.png"], False)
    assert settle(items, Naming(None, X2, True)) == (items, [])


def test_an_input_is_never_the_result_of_another(tmp_path):
    put("p/sub/x/a.png", "p/x/a.png")
    items = collect(["p/sub", "p/x"], True)
    with pytest.raises(UsageError, match=r"p/sub/x/a.png would take the place of the input p/x/a.png; give another -o"):
        settle(items, Naming("p", X2, True))
    Path("link").symlink_to("p")
    with pytest.raises(UsageError, match="take the place"):
        settle(items, Naming("link", X2, True))
    assert settle(items, Naming("q", X2, True)) == (items, [])


def test_a_link_to_an_earlier_result_is_left_out_with_it():
    put("a.png", "a_x2.png")
    Path("link.png").symlink_to("a_x2.png")
    todo, left_out = settle(collect(["."], False), Naming(None, X2, True))
    assert (names(todo), names(left_out)) == (["a.png"], ["a_x2.png", "link.png"])


def test_a_picture_is_not_taken_for_a_result_because_a_link_to_it_is_named_so():
    put("a.png", "b.png")
    Path("b_x2.png").symlink_to("a.png")
    with pytest.raises(UsageError, match=r"b\.png would take the place of the input a\.png"):
        settle(collect(["."], False), Naming(None, X2, True))


def test_results_are_not_found_again_through_a_link():
    put("d/a.png", "d/out/a.png")
    Path("o").symlink_to("d/out")
    assert names(collect(["d"], True, "o")) == ["d/a.png"]
