"""A Chromium without a window, for the pages that this program writes; tests are skipped where there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """What the tests do with a page; `driver` is selenium's, for all else."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Load a page from the disk into a window of this size in CSS pixels."""
        self.emulate(width, height)
        self.driver.get_log("browser")  # what an earlier page left
        self.driver.get(page.resolve().as_uri())
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn: charts are, two frames after their place is known."""
        wait = "const wait = (n) => n ? requestAnimationFrame(() => wait(n - 1)) : done(); wait(4);"
        self.js(f"return new Promise((done) => {{ {wait} }})")

    def emulate(self, width: int, height: int = 900, media: str = "", scheme: str = "light") -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """What a person reads in the first element that matches."""
        return self.js("return document.querySelector(arguments[0]).innerText", selector)

    def texts(self, selector: str) -> list[str]:
        return self.js(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText ?? e.textContent)", selector
        )

    def find(self, selector: str) -> Any:
        element = self.driver.find_element("css selector", selector)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def choose(self, label: str, option: str) -> None:
        """Take an option of the selector that is labelled so, as a person does: by their texts."""
        from selenium.webdriver.support.ui import Select

        found = self.driver.find_element("xpath", f"//label[span[text()={json.dumps(label)}]]/select")
        Select(found).select_by_visible_text(option)
        self.settle()

    def point_at(self, element: Any, dx: int = 0, dy: int = 0) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=20).move_to_element_with_offset(element, dx, dy).perform()

    def drag(self, element: Any, dx: int) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=20).drag_and_drop_by_offset(element, dx, 0).perform()

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the page was opened, whatever they are about."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in {"SEVERE", "WARNING"}]

    @property
    def loaded(self) -> list[str]:
        """Everything that the page asked for, data URIs apart."""
        names = self.js("return performance.getEntriesByType('resource').map((r) => r.name)")
        return [name for name in names if not name.startswith("data:")]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory):
    """A `Browser`, one for all tests."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no Chromium and chromedriver on this machine (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    # The driver is named, so that selenium looks for none and fetches none.
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.set_page_load_timeout(30)
    driver.set_script_timeout(10)
    yield Browser(driver)
    driver.quit()
