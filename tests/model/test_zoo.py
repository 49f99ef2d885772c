from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_liif.errors import ModelError
from edge_liif.model import zoo

WEIGHTS = b"bundled weights"
SHA = hashlib.sha256(WEIGHTS).hexdigest()
MANIFEST = f"""
[small]
title = "Small"
architecture = "liif/rdn"
authors = ["A", "B"]
licence = "BSD-3-Clause"
size = {len(WEIGHTS)}
sha256 = "{SHA}"
file = "small.safetensors"
summary = "comes with the package"
default = true

[large-net]
title = "Large"
architecture = "liif/rdn"
authors = ["A"]
licence = "BSD-3-Clause"
size = 1000
sha256 = "{"a" * 64}"
format = "liif-pth"
urls = ["https://example.invalid/large.pth"]
summary = "is downloaded"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of its own and an empty user folder; the current folder is empty too."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "models.toml").write_text(MANIFEST)
    (weights / "small.safetensors").write_bytes(WEIGHTS)
    monkeypatch.setattr(zoo, "weights_folder", lambda: weights)
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


def put(name: str, content: bytes = b"converted", record: bool = True) -> Path:
    path = zoo.home_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if record:
        sha256 = hashlib.sha256(content).hexdigest()
        zoo.write_record(path, sha256=sha256, source_url="https://example.invalid/x", source_sha256="b" * 64)
    return path


def manifest_error(tmp_path: Path, text: str) -> str:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        zoo.load_manifest(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


class TestPackagedManifest:
    def test_entries(self) -> None:
        manifest = zoo.load_manifest()
        assert {"edsr-baseline-liif", "rdn-liif-s", "rdn-liif"} <= manifest.keys()
        large = manifest["rdn-liif"]
        assert not large.bundled
        assert large.format == "liif-pth"
        assert large.size == 268_184_311
        assert large.sha256 == "7bf835bc969b85ead12ef3bd8e4bca7349777ae1fdbea6021f1b62608f4a323a"
        assert large.urls[0].endswith("rdn-liif.pth?dl=1")
        assert manifest[zoo.default_model()].bundled

    def test_bundled_files_are_what_the_manifest_says(self) -> None:
        for entry in zoo.load_manifest().values():
            path = zoo.weights_folder() / entry.file
            if entry.bundled and path.exists():
                assert path.stat().st_size == entry.size, entry.name
                assert zoo.sha256_of(path) == entry.sha256, entry.name


class TestManifest:
    def test_fields(self, home: Path) -> None:
        small, large = zoo.load_manifest().values()
        assert (small.name, small.authors, small.bundled, small.default) == ("small", ("A", "B"), True, True)
        assert (small.format, small.paper, small.urls) == ("safetensors", "", ())
        assert (large.urls, large.bundled, large.default) == (("https://example.invalid/large.pth",), False, False)
        assert zoo.default_model() == zoo.default_entry().name == "small"
        assert small.jpeg_variant == large.jpeg_variant == ""

    def test_jpeg_variant(self, tmp_path: Path) -> None:
        path = tmp_path / "models.toml"
        path.write_text(MANIFEST.replace("default = true", 'default = true\njpeg_variant = "large-net"'))
        assert zoo.load_manifest(path)["small"].jpeg_variant == "large-net"

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('title = "Small"\n', "", "[small]: title is missing"),
            ('title = "Small"', "title = 3", "title must be a string, not 3"),
            ('["A", "B"]', '["A", 3]', "authors must be a list of strings"),
            (f"size = {len(WEIGHTS)}", "size = true", "size must be a whole number"),
            (f"size = {len(WEIGHTS)}", "size = -1", "size must be"),
            (f"size = {len(WEIGHTS)}", "size = 0", "size must be"),
            ("default = true", "default = 1", "default must be true or false"),
            ("default = true", "default = false", "not none"),
            ('summary = "is downloaded"', 'summary = "s"\ndefault = true', "not small, large-net"),
            ("summary =", "sumary =", "unknown key 'sumary'"),
            ('file = "small.safetensors"', "", "either file (bundled) or urls"),
            ('file = "small.safetensors"', 'file = "x"\nurls = ["https://e.invalid"]', "either file (bundled) or urls"),
            ('file = "small.safetensors"', 'file = "../small.safetensors"', "beside the manifest"),
            (SHA, SHA.upper(), "64 hex digits"),
            ("a" * 64, "", "a model that is downloaded needs a sha256"),
            ('"liif-pth"', '"zip"', "format must be one of"),
            ('file = "small.safetensors"', 'file = "s"\nformat = "liif-pth"', "must be in the safetensors format"),
            ("https://example.invalid", "ftp://example.invalid", "urls must start with"),
            ("[large-net]", '["../large"]', "must be a table named by"),
            ("[large-net]", "[auto]", "must be a table named by"),
            (
                "default = true",
                'default = true\njpeg_variant = "none"',
                "[small]: jpeg_variant must name another model",
            ),
            (
                "default = true",
                'default = true\njpeg_variant = "small"',
                "[small]: jpeg_variant must name another model",
            ),
            ("default = true", "default = true\njpeg_variant = true", "jpeg_variant must be a string"),
            ("[small]", "[small", "not valid TOML"),
        ],
    )
    def test_malformed(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in MANIFEST
        assert message in manifest_error(tmp_path, MANIFEST.replace(old, new, 1))

    def test_top_level_value_is_no_model(self, tmp_path: Path) -> None:
        assert "[version]: must be a table" in manifest_error(tmp_path, "version = 1\n" + MANIFEST)

    def test_missing_or_not_text(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="can't read the model manifest"):
            zoo.load_manifest(tmp_path / "none.toml")
        (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ModelError, match="not valid TOML"):
            zoo.load_manifest(tmp_path / "binary.toml")

    def test_empty_sha256_is_allowed_for_a_file_not_made_yet(self, tmp_path: Path) -> None:
        path = tmp_path / "models.toml"
        path.write_text(MANIFEST.replace(SHA, "").replace(f"size = {len(WEIGHTS)}", "size = 0"))
        assert zoo.load_manifest(path)["small"].sha256 == ""


class TestFolders:
    def test_own_home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path))
        assert zoo.models_home() == tmp_path / "models"
        assert zoo.cache_home() == tmp_path / "cache"

    def test_platform_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        platformdirs = pytest.importorskip("platformdirs")
        monkeypatch.delenv("EDGE_LIIF_HOME", raising=False)
        assert zoo.models_home() == platformdirs.user_data_path("edge-liif", appauthor=False) / "models"
        assert zoo.cache_home() == platformdirs.user_cache_path("edge-liif", appauthor=False)
        assert "edge-liif" in str(zoo.models_home())

    def test_wheel_before_repository(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        package = tmp_path / "edge_liif"
        monkeypatch.setattr(zoo, "__file__", str(package / "model" / "zoo.py"))
        with pytest.raises(ModelError, match=r"models.toml is missing: reinstall"):
            zoo.weights_folder()
        repository, wheel = tmp_path / "weights", package / "weights"
        repository.mkdir()
        wheel.mkdir(parents=True)
        (repository / "models.toml").touch()
        assert zoo.weights_folder() == repository
        (wheel / "models.toml").touch()
        assert zoo.weights_folder() == wheel


class TestResolve:
    def test_bundled(self, home: Path) -> None:
        found = zoo.resolve("small")
        assert found == zoo.ResolvedModel("small", home / "weights" / "small.safetensors", SHA, True)
        zoo.verify(found)

    def test_bundled_but_file_missing(self, home: Path) -> None:
        (home / "weights" / "small.safetensors").unlink()
        with pytest.raises(ModelError, match="bundled model small is missing: reinstall"):
            zoo.resolve("small")

    def test_not_fetched(self, home: Path) -> None:
        with pytest.raises(ModelError) as caught:
            zoo.resolve("large-net")
        message = "large-net is not on this machine; fetch it with: edge-liif models fetch large-net"
        assert str(caught.value) == message

    def test_fetched(self, home: Path) -> None:
        path = put("large-net")
        found = zoo.resolve("large-net")
        assert found == zoo.ResolvedModel("large-net", path, hashlib.sha256(b"converted").hexdigest(), False)
        zoo.verify(found)

    def test_imported(self, home: Path) -> None:
        path = put("mine-1.5")
        assert zoo.resolve("mine-1.5").path == path
        zoo.verify(zoo.resolve("mine-1.5"))

    def test_unknown_names_a_close_one_and_all(self, home: Path) -> None:
        put("mine")
        with pytest.raises(ModelError) as caught:
            zoo.resolve("large_net")
        assert "did you mean large-net?" in str(caught.value)
        assert "(known: small, large-net, mine)" in str(caught.value)
        with pytest.raises(ModelError) as caught:
            zoo.resolve("zzz")
        assert "did you mean" not in str(caught.value)

    @pytest.mark.parametrize("name", ["", "..", "x" * 5000, "a\0b", ".hidden", "auto"])
    def test_strange_names(self, home: Path, name: str) -> None:
        with pytest.raises(ModelError, match="no model is called"):
            zoo.resolve(name)

    def test_file_paths(self, home: Path) -> None:
        file = home / "empty" / "own.safetensors"
        file.write_bytes(b"own")
        for given in ("own.safetensors", "./own.safetensors", str(file), file, Path("own.safetensors")):
            found = zoo.resolve(given)
            assert found.path.samefile(file)
            assert (found.name, found.sha256_expected, found.bundled) == ("own", None, False)
            zoo.verify(found)

    @pytest.mark.parametrize("given", ["none.safetensors", "none.PTH", "folder/small", "x" * 5000 + ".pth", "../empty"])
    def test_no_such_file(self, home: Path, given: str) -> None:
        with pytest.raises(ModelError, match="there is no model file"):
            zoo.resolve(given)

    def test_existing_file_without_suffix(self, home: Path) -> None:
        (home / "empty" / "model").write_bytes(b"x")
        assert zoo.resolve("model").path == Path("model")

    def test_manifest_name_wins_over_a_file(self, home: Path) -> None:
        (home / "empty" / "small").write_bytes(b"x")
        assert zoo.resolve("small").bundled
        assert not zoo.resolve("./small").bundled
        (home / "empty" / "large-net").write_bytes(b"x")
        with pytest.raises(ModelError, match="models fetch large-net"):
            zoo.resolve("large-net")

    @pytest.mark.parametrize("name", ["net.pth", "net.PTH", "net.pt"])
    def test_checkpoint_must_be_converted(self, home: Path, name: str) -> None:
        (home / "empty" / name).write_bytes(b"x")
        with pytest.raises(ModelError, match=f"convert it first: edge-liif models import {name}"):
            zoo.resolve(name)


class TestVerify:
    def test_damaged(self, home: Path) -> None:
        (home / "weights" / "small.safetensors").write_bytes(b"other")
        with pytest.raises(ModelError) as caught:
            zoo.verify(zoo.resolve("small"))
        assert f"expected sha256 {SHA}, found {hashlib.sha256(b'other').hexdigest()}" in str(caught.value)

    def test_empty_sha256_is_refused(self, home: Path) -> None:
        manifest = home / "weights" / "models.toml"
        manifest.write_text(MANIFEST.replace(SHA, "").replace(f"size = {len(WEIGHTS)}", "size = 0"))
        with pytest.raises(ModelError, match="no sha256 is recorded for small"):
            zoo.verify(zoo.resolve("small"))

    def test_model_without_record_is_refused(self, home: Path) -> None:
        put("mine", record=False)
        with pytest.raises(ModelError, match="no sha256 is recorded for mine"):
            zoo.verify(zoo.resolve("mine"))

    def test_model_changed_after_its_record(self, home: Path) -> None:
        put("mine").write_bytes(b"changed")
        with pytest.raises(ModelError, match=hashlib.sha256(b"changed").hexdigest()):
            zoo.verify(zoo.resolve("mine"))

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "{}", *(f'{{"sha256":{v},"source_url":"","source_sha256":"","date":""}}' for v in ("3", '""'))],
    )
    def test_damaged_record(self, home: Path, text: str) -> None:
        put("mine").with_suffix(".json").write_text(text)
        with pytest.raises(ModelError, match=r"mine\.json: damaged record"):
            zoo.resolve("mine")

    def test_record_round_trip(self, home: Path) -> None:
        path = put("mine")
        record = zoo.read_record(path)
        assert record is not None
        assert record.source_url == "https://example.invalid/x"
        assert record.source_sha256 == "b" * 64
        assert record.date.endswith("+00:00")
        assert json.loads(path.with_suffix(".json").read_text())["sha256"] == record.sha256
        assert sorted(item.name for item in path.parent.iterdir()) == ["mine.json", "mine.safetensors"]

    @pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
    def test_sha256_of(self, tmp_path: Path, chunk: int) -> None:
        (tmp_path / "f").write_bytes(bytes(range(100)))
        assert zoo.sha256_of(tmp_path / "f", chunk) == hashlib.sha256(bytes(range(100))).hexdigest()

    def test_sha256_of_unreadable(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="can't be read"):
            zoo.sha256_of(tmp_path)


def test_list_models(home: Path) -> None:
    assert [(m.name, m.status) for m in zoo.list_models()] == [("small", "bundled"), ("large-net", "not fetched")]
    put("large-net")
    mine = put("mine")
    (zoo.models_home() / ".half.safetensors").touch()
    listed = zoo.list_models()
    assert [(m.name, m.status) for m in listed[1:]] == [("large-net", "downloaded"), ("mine", "imported")]
    assert (listed[2].path, listed[2].entry) == (mine, None)
    (home / "weights" / "small.safetensors").unlink()
    assert (zoo.list_models()[0].status, zoo.list_models()[0].path) == ("missing", None)


def test_home_path_refuses_what_would_leave_the_folder(home: Path) -> None:
    with pytest.raises(ModelError, match="can't be a model's name"):
        zoo.home_path("../x")


def test_import_is_cheap_and_silent() -> None:
    code = """
import sys
def hook(event, args):
    assert not event.startswith("socket."), event
sys.addaudithook(hook)
import edge_liif.model.zoo
heavy = {"torch", "numpy", "openvino", "urllib.request", "http.client", "ssl", "socket", "platformdirs", "tomllib"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import edge_liif.model.download
assert not {"torch", "numpy", "openvino"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
