"""The page in a real browser: one node and 500, light and dark, a desk and a phone; nothing on it acts that should not.

Pictures are left in build/report/ for a person to look at.
"""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from unshim import report, report_html

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "build" / "report"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}

# WCAG 2.2, 1.4.3: the contrast of every visible text with what is behind it, as [ratio, needed, text] where it is too low.
LOW_CONTRAST = """() => {
  const channels = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = channels(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || ["SCRIPT", "STYLE", "TITLE"].includes(element.tagName.toUpperCase())) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const [a, b] = [light(channels(style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    seen += 1;
    if (ratio < needed) low.push([ratio.toFixed(2), needed, text.slice(0, 40)]);
  }
  return [seen, low];
}"""


@pytest.fixture(scope="module")
def pages(fleet, mixed, tmp_path_factory):
    """Return the page of each fleet as a file."""
    directory = tmp_path_factory.mktemp("pages")
    hostile = [fleet.done(name, fleet.BEGAN + at) for at, name in enumerate(fleet.HOSTILE.values())]
    made = {
        "one": report.make([fleet.done("w1")], now=fleet.BEGAN + 900),
        "many": report.make(fleet.large(500), now=fleet.BEGAN + 9000),
        "mixed": mixed,
        "none": report.make([]),
        "hostile": report.make(hostile, title=fleet.HOSTILE["script"] + fleet.HOSTILE["rtl"]),
    }
    for name, one in made.items():
        (directory / f"{name}.html").write_text(report_html.render(one), encoding="utf-8")
    return directory


@pytest.fixture
def show(browser, pages):
    """Return a function that opens a page; what it says on the console or asks for fails the test in the end."""
    contexts, said, asked = [], [], []

    def open_page(name, viewport=DESK, scheme="light", **options):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, **options)
        context.set_default_timeout(120_000)  # a busy machine is no bug
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((pages / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == [], "nothing is said on the console"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [], "nothing else is asked for"


def shown_rows(page):
    return page.locator("#table tbody tr:visible")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("name", ["one", "many", "mixed"])
def test_page_can_be_read(name, size, scheme, show):
    page = show(name, DESK if size == "desk" else PHONE, scheme)
    seen, low = page.evaluate(LOW_CONTRAST)
    assert seen > 50 and low == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], "it is not cut off"
    # What scrolls by itself can be reached and scrolled by keyboard.
    for region in page.locator("[role=region]").all():
        assert region.get_attribute("tabindex") == "0" and region.get_attribute("aria-labelledby")
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}.png", full_page=name != "many")
    if name == "many":
        page.locator("#nodes").scroll_into_view_if_needed()
        page.evaluate("document.getElementById('timeline').scrollIntoView()")
        page.screenshot(path=PICTURES / f"{name}-{size}-{scheme}-timeline.png")


def test_500_nodes_open_fast_and_filter_fast(show):
    began = time.monotonic()
    page = show("many")
    assert shown_rows(page).count() == 500
    assert time.monotonic() - began < 30, "on a machine that is busy with other things"
    took = page.evaluate(
        "() => { const began = performance.now(); text.value = 'node-1'; filter.dispatchEvent(new Event('input')); "
        "return performance.now() - began; }"
    )
    assert shown_rows(page).count() == 100 and took < 2000


def test_filter_by_name_state_and_role(show):
    page = show("mixed")
    page.fill("#text", "W1")
    assert shown_rows(page).count() == 1 and page.text_content("#shown") == "1 of 9 nodes"
    assert page.locator("details.node:visible").count() == 1 and page.locator(".timeline tbody tr:visible").count() == 1
    page.fill("#text", "foreign-container")
    assert shown_rows(page).locator("th a").all_text_contents() == ["w4"], "findings are found, too"
    page.fill("#text", "no such thing")
    assert shown_rows(page).count() == 0 and page.is_visible("#none")
    page.click("text=Clear")
    expect(page.locator("#shown")).to_have_text("9 of 9 nodes")
    page.select_option("#status", "ready")
    assert shown_rows(page).count() == 3
    page.select_option("#role", "control plane")
    assert shown_rows(page).locator("th a").all_text_contents() == ["cp1"]


