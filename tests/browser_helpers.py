"""A headless Chromium that opens a page as a user does, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

WIDTHS = (1280, 390)  # of a screen and of a telephone
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it has none as root, which containers commonly are
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One window, for as many pages as are wanted.

    Parameters
    ----------
    chromium, driver : str
        Paths of the programs.
    """

    def __init__(self, chromium: str, driver: str) -> None:
        self._profile = TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for option in (*OPTIONS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(driver)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.js = self.driver.execute_script

    def close(self) -> None:
        self.driver.quit()
        self._profile.cleanup()

    def open(self, path: Path, width: int = WIDTHS[0]) -> None:
        """Open a file, without a server; what was logged before is forgotten."""
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(path.absolute().as_uri())

    def troubles(self, path: Path) -> list[str]:
        """What is wrong with a page at each of the widths; empty if nothing is."""
        found = []
        for width in WIDTHS:
            self.open(path, width)
            found += [f"{width} px: {trouble}" for trouble in self._look(width)]
        return found

    def _look(self, width: int) -> list[str]:
        found = [f"console: {entry['message']}" for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            event, about = message["method"], message["params"]
            if event == "Network.loadingFailed":
                found.append(f"not loaded: {about.get('errorText')}")
            if event == "Network.requestWillBeSent":
                address = about["request"]["url"]
                if not address.startswith(("file:", "data:")):
                    found.append(f"asked for {address}")
        wide = self.js("return document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"is {wide} px wide")
        empty = "return [...document.images].filter(i => !(i.complete && i.naturalWidth)).length"
        if self.js(empty):
            found.append("has pictures that do not show")
        for link in self.links():
            if not link.is_file():
                found.append(f"links to {link}, which is not there")
        return found

    def links(self) -> list[Path]:
        """Files that the page links to, as the browser understands the links."""
        urls = self.js("return [...document.links].map(link => link.href)")
        return [Path(unquote(urlsplit(url).path)) for url in urls]

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector: str, most: int = 100) -> bool:
        """Press Tab until an element of this kind has the focus; False if none ever has."""
        for _ in range(most):
            self.press(Keys.TAB)
            if self.js("return document.activeElement.matches(arguments[0])", selector):
                return True
        return False

    def picture_width(self) -> Any:
        """Width of the picture, when the browser shows nothing else."""
        return self.js("return document.images.length ? document.images[0].naturalWidth : 0")
