#!/usr/bin/python3
"""The attention explorer and /statusz in a headless Chromium.

  pages.py ATTNSERVE ATTNCTL [--screenshots FOLDER]

Debian's own Python: python3-selenium is there. Exit code 77, with the reason,
where there is no browser.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import browser
from server import Server

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "client/examples/river_bank"
EXPECTED = json.loads((EXAMPLE / "expected.json").read_text())
HOSTILE = ["</script><script>window.caught = 1</script>", "<img src=x onerror=window.caught=1>",
           "<!--<script>", "{{style}}", "\"'\\", "&lt;b&gt;", "\xa0", "fl\u00fcssig", "\U0001f30a", "a b"]

arguments: argparse.Namespace


def explore(server: Server, tokens: pathlib.Path, page: pathlib.Path, *flags: str) -> str:
    """Lets attnctl write `page`; its address."""
    subprocess.run(
        [arguments.attnctl, "--address", server.address(), "attend", "--query", EXAMPLE / "query.npy",
         "--key", EXAMPLE / "key.npy", "--value", EXAMPLE / "value.npy", "--tokens", tokens,
         "--html", page, *flags], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return page.as_uri()


class PageCase(unittest.TestCase):
    """A server, a browser and a folder for each test."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(Server(arguments.attnserve))
        self.browser = self.enterContext(browser.Browser())

    def find(self, selector: str) -> list:
        return self.browser.driver.find_elements("css selector", selector)

    def photograph(self, name: str) -> None:
        if arguments.screenshots:
            self.browser.driver.save_screenshot(str(pathlib.Path(arguments.screenshots, name)))


class ExplorerTest(PageCase):
    def setUp(self) -> None:
        super().setUp()
        self.address = explore(self.server, EXAMPLE / "tokens.txt", self.folder / "page.html",
                               "--head", "4", "--row", "bank")
        self.browser.driver.get(self.address)

    def summary(self) -> str:
        return self.browser.text("summary")

    def query(self, index: int):
        return self.find("#queries [role=option]")[index]

    def head(self) -> str:
        return self.browser.script("return document.querySelector('#heads :checked + span').textContent")

    def test_begins_where_it_was_asked_to_without_a_complaint(self) -> None:
        self.assertEqual(self.summary(), "bank attends to river 71.7 %, [CLS] 7.3 %, of 6.0 %")
        self.assertEqual(self.head(), "4")
        self.assertEqual(self.browser.complaints(), [])
        self.assertEqual(self.browser.loaded(), [])
        self.photograph("explorer.png")

    def test_shows_the_weights_that_are_expected(self) -> None:
        for head, weights in enumerate(EXPECTED["row_weights_per_head"]):
            self.browser.script("chooseHead(arguments[0])", head)
            labels = self.browser.script(
                "return [...document.querySelectorAll('#keys span')].map((key) => key.getAttribute('aria-label'))")
            shown = [float(re.search(r", ([\d.]+) percent$", label)[1]) for label in labels]
            for got, want in zip(shown, weights, strict=True):
                self.assertAlmostEqual(got, 100 * want, delta=0.0511)

    def test_pointing_shows_a_token_and_leaving_the_chosen_one(self) -> None:
        self.browser.point_at(self.query(8))
        self.assertIn("river attends to", self.summary())
        self.browser.point_at(self.find("h1")[0])
        self.assertIn("bank attends to", self.summary())

    def test_keys_walk_over_tokens_and_heads(self) -> None:
        self.browser.script("arguments[0].focus()", self.query(5))
        self.browser.press("ARROW_RIGHT")
        self.assertIn("of attends to", self.summary())
        self.browser.press("HOME")
        self.assertIn("[CLS] attends to", self.summary())
        self.browser.press("ARROW_LEFT", "END", "ARROW_RIGHT")
        self.assertIn("[SEP] attends to", self.summary())
        self.browser.press("ARROW_DOWN")
        self.assertEqual(self.head(), "5")
        self.assertTrue(self.browser.driver.current_url.endswith("#5:9"))

    def test_tab_reaches_heads_then_tokens(self) -> None:
        self.browser.press("TAB", "ARROW_RIGHT")
        self.assertEqual(self.head(), "5")
        self.browser.press("TAB")
        focused = self.browser.script("return document.activeElement.textContent")
        self.assertEqual(focused, "bank")

    def test_tapping_chooses_a_token(self) -> None:
        self.browser.tap(self.query(1))
        self.browser.until("he is shown", lambda: "he attends to" in self.summary())

    def test_map_chooses_a_row(self) -> None:
        self.browser.script("chooseQuery(0)")
        self.browser.tap(self.find("#map")[0])  # Its middle: row 5 of 10.
        self.browser.until("bank is shown", lambda: "bank attends to" in self.summary())

    def test_address_keeps_head_and_token(self) -> None:
        self.browser.driver.get("about:blank")
        self.browser.driver.get(self.address + "#mean:8")
        self.assertEqual(self.head(), "mean")
        self.assertIn("river attends to", self.summary())

    def test_everything_has_a_name(self) -> None:
        names = self.browser.names()
        for role, name in (("radio", "head 4"), ("radio", "mean of all heads"), ("option", "bank"),
                           ("listitem", "river, 71.7 percent"), ("image", "Weights of 10 queries and 10 keys in head 4")):
            self.assertIn((role, name), names)
        self.assertNotIn(("radio", ""), names)
        self.assertNotIn(("option", ""), names)

    def test_follows_light_and_dark(self) -> None:
        ground = "return getComputedStyle(document.body).backgroundColor"
        self.browser.colour_scheme("light")
        light = self.browser.script(ground)
        self.browser.colour_scheme("dark")
        self.assertNotEqual(self.browser.script(ground), light)
        self.photograph("explorer_dark.png")

    def test_hostile_tokens_stay_text(self) -> None:
        tokens = self.folder / "hostile.txt"
        tokens.write_text("\n".join(HOSTILE), encoding="utf-8")
        self.browser.driver.get(explore(self.server, tokens, self.folder / "hostile.html"))
        shown = self.browser.script(
            "return [...document.querySelectorAll('#keys span')].map((key) => key.textContent)")
        # Blanks alone are quoted, so that they can be seen.
        self.assertEqual(shown, [token if token.strip() else json.dumps(token, ensure_ascii=False) for token in HOSTILE])
        self.assertIsNone(self.browser.script("return window.caught"))
        self.assertEqual(self.browser.complaints(), [])


