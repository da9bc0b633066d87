"""The status page in Chromium: what it shows, that it lives, and what it lets operators do."""

import atexit
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any
from unittest import SkipTest
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from tests.browser.running import TOKEN, Scene, browser, missing
from tests.live.command import until

NAME = "<img src=x onerror=document.title='gotcha'>"
PHONE, DESK = 380, 1280


@cache
def shared() -> tuple[Scene, Any]:
    """Return a relay and a browser, which end with this process: starting them takes seconds."""
    scene = Scene()
    atexit.register(scene.end)
    page = browser(scene.folder)
    atexit.register(page.quit)
    return scene, page


class PageTests(SynchronousTestCase):
    """One relay and one browser for all of them."""

    def setUp(self) -> None:
        """Open the page anew, with nothing left of the test before."""
        why = missing()
        if why is not None:
            raise SkipTest(why)
        self.scene, self.page = shared()
        self.width(DESK)
        self.page.get(self.scene.url)
        self.page.execute_script("sessionStorage.clear()")
        self.page.get(self.scene.url)
        self.wait(lambda: self.text("#live") == "live", "the page is live")
        self.log()

    def wait(self, found: Any, what: str) -> Any:
        """Wait until it is so."""
        return until(found, what)

    def all(self, selector: str) -> list[Any]:
        """Return the elements that can be seen."""
        return [e for e in self.page.find_elements("css selector", selector) if e.is_displayed()]

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        found = "return document.querySelector(arguments[0])?.innerText"
        return str(self.page.execute_script(found, selector))

    def log(self) -> list[str]:
        """Return what the browser complains of since it was asked last."""
        return [entry["message"] for entry in self.page.get_log("browser")]

    def standing(self, name: str) -> str:
        """Return the word for how a provider stands."""
        return self.text(f'article[aria-label="Provider {name}"] .pill')

    def press(self, label: str) -> None:
        """Press a button by its name."""
        (button,) = self.wait(lambda: self.all(f'button[aria-label="{label}"]'), label)
        button.click()

    def said(self, words: str) -> None:
        """Wait until the page has said that."""
        self.wait(lambda: words in self.text("#said"), f"{words!r} is said")

    def show_token(self, token: str = TOKEN) -> None:
        """Write the token into its field."""
        field = self.page.find_element("id", "token")
        field.clear()
        field.send_keys(token + "\t")

    def width(self, pixels: int, scheme: str = "light") -> None:
        """Be a screen of that width, and of that scheme of colours."""
        screen = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < DESK}
        self.page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def status(self) -> Any:
        """Return what the relay itself says."""
        with urlopen(f"{self.scene.url}/status", timeout=10) as answer:
            return json.loads(answer.read())

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Let the provider be gone for a while."""
        self.scene.kill()
        try:
            yield
        finally:
            self.scene.revive()

    def test_it_shows_the_relay(self) -> None:
        """Providers, keys with their limits, requests with their attempts, and what they cost."""
        self.scene.ask()
        first = "#recent-rows tr:first-child"
        self.wait(lambda: "claude-sonnet-4-5" in self.text(first), "the request is there")
        self.assertEqual(self.text("#ready"), "ready")
        self.assertEqual([self.text(f".card:nth-child({n}) h3") for n in (1, 2)], ["far", "near"])
        meters = self.all('[role="meter"]')
        labels = {meter.get_attribute("aria-label") for meter in meters}
        self.assertIn("requests of main in the last minute", labels)
        self.assertIn("input tokens of main in the last minute", labels)
        self.assertIn("$0.00", self.text(first))
        self.assertIn("claude-sonnet-4-5", self.text("#spent"))
        (show, *_) = self.all("#recent-rows button")
        show.click()
        self.wait(lambda: "ok, status 200" in self.text("tr.detail"), "the attempts are there")
        self.assertEqual(show.get_attribute("aria-expanded"), "true")

    def test_nothing_is_amiss(self) -> None:
        """The browser complains of nothing, asks nobody else, and loads little."""
        self.scene.ask()
        self.page.get_log("performance")
        self.page.get(self.scene.url)
        self.wait(lambda: self.all("#recent-rows tr"), "the page is drawn")
        self.assertEqual(self.log(), [])
        events = [json.loads(entry["message"])["message"] for entry in self.page.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        self.assertTrue(asked)
        others = [u for u in asked if not u.startswith((self.scene.url, "data:", "chrome:"))]
        self.assertEqual(others, [])
        parts = ("/", "/page/status.css", "/page/status.js")
        sizes = [len(urlopen(self.scene.url + path, timeout=10).read()) for path in parts]
        self.assertLessEqual(sum(sizes), 60 * 1024)

    def test_nothing_else_may_run(self) -> None:
        """What would be put into the page from elsewhere is refused by its policy."""
        run = "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s)"
        self.page.execute_script(run)
        self.assertIsNone(self.page.execute_script("return window.ran"))
        self.assertIn("Content Security Policy", " ".join(self.log()))

    def test_a_provider_dies_and_returns(self) -> None:
        """The page shows within seconds that a provider is gone, that others serve, and that it is back."""
        self.assertEqual(self.standing("far"), "ready")
        with self.dead():
            self.wait(lambda: self.standing("far") == "circuit open", "the circuit is open")
            self.said("far: ")
            self.scene.ask("claude-opus-4-5")
            self.wait(lambda: "near / -" in self.text("#recent-rows tr"), "the other one has answered")
        self.wait(lambda: self.standing("far") != "circuit open", "it is tried again")
        # Requests close a circuit, probes do not; a machine under load may fail a probe in between.
        self.wait(lambda: self.scene.ask() and self.standing("far") == "ready", "it is back")

    def test_the_relay_is_away(self) -> None:
        """When no news comes the page says so, and goes on when it comes again."""
        self.page.execute_script("source.close(); source.dispatchEvent(new Event('error'))")
        self.assertIn("trying again", self.text("#live"))
        self.assertIn("stale", self.page.execute_script("return document.body.className"))
        self.wait(lambda: self.text("#live") == "live", "it is live again")
        self.assertNotIn("stale", self.page.execute_script("return document.body.className"))

    def test_without_the_token(self) -> None:
        """Whoever shows no token, or another, changes nothing and reads why."""
        self.press("Disable near")
        self.said("Not done: Show admin.token as Authorization: Bearer.")
        self.assertEqual(self.page.switch_to.active_element.get_attribute("id"), "token")
        self.show_token("wrong")
        self.press("Disable near")
        self.said("Not done: The token in Authorization: Bearer is not admin.token.")
        self.assertEqual(self.status()["changes"], [])

    def test_with_the_token(self) -> None:
        """With the token a provider is disabled and enabled, and what was changed stands at the top."""
        self.show_token()
        self.press("Disable near")
        self.wait(lambda: self.standing("near") == "disabled", "it is disabled")
        self.assertIn("provider near disabled", self.text("#changes"))
        self.press("Enable near")
        self.wait(lambda: self.standing("near") == "ready", "it is enabled")
        self.press("Drain near")
        self.wait(lambda: self.standing("near") == "draining", "it drains")
        self.page.find_element("id", "revert").click()
        self.wait(lambda: not self.all("#changes"), "it is taken back")
        self.assertEqual(self.status()["changes"], [])

    def test_keys_and_strategy(self) -> None:
        """A key is added and removed again, another strategy chosen, the configuration read anew."""
        self.show_token()
        secret = "sk-test-of-a-third-3333"
        self.page.find_element("id", "key-secret").send_keys(secret)
        self.page.find_element("id", "key-name").send_keys("third")
        self.page.find_element("css selector", "#key-form button").click()
        self.said("key third of far is added")
        self.assertEqual(self.page.find_element("id", "key-secret").get_attribute("value"), "")
        self.assertNotIn(secret, self.page.page_source + json.dumps(self.status()))
        self.press("Remove the key third of far")
        self.page.switch_to.alert.dismiss()
        self.assertIn("third", [key["name"] for key in self.status()["providers"][0]["keys"]])
        self.press("Remove the key third of far")
        self.page.switch_to.alert.accept()
        self.said("key third of far is removed")
        self.page.execute_script("document.getElementById('strategy').value = 'round_robin'")
        self.page.find_element("id", "set-strategy").click()
        self.said("the strategy is round_robin")
        self.page.find_element("id", "revert").click()
        self.said("taken back")
        self.page.find_element("id", "reload").click()
        self.said("the configuration is reloaded")

    def test_hostile_names(self) -> None:
        """A name that is markup is text."""
        self.scene.ask(NAME)
        self.wait(lambda: NAME[:20] in self.text("#recent-rows"), "the name is shown as it is")
        self.assertEqual(self.page.find_elements("css selector", "main img"), [])
        self.assertNotIn("gotcha", self.page.title)

    def test_on_a_phone(self) -> None:
        """At 380 pixels nothing has to be scrolled sideways but tables, in the light and in the dark."""
        self.scene.ask("a-model-" + "with-a-very-long-name-" * 8)
        backgrounds = set()
        for scheme in ("light", "dark"):
            self.width(PHONE, scheme)
            self.wait(lambda: self.all("#recent-rows tr"), "the requests are there")
            size = "return [document.scrollingElement.scrollWidth, innerWidth]"
            scrolled, inner = self.page.execute_script(size)
            self.assertLessEqual(scrolled, inner)
            shade = "return getComputedStyle(document.body).backgroundColor"
            backgrounds.add(self.page.execute_script(shade))
        self.assertEqual(len(backgrounds), 2)

    def test_by_keyboard(self) -> None:
        """Everything that can be done is reached by Tab, seen when it is, and done by Enter."""
        from selenium.webdriver.common.keys import Keys  # noqa: PLC0415

        self.show_token()
        self.page.execute_script("document.querySelector('.skip').focus()")
        reached = []
        for _ in range(200):
            self.page.switch_to.active_element.send_keys(Keys.TAB)
            active = self.page.switch_to.active_element
            label = active.get_attribute("aria-label") or active.get_attribute("id") or active.text
            if active.tag_name in {"button", "input", "select"}:
                outline = "return getComputedStyle(arguments[0]).outlineStyle"
                self.assertEqual(self.page.execute_script(outline, active), "solid", label)
            reached.append(label)
            if label == "key-rpm":
                break
        wanted = {"Disable far", "Drain near", "strategy", "reload", "key-provider", "key-secret"}
        self.assertLessEqual(wanted, set(reached))
        (button,) = self.all('button[aria-label="Drain near"]')
        button.send_keys(Keys.ENTER)
        self.wait(lambda: self.standing("near") == "draining", "Enter has done it")
        self.press("Enable near")
        self.wait(lambda: self.standing("near") == "ready", "and taken it back")

    def test_by_screen_reader(self) -> None:
        """Everything has a name, the page its landmarks and headings in order, and tables their heads."""
        self.scene.ask()
        self.wait(lambda: self.all("#recent-rows tr"), "the page is drawn")
        nodes = self.page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        told = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]
        named = {"button", "textbox", "combobox", "spinbutton", "meter", "image", "article", "table"}
        nameless = [role for role, name in told if role in named and not name.strip()]
        self.assertEqual([role for role in nameless if role != "table"], [])
        roles = {role for role, _ in told}
        self.assertLessEqual({"main", "banner", "heading", "columnheader", "status", "meter"}, roles)
        levels = "return [...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])"
        order = self.page.execute_script(levels)
        self.assertEqual(order[0], 1)
        self.assertTrue(all(below <= above + 1 for above, below in pairwise(order)), order)
        self.assertEqual(self.page.execute_script("return document.documentElement.lang"), "en")
