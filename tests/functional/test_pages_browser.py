"""The pages in Debian's Chromium: on a phone and on a desk, dark and light, with scripts and without."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from farm.adapters.store import Store
from farm.serve.app import Options, create_app
from farm.serve.simple import render_project
from farm.serve.tail import Pace, Tails
from tests.fakes.busy_farm import FAILED, MARK, RUNNING, BusyFarm
from tests.fakes.overview import night_row
from tests.fakes.serving import serving
from tests.fakes.store import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.fakes.serving import Running

pytestmark = pytest.mark.browser
PAGES = (
    "", "matrix", "project/cffi", "builds", f"build/{FAILED.id}", "queue", "nights", f"night/{night_row().id}", "misses", "sets", "set/web",
    "project/nothing",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Debian's chromium is not installed: .ci/setup --dev installs it, and so does apt-get install chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def busy(tmp_path: Path) -> BusyFarm:
    return BusyFarm(tmp_path)


@pytest.fixture
def farm(busy: BusyFarm, tmp_path: Path) -> Iterator[Running]:
    store = Store(tmp_path / "store", render_project, FakeClock())
    tails = Tails(busy, Pace(look=0.02, alive=0.05))
    app = create_app({"": store, "/wheels": store}, store, Options(overview=busy, follow=tails.follow))
    with serving(app) as running:
        yield running
    store.close()


def _page(browser: Browser, **options: object) -> tuple[Page, list[str]]:
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    return page, said


def _await(page: Page, condition: str) -> None:
    """Wait until an expression holds; the pages' policy lets nobody evaluate strings in them, so it is asked from outside."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_every_page_fits_every_width(browser: Browser, farm: Running, scheme: str, scripts: bool) -> None:
    page, said = _page(browser, color_scheme=scheme, java_script_enabled=scripts)
    for width in (320, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for path in PAGES:
            page.goto(f"{farm.url}/{path}")
            box = page.locator("main").bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width, (path, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert page.locator("h1").count() == 1
    # 404 is told on the console as well; it is what was asked for.
    assert [text for text in said if "404" not in text] == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, farm: Running, scheme: str) -> None:
    page, _ = _page(browser, color_scheme=scheme, bypass_csp=True, viewport={"width": 1280, "height": 800})
    found = []
    for path in PAGES:
        page.goto(f"{farm.url}/{path}")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        # A few rows are like all: contrast is computed for each element.
        page.evaluate(
            "document.querySelectorAll('tbody, .log ol').forEach((each) => { while (each.children.length > 30) each.lastChild.remove(); })"
        )
        answer = Axe().run(page)
        found += [
            f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:200]} {violation['nodes'][0].get('failureSummary', '')[:300]}"
            for violation in answer.response["violations"]
        ]
    assert found == []
    page.context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_log_grows_on_its_page_while_the_build_writes_it(browser: Browser, farm: Running, busy: BusyFarm, scripts: bool) -> None:
    page, said = _page(browser, java_script_enabled=scripts, viewport={"width": 1280, "height": 600})
    page.goto(f"{farm.url}/build/{RUNNING.id}", wait_until="commit")
    page.locator("#L2", has_text="building").wait_for()
    assert page.locator("#L3").count() == 0
    with busy.logs[RUNNING.id].open("ab") as log:
        for number in range(3, 60):
            log.write(f"step {number} <b>\n".encode())
            log.flush()
    page.locator("#L59", has_text="step 59 <b>").wait_for()
    assert page.locator("#ended").count() == 0
    if scripts:
        _await(page, "scrollY > 100")
    busy.alive.clear()
    if scripts:
        # The page comes again by itself, now with what came of the build.
        page.locator(".log:not([data-live])").wait_for()
    else:
        page.locator("#ended").wait_for()
        page.locator("#ended a").click()
    page.locator("#L59").wait_for()
    assert page.locator(".log[data-live]").count() == 0
    assert said == []
    page.context.close()


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser, farm: Running) -> None:
    page, _ = _page(browser, viewport={"width": 320, "height": 600})
    page.goto(f"{farm.url}/matrix")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "search"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.type("cffi-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/matrix?search=cffi-1*")
    assert page.locator("tbody").first.locator("th a").first.inner_text().startswith("cffi-1")
    region = page.get_by_role("region", name="Matrix of pins and targets")
    region.focus()
    page.keyboard.press("ArrowRight")
    _await(page, "document.activeElement.scrollLeft > 0")
    # The name stays while the rest moves.
    first = page.locator(".matrix tbody th").first.bounding_box()
    outer = region.bounding_box()
    assert first is not None
    assert outer is not None
    assert abs(first["x"] - outer["x"]) < 3
    page.context.close()


def test_the_diagnosis_leads_to_its_line_and_text_is_copied(browser: Browser, farm: Running) -> None:
    page, said = _page(browser, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{farm.url}/build/{FAILED.id}")
    page.get_by_role("link", name=f"line {MARK}").click()
    _await(page, f"document.getElementById('L{MARK}').getBoundingClientRect().top < innerHeight")
    page.get_by_role("button", name="Copy").last.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert re.fullmatch(r"farm repro \S+", page.evaluate("navigator.clipboard.readText()"))
    assert said == []
    page.context.close()
