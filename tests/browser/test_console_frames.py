"""The grid of a job's frames: by keys alone, with thousands of frames, and as it is looked at."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from burst.domain.jobs import RenderSettings
from burst.protocol.artist_messages import JobView, SubmitJob
from tests.fakes.real_manager import SCENE, RealManager, SpokenWorker

CELLS_MAX = 6000
"""More elements than the screen of a wall has frames."""

CONTRAST = """
([selector, behind]) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const of = (element, which) => light(getComputedStyle(document.querySelector(element))[which]);
  const both = [of(selector, 'color'), of(behind, 'backgroundColor')].sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}
"""
"""How much a text stands out, as the accessibility guidelines (WCAG 2) reckon it."""


def _submit(farm: RealManager, frames: str, chunk: int = 1) -> JobView:
    submission = SubmitJob(
        name="shot", scene=SCENE, frames=frames, chunk=chunk, settings=RenderSettings(samples=4)
    )
    return farm.artist.submit(submission).job


def _chosen(page: Page) -> int:
    """Return the frame that a screen reader is told of."""
    return int(
        page.evaluate(
            "document.getElementById(document.getElementById('grid')"
            ".getAttribute('aria-activedescendant')).dataset.frame"
        )
    )


def test_everything_is_reached_by_keys(page: Page, url: str, farm: RealManager) -> None:
    job = _submit(farm, "1-48")
    page.goto(url)
    expect(page.locator("#jobs tbody a")).to_have_text(job.id)
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_have_text(job.id)
    expect(page.locator(".cell").first).to_be_visible()
    while page.evaluate("document.activeElement.id") != "grid":
        page.keyboard.press("Tab")
    for key, frame in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("ArrowLeft", 1),
        ("End", 48),
        ("ArrowRight", 48),
        ("Home", 1),
    ]:
        page.keyboard.press(key)
        assert _chosen(page) == frame
    # The chosen frame is shown beside the grid, which has fewer columns then.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    columns = int(page.locator("#grid").get_attribute("aria-colcount") or 0)
    page.keyboard.press("ArrowDown")
    assert _chosen(page) == 1 + columns
    page.keyboard.press("PageDown")
    assert _chosen(page) > 1 + columns
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    assert _chosen(page) == 1
    expect(page.locator("#frame h3")).to_have_text("Frame 1 queued")
    page.keyboard.press("Escape")
    expect(page.locator("#frame")).to_be_hidden()
    assert page.locator("#grid").get_attribute("aria-activedescendant") is None


def test_what_is_chosen_is_brought_in_sight(page: Page, url: str, farm: RealManager) -> None:
    job = _submit(farm, "1-5000")
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator(".cell").first).to_be_visible()
    page.locator("#grid").focus()
    for key, frame in [("End", 5000), ("Home", 1)]:
        page.keyboard.press(key)
        expect(page.locator(f".cell[data-frame='{frame}']")).to_be_in_viewport()
        expect(page.locator("#frame h3")).to_have_text(f"Frame {frame} queued")


def test_the_chosen_frame_has_its_picture_whatever_is_in_sight(
    page: Page, url: str, farm: RealManager
) -> None:
    job = _submit(farm, "1-200", chunk=200)
    SpokenWorker(farm).render(picture=True)
    held: list[Route] | None = []

    def hold(route: Route) -> None:
        if held is None:
            route.continue_()
        else:
            held.append(route)

    page.route("**/preview", hold)
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator(".cell[data-picture=asked]").first).to_be_visible()
    page.locator("#grid").focus()
    page.keyboard.press("End")
    expect(page.locator("#frame h3")).to_have_text("Frame 200 published")
    page.evaluate("document.getElementById('grid').scrollTop = 0")
    expect(page.locator(".cell[data-frame='200']")).to_have_count(0)
    waiting, held = held, None
    for route in waiting:
        route.continue_()
    expect(page.locator("#frame img")).to_be_visible()


@pytest.mark.parametrize("frames", [5_000, 1_000_000])
def test_only_frames_in_sight_are_elements(
    page: Page, url: str, farm: RealManager, frames: int
) -> None:
    job = _submit(farm, f"1-{frames}", chunk=200)
    worker = SpokenWorker(farm)
    worker.render()
    worker.claim()
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator("#legend li")).to_have_text(
        ["200 published", "200 active", f"{frames - 400:,} queued"]
    )
    expect(page.locator("#as-states")).to_have_attribute("aria-pressed", "true")
    for mode in ("pictures", "states"):
        page.locator(f"#as-{mode}").click()
        for place in (0, 0.5, 1):
            page.evaluate(
                "(place) => { const grid = document.getElementById('grid');"
                "grid.scrollTop = place * grid.scrollHeight }",
                place,
            )
            seen = 1 + int(place * (frames - 1))
            around = page.locator(f".cell[data-frame^='{str(seen)[:2]}']")
            expect(around.first).to_be_attached()
            assert page.locator(".cell").count() < CELLS_MAX
    expect(page.locator(f".cell[data-frame='{frames}']")).to_have_attribute("data-state", "queued")


def test_frames_keep_their_places_in_a_broken_range(
    page: Page, url: str, farm: RealManager
) -> None:
    job = _submit(farm, "-5--3,1-3,7,20-30x5")
    SpokenWorker(farm).render()
    page.goto(f"{url}/jobs/{job.id}")
    frames = [-5, -4, -3, 1, 2, 3, 7, 20, 25, 30]
    expect(page.locator(".cell span")).to_have_text([str(frame) for frame in frames])
    expect(page.locator(".cell[data-frame='-5']")).to_have_attribute("data-state", "published")
    expect(page.locator(".cell[data-frame='30']")).to_have_attribute("data-state", "queued")
    page.locator(".cell[data-frame='25']").click()
    expect(page.locator("#frame h3")).to_have_text("Frame 25 queued")


def test_a_frame_without_a_preview_says_so(page: Page, url: str, farm: RealManager) -> None:
    job = _submit(farm, "1-2")
    SpokenWorker(farm).render(picture=False)
    page.goto(f"{url}/jobs/{job.id}")
    cell = page.locator(".cell[data-frame='1']")
    expect(cell).to_have_attribute("data-picture", "none")
    said = page.evaluate("getComputedStyle(document.querySelector('.cell'), '::after').content")
    assert said == '"no preview"'
    cell.click()
    expect(page.locator("#frame .files")).to_contain_text("shot_0001.png")


def test_pictures_or_states_is_a_choice(page: Page, url: str, farm: RealManager) -> None:
    job = _submit(farm, "1-48")
    page.goto(f"{url}/jobs/{job.id}")
    pictures, states = page.locator("#as-pictures"), page.locator("#as-states")
    expect(pictures).to_have_attribute("aria-pressed", "true")
    states.focus()
    page.keyboard.press("Enter")
    expect(states).to_have_attribute("aria-pressed", "true")
    expect(pictures).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".cell img")).to_have_count(0)
    expect(page.locator(".cell")).to_have_count(48)
    label = page.locator(".cell").first.get_attribute("aria-label")
    assert label == "frame 1, queued"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_by_day_and_by_night(
    browser: Browser, url: str, farm: RealManager, scheme: str
) -> None:
    job = _submit(farm, "1-2")
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{url}/jobs/{job.id}")
        expect(page.locator(".cell").first).to_be_visible()
        for selector, behind in [
            ("h1", "body"),
            (".quiet", "body"),
            (".brand", "body"),
            (".chip", "body"),
            (".cell span", ".cell span"),
            ("#as-pictures", "#as-pictures"),
            ("#as-states", "#as-states"),
            ("dt", "body"),
        ]:
            assert page.evaluate(CONTRAST, [selector, behind]) >= 4.5, selector
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(15, 18, 22)") is (scheme == "dark")


def test_a_narrow_screen_shows_all_of_it(browser: Browser, url: str, farm: RealManager) -> None:
    job = _submit(farm, "1-48")
    SpokenWorker(farm).render(picture=True)
    with browser.new_context(viewport={"width": 380, "height": 700}) as context:
        page = context.new_page()
        for path in ("/", f"/jobs/{job.id}"):
            page.goto(url + path)
            expect(page.locator("#link")).to_have_text("live")
            wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not page.evaluate(wider)
