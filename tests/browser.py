"""A headless Chromium for the tests of pages, from the machine's own programs; nothing is downloaded."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

CONTRAST = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const luminance = colour => channels(colour).slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const background = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if ((channels(colour)[3] ?? 1) === 1) return colour;
  }
  return "rgb(255, 255, 255)";
};
const text = [...document.body.querySelectorAll("*")].filter(e =>
  !["STYLE", "title"].includes(e.tagName) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
return text.map(e => {
  const colour = getComputedStyle(e)[e instanceof SVGElement ? "fill" : "color"];
  const [a, b] = [luminance(colour), luminance(background(e))].sort((x, y) => y - x);
  return [e.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)];
});
"""
"""Of every text: how it begins, and WCAG 2.2's ratio of the luminances of text and background."""
BOXES = """
return [...document.querySelectorAll("svg")].map(svg => {
  const box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(t => t.getBoundingClientRect());
  return {width: box.width, height: box.height, left: box.left, right: box.right,
          textLeft: Math.min(...texts.map(t => t.left)), textRight: Math.max(...texts.map(t => t.right)),
          marks: [...svg.querySelectorAll(".line, .steps, .area, .mark, .cell, .bar")]
            .filter(e => { const b = e.getBBox(); return b.width + b.height > 0; }).length};
});
"""
"""Of each chart: its own box, and the union of those of its texts."""


def chromium_missing() -> str:
    """Which program a browser test lacks, in words; empty where it has both."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} are not on PATH" if lacking else ""


@dataclass(frozen=True)
class Browser:
    """An open browser."""

    driver: Chrome

    def open(self, url: str, *, width: int, dark: bool = False) -> None:
        """Load a page in a window of that width, in CSS pixels."""
        self.driver.get("about:blank")  # so that nothing of the browser's first tab is taken for the page's
        self._log("browser")
        self._log("performance")
        self.emulate(width=width, dark=dark)
        self.driver.get(url)

    def emulate(self, *, width: int, dark: bool = False, media: str = "") -> None:
        """Give the page another width, colour scheme or medium."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme]})

    def run(self, script: str) -> Any:
        """What a JavaScript function body returns in the page."""
        return self.driver.execute_script(script)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, e.g. `Keys.TAB`."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def requests(self) -> list[str]:
        """The URLs that were asked for since the page was opened."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def complaints(self) -> list[str]:
        """What the console says since the page was opened."""
        return [entry["message"] for entry in self._log("browser")]

    def _log(self, kind: str) -> list[Any]:
        """What was logged since it was last asked for."""
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]

    def pdf(self) -> bytes:
        """The page as it is printed."""
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
        return base64.b64decode(printed["data"])

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        return base64.b64decode(shot["data"])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in the given folder; closed at the end, with all its processes."""
    options = Options()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(executable_path=str(shutil.which("chromedriver"))))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
