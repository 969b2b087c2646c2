"""A headless Chromium, driven by Debian's chromium, chromium-driver and
python3-selenium; all three are looked for and never downloaded."""

from __future__ import annotations

import shutil
import time
from typing import Any, Callable

WAIT_SECONDS = 20


def missing() -> str:
    """Why there is no browser, or ""."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    try:
        import selenium  # noqa: F401
    except ImportError:
        absent.append("selenium for Python")
    if not absent:
        return ""
    return (f"no {', no '.join(absent)} "
            "(Debian: apt-get install --no-install-recommends chromium chromium-driver python3-selenium)")


class Browser:
    """One window; a context manager. `driver` is selenium's."""

    def __init__(self, width: int = 1000, height: int = 900) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        # Tests run as root in containers with a small /dev/shm.
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def devtools(self, command: str, **parameters: Any) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(command, parameters)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def text(self, identifier: str) -> str:
        return self.script("return document.getElementById(arguments[0]).textContent", identifier)

    def complaints(self) -> list[str]:
        """What the console got since the last call: errors, violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def loaded(self) -> list[str]:
        """Addresses of everything that the page loaded beside itself."""
        return self.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(getattr(Keys, key))
        chain.perform()

    def point_at(self, element: Any) -> None:
        from selenium.webdriver import ActionChains
        ActionChains(self.driver).move_to_element(element).perform()

    def tap(self, element: Any) -> None:
        """With a finger, not a mouse."""
        box = self.script("arguments[0].scrollIntoView({block: 'center'});"
                          "return arguments[0].getBoundingClientRect().toJSON()", element)
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
        self.devtools("Input.dispatchTouchEvent", type="touchStart", touchPoints=[point])
        self.devtools("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def colour_scheme(self, scheme: str) -> None:
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])

    def names(self) -> set[tuple[str, str]]:
        """(role, name) of all that a screen reader meets."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return {(node.get("role", {}).get("value", ""), node.get("name", {}).get("value", "")) for node in nodes}

    def until(self, what: str, fact: Callable[[], Any]) -> Any:
        """The first true value of `fact`. AssertionError where none comes."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            value = fact()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {WAIT_SECONDS} s: {what}")
            time.sleep(0.05)
