"""The page of `make report` in a real browser: it works, for everyone, and without a network."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from conformance.page.excerpts import STEPS
from conformance.selftest.compilers import missing

pytestmark = pytest.mark.xdist_group("report")
PHONE, DESKTOP = {"width": 375, "height": 700}, {"width": 1280, "height": 900}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing("no Chromium: apt-get install chromium")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def trouble() -> list[str]:
    """What the browser complains of, and what it asks of others."""
    return []


@pytest.fixture
def page(browser: Browser, folder: Path, trouble: list[str]) -> Iterator[Page]:
    """The page, opened from disk on a desktop."""
    yield from opened(browser, folder, trouble, viewport=DESKTOP)
    assert trouble == []


def opened(browser: Browser, folder: Path, trouble: list[str], **options: Any) -> Iterator[Page]:
    """The page in a window of its own."""
    context = browser.new_context(reduced_motion="reduce", **options)
    shown = context.new_page()

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            trouble.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            trouble.append(request.url)

    shown.on("console", on_console)
    shown.on("pageerror", lambda error: trouble.append(str(error)))
    shown.on("request", on_request)
    shown.goto((folder / "index.html").as_uri())
    yield shown
    context.close()


def open_all(page: Page) -> None:
    """Open all that is folded."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_everyone_can_read_it(
    browser: Browser, folder: Path, trouble: list[str], viewport: Any, colours: Any
) -> None:
    for page in opened(browser, folder, trouble, viewport=viewport, color_scheme=colours):
        for unfold in (lambda _: None, open_all):
            unfold(page)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"]
            found = Axe().run(page).response["violations"]
            serious = [v for v in found if v["impact"] in ("serious", "critical")]
            assert not serious, [(v["id"], v["nodes"][0]["html"][:300]) for v in serious]
    assert trouble == []


def test_without_a_script_all_is_there_to_read(
    browser: Browser, folder: Path, trouble: list[str]
) -> None:
    for page in opened(browser, folder, trouble, java_script_enabled=False, viewport=PHONE):
        for hidden in page.locator(".js").all():
            expect(hidden).to_be_hidden()
        for name in ("failures", "verdicts", "article", "learn", "sides", "time", "machine"):
            expect(page.locator(f"#{name} h2")).to_be_visible()
        expect(page.locator("#failures pre")).to_contain_text("updated-weights-in-backward")
        side = page.locator("#step-forward .side[data-program=c]")
        expect(side.locator("pre").first).to_be_hidden()
        side.locator("summary").click()
        expect(side.locator("pre").first).to_be_visible()
        expect(page.locator("#learn-net [data-node='2 0'] .value")).to_have_text("0.474")
        # The fragment alone opens what it is in.
        page.locator(".matrix td a").first.click()
        expect(page.locator("tr:target")).to_be_visible()
    assert trouble == []


def test_on_paper_nothing_lies_over_another(page: Page) -> None:
    page.emulate_media(media="print")
    for tall in page.locator(".tall").all():
        assert tall.evaluate("(one) => one.scrollHeight <= one.clientHeight")


def test_a_cell_leads_to_its_details(page: Page) -> None:
    row = page.locator("[id='c--three-layer']")
    expect(row).to_be_hidden()
    page.locator(".matrix a[href='#c--three-layer']").click()
    expect(row).to_be_visible()
    expect(row).to_be_in_viewport()
    for link in page.locator("a[href^='#']").all():
        target = (link.get_attribute("href") or "")[1:]
        assert page.locator(f"[id='{target}']").count() == 1, target


