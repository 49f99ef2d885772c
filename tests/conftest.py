"""Fixtures that every test may use. Caches and models go to a temporary home, never to the user's."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec

from .browser import browser  # noqa: F401 (a fixture)

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory):
    before = os.environ.get("EDGE_LIIF_HOME")
    os.environ["EDGE_LIIF_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["EDGE_LIIF_HOME"]
    else:
        os.environ["EDGE_LIIF_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def _signals_arrive():
    """A test run started in the background of a script ignores Ctrl-C, and so would every process it starts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _same_random_numbers():
    """What fails once fails again. Most generators are seeded by hand; torch's own is global."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def tamed(network: Network) -> Network:
    """A random network whose answers stay within a few units, as a trained one's do, so that absolute errors mean
    something."""
    last = f"imnet.layers.{2 * len(network.spec.decoder.hidden)}"
    tensors = dict(network.tensors)
    tensors[f"{last}.weight"] = tensors[f"{last}.weight"] / 20
    return Network(network.spec, tensors)


@pytest.fixture(scope="session")
def small_rdn() -> Network:
    """An RDN with different widths in every layer, as pruning makes them."""
    encoder = RDNSpec(16, ((8, 5), (7, 3, 4)), 12)
    return tamed(random_network(ModelSpec("small-rdn", encoder, DecoderSpec((24, 20, 16))), seed=1))


@pytest.fixture(scope="session")
def small_edsr() -> Network:
    return tamed(random_network(ModelSpec("small-edsr", EDSRSpec(16, (16, 9)), DecoderSpec((16, 16))), seed=2))


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A piece of a real photograph, uint8 (96, 120, 3)."""
    import cv2

    picture = cv2.imread(str(REPOSITORY / "examples" / "kodim23.png"))
    return np.ascontiguousarray(picture[160:256, 200:320, ::-1])


@pytest.fixture(scope="session")
def saturating() -> bool:
    """Whether this processor's int8 kernels add products in 16 bits, which saturate: x86 without VNNI."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    without = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in {"SSE41", "AVX", "AVX2", "AVX512_CORE"}
    return "avx2" in info and (without or "vnni" not in info)