class StatuszTest(PageCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.address()
        found = re.search(r"http=(\S+)", "".join(self.server.log))
        self.address = f"http://{found[1]}/statusz"

    def load(self, duration: str) -> subprocess.Popen:
        """Four clients, in the background; ended with the test at the latest."""
        clients = subprocess.Popen([arguments.attnctl, "--address", self.server.address(), "bench", "-c", "4",
                                    "--duration", duration, "--kv-len", "256"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.addCleanup(clients.wait)
        self.addCleanup(clients.kill)
        return clients

    def charts(self) -> dict[str, str]:
        """Title of each chart and the words under it."""
        return self.browser.script(
            "return Object.fromEntries([...document.querySelectorAll('figure')].map((figure) =>"
            " ['figcaption', 'p'].map((part) => figure.querySelector(part).textContent)))")

    def test_is_live(self) -> None:
        self.browser.driver.get(self.address)
        # Longer than anything here waits: the page shows what happens now, and nothing once the load is over.
        self.load("120s")
        completed = self.browser.until("throughput above 0", lambda: re.search(
            r"completed ([1-9][\d.]*)/s", self.charts().get("Tasks", "")))
        self.assertGreater(float(completed[1]), 0)
        self.assertRegex(self.charts()["Call latency"], r"median [\d.]+ ms, p99 [\d.]+ ms")
        self.assertRegex(self.charts()["Tasks in a batch"], r"mean [\d.]+")
        self.browser.until("a line of three points", lambda: self.browser.script(
            "return document.querySelector('figure:first-child polyline').points.length") > 2)
        self.photograph("statusz.png")

    def test_tables_follow_the_server(self) -> None:
        self.browser.driver.get(self.address)
        before = self.browser.text("tasks_completed")
        self.assertEqual(before, "0")
        self.assertEqual(self.load("2s").wait(), 0)
        now = json.load(urllib.request.urlopen(self.address + "?format=json"))
        self.assertGreater(now["tasks_completed"], 0)
        self.browser.until("the table shows the count",
                           lambda: self.browser.text("tasks_completed") == str(now["tasks_completed"]))
        self.assertEqual(self.browser.text("call_p50_seconds"), f"{1e3 * now['call_p50_seconds']:.3f} ms")

    def test_loads_from_this_server_alone_and_obeys_its_policy(self) -> None:
        self.browser.driver.get(self.address)
        self.browser.until("charts", self.charts)
        origin = self.address.removesuffix("/statusz")
        loaded = self.browser.until("an answer", lambda: [
            name for name in self.browser.loaded() if name.endswith("format=json")] and self.browser.loaded())
        self.assertEqual({name for name in loaded if not name.startswith((origin, "data:"))}, set())
        self.assertEqual(self.browser.complaints(), [])

    def test_is_a_table_without_script(self) -> None:
        self.browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
        self.browser.driver.get(self.address)
        cells = {cell.get_attribute("id"): cell.text for cell in self.find("td")}
        self.assertEqual(cells["ready"], "yes")
        self.assertEqual(self.find("figure"), [])

    def test_says_that_the_server_is_gone(self) -> None:
        self.browser.driver.get(self.address)
        self.browser.until("live", lambda: self.browser.text("state").startswith("Live"))
        self.server.stop()
        self.browser.until("stale", lambda: self.browser.text("state").startswith("No answer"))

    def test_charts_have_names(self) -> None:
        self.browser.driver.get(self.address)
        self.browser.until("live", lambda: self.browser.text("state").startswith("Live"))
        images = {name for role, name in self.browser.names() if role == "image"}
        self.assertEqual(len([name for name in images if ": " in name]), 12, images)


def main() -> int:
    global arguments
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attnserve")
    parser.add_argument("attnctl")
    parser.add_argument("--screenshots", metavar="FOLDER", help="write pictures of the pages there")
    arguments, rest = parser.parse_known_args()
    if reason := browser.missing():
        print(f"skipped: {reason}")
        return 77
    outcome = unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2)
    return 0 if outcome.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