def test_tiles_filter_and_say_so(show):
    page = show("mixed")
    tile = page.locator(".tile.done")
    tile.focus()
    page.keyboard.press("Enter")
    assert shown_rows(page).locator("th a").all_text_contents() == ["w1", "w2"]
    assert tile.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Enter")
    assert shown_rows(page).count() == 9 and tile.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize(
    "column, first, last",
    [("Node", "cp1", "w8"), ("State", "w3", "w8"), ("Findings", "w8", "w4"), ("Out of service", "cp1", "w3")],
)
def test_sort_by_keyboard_there_and_back(column, first, last, show):
    page = show("mixed")
    head = page.locator("#table thead th", has_text=column)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    names = page.locator("#table tbody th a").all_text_contents()
    assert (names[0], names[-1]) == (first, last) and len(names) == 9
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#table tbody th a").first.text_content() == last
    assert page.locator("#table th[aria-sort=ascending], #table th[aria-sort=descending]").count() == 1


def test_names_with_numbers_sort_as_numbers(show):
    page = show("many")
    page.click("#table thead button >> text=Node")
    names = page.locator("#table tbody th a").all_text_contents()
    assert names == sorted(names)


def test_a_link_opens_what_it_leads_to(show):
    page = show("mixed")
    page.click("#table a >> text=w3")
    card = page.locator("#node-4")
    assert card.get_attribute("open") is not None and "ImagePullBackOff" in card.inner_text()
    assert "/etc/containerd/config.toml" in card.inner_text(), "what was restored"


def test_bars_of_a_move_stand_side_by_side_and_on_the_clock(show):
    page = show("mixed")
    bars = "els => els.map(e => [Number(e.getAttribute('x')), Number(e.getAttribute('width'))])"
    parts = page.locator(".timeline tbody tr").nth(2).locator("rect").evaluate_all(bars)
    assert parts[0][0] == 0 and all(abs(a[0] + a[1] - b[0]) < 0.1 for a, b in pairwise(parts))
    page.check("text=when")
    ends = [x + width for x, width in page.locator(".timeline rect").evaluate_all(bars)]
    later = page.locator(".timeline tbody tr").nth(2).locator("rect").evaluate_all(bars)
    assert later[0][0] > 100, "its move began after the others'"
    assert max(ends) <= 1000.01


def test_hostile_names_are_text(show, fleet):
    page = show("hostile", accept_downloads=False)
    names = page.locator("#table tbody th a").all_text_contents()
    assert names[0] == fleet.HOSTILE["script"] and names[1] == fleet.HOSTILE["image"]
    assert len(names[3]) == 10_240
    assert names[4] == "\\u202egnp.exe\\u202c-שרת-\\u0000\\u001b[31m", "what turns text around is shown, not done"
    assert "hacked" not in page.evaluate("document.title").replace("'hacked'", "")
    assert page.locator("img, iframe, main script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= DESK["width"]
    assert page.locator("#table tbody tr").nth(3).bounding_box()["height"] < 200, (
        "a long name takes no screen of its own"
    )
    page.screenshot(path=PICTURES / "hostile.png")


def test_the_policy_stops_a_script_that_got_in(pages, browser):
    """Were a name ever not escaped, the page's policy would keep it from acting."""
    text = (pages / "one.html").read_text().replace("</main>", "<script>document.title='hacked'</script></main>")
    broken = pages / "broken.html"
    broken.write_text(text)
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(broken.as_uri())
    assert "hacked" not in page.title() and any("Content Security Policy" in one for one in said)
    page.close()


def test_without_scripts_all_of_it_is_there(show):
    page = show("mixed", java_script_enabled=False)
    assert shown_rows(page).count() == 9 and not page.is_visible("#filter")
    page.click("#node-4 > summary")
    assert "ImagePullBackOff" in page.locator("#node-4").inner_text()


def test_printed_it_is_whole_and_light(show):
    page = show("many", scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.is_visible("#filter") and not page.is_visible("nav")
    _, low = page.evaluate(LOW_CONTRAST)
    assert low == []
    last = page.locator("#table tbody tr").last
    box = page.locator("#table").bounding_box()
    assert last.bounding_box()["y"] < box["y"] + box["height"]
    assert page.evaluate("getComputedStyle(document.querySelector('#table').parentElement).maxHeight") == "none"
    assert page.pdf(format="A4").count(b"/Type /Page\n") > 10, "500 rows are on the paper, not in a box that scrolls"


def test_no_nodes_at_all(show):
    page = show("none")
    assert "No nodes." in page.locator("main").inner_text()