def test_a_port_can_be_highlighted_in_the_drift(page: Page) -> None:
    chosen = page.get_by_label("Highlight")
    lines = page.locator(".out")
    expect(lines).to_have_count(0)
    chosen.select_option("c")
    panels = page.locator(".drift").count()
    expect(lines).to_have_count(panels)
    before = lines.first.locator("path").first.evaluate(
        "(one) => getComputedStyle(one).strokeWidth"
    )
    assert before == "3px"
    chosen.select_option("c:simd")  # of float64 only
    expect(lines).to_have_count(panels // 2)
    chosen.select_option("no port")
    expect(lines).to_have_count(0)


def test_side_by_side_shows_the_chosen_step_of_the_chosen_programs(page: Page) -> None:
    view, section = page.locator("#sides-view"), page.locator("#sides")
    columns = view.locator(".columns > div")
    expect(columns).to_have_count(2)
    texts = set()
    for step in STEPS:
        section.get_by_role("radio", name=re.compile(step.replace("-", " "), re.I)).check()
        expect(view.locator("math")).to_have_count(1)
        expect(columns.nth(0).locator("pre")).not_to_have_count(0)
        expect(columns.nth(1).locator("pre")).not_to_have_count(0)
        texts.add(view.inner_text())
    assert len(texts) == len(STEPS)
    section.get_by_role("radio", name="Forward").check()
    section.get_by_role("combobox", name="Left").select_option("rust")
    section.get_by_role("combobox", name="Third").select_option("cuda/ladder/one_thread.cuh")
    expect(columns).to_have_count(3)
    expect(columns.nth(0).locator("h4")).to_have_text("rust")
    expect(columns.nth(0).locator(".place").first).to_contain_text("ports/rust/")
    expect(columns.nth(2).locator(".place").first).to_contain_text("one_thread.cuh:")
    expect(page.locator("#sides-says")).to_have_text("Forward: rust, c, cuda/ladder/one_thread.cuh")
    section.get_by_role("combobox", name="Third").select_option("")
    expect(columns).to_have_count(2)


def test_the_network_learns_step_by_step(page: Page) -> None:
    says, n = page.locator("#learn-says"), page.locator("#learn-n")
    weight = page.locator("[data-weight='1 0 0']")
    expect(n).to_have_text("iteration 0")
    expect(says).to_contain_text("error 0.496")  # as the article prints it
    expect(weight).to_have_text("-0.5911")
    stages = [page.locator(f"#learn [value={stage}]") for stage in ("output", "hidden", "update")]
    for stage, said in zip(
        stages, ("l2_error = y - l2", "l1_error = l2_delta", "all four"), strict=True
    ):
        page.get_by_role("button", name="Step").click()
        expect(stage).to_be_checked()
        expect(says).to_contain_text(said)
    expect(weight).to_have_text("-0.004514")  # the change: to -0.5956, which is next
    page.get_by_role("button", name="Step").click()
    expect(n).to_have_text("iteration 1")
    expect(weight).to_have_text("-0.5956")
    page.get_by_role("button", name="Back").click()
    expect(n).to_have_text("iteration 0")
    page.locator("#learn [value=forward]").check()
    before = says.inner_text()
    page.get_by_role("radio", name="1 0 1 → 1").check()
    expect(says).not_to_have_text(before)
    page.get_by_role("slider", name="Checkpoint").focus()
    page.keyboard.press("End")
    expect(n).to_have_text("iteration 60,000")
    slider = page.get_by_role("slider", name="Checkpoint")
    expect(slider).to_have_attribute("aria-valuetext", "iteration 60,000")
    expect(says).to_contain_text("error 0.00318")
    page.keyboard.press("Home")
    expect(n).to_have_text("iteration 0")


def test_it_plays_by_itself_until_it_is_told_to_stop(page: Page) -> None:
    page.clock.install()
    page.reload()
    n = page.locator("#learn-n")
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(5 * 1200)
    expect(n).to_have_text("iteration 1")
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(20 * 1200)
    expect(n).to_have_text("iteration 1")
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(100 * 1200)
    expect(n).to_have_text("iteration 60,000")
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it ended by itself


def test_what_scrolls_is_a_stop_of_the_tab_key_and_nothing_else_is(page: Page) -> None:
    for width in (DESKTOP["width"], PHONE["width"]):
        page.set_viewport_size({"width": width, "height": 800})
        open_all(page)
        page.wait_for_timeout(200)
        wrong = page.evaluate(
            "[...document.querySelectorAll('.wide, pre')].filter((one) => one.offsetParent &&"
            "(one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight)"
            " !== (one.tabIndex === 0)).length"
        )
        assert wrong == 0


def test_the_keyboard_is_enough(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    # All that can be used can be reached: one Tab each, radios by their group.
    page.evaluate(
        "window.all = [...document.querySelectorAll('select, button, input')]"
        ".filter((one) => one.offsetParent && (one.type !== 'radio' || one.checked))"
    )
    wanted = set(range(page.evaluate("window.all.length")))
    reached: set[int] = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("window.all.indexOf(document.activeElement)"))
    assert len(wanted) > 9
    assert wanted - reached == set()
