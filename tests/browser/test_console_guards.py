"""What the console's pages keep out: foreign pages, scripts that are not theirs, no token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from burst.protocol.artist_messages import SubmitJob
from burst.protocol.messages import API
from tests.fakes.real_manager import SCENE, RealManager, SpokenWorker

SHOT = SubmitJob(name="shot", scene=SCENE, frames="1-2")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RealManager]:
    """A farm that asks artists for a token."""
    made = RealManager(tmp_path, BURST_CONSOLE_TOKEN="s3cret")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def foreign() -> Iterator[str]:
    """The address of a page of somebody else's, that the artist visits."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>kittens</title><link rel=icon href=data:,>")

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_is_asked_for_and_kept_for_the_tab(page: Page, guarded: RealManager) -> None:
    job = guarded.artist.submit(SHOT).job
    SpokenWorker(guarded).render(picture=True)
    url = guarded.address.console_url
    page.goto(url)
    field, dialog = page.get_by_label("BURST_CONSOLE_TOKEN"), page.locator("#token")
    expect(dialog).to_be_visible()
    expect(page.locator("#jobs")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    field.fill("wrong")
    page.keyboard.press("Enter")
    expect(field).to_have_value("")
    expect(dialog).to_be_visible()
    field.fill("s3cret")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    page.locator("#jobs tbody a").click()
    expect(page.locator("#name")).to_have_text(job.id)
    expect(page.locator(".cell[data-picture=here]")).to_have_count(1)
    expect(dialog).to_be_hidden()
    assert "s3cret" not in page.url
    assert page.evaluate("localStorage.length") == 0


def test_a_foreign_page_gets_nothing(
    browser: Browser, url: str, farm: RealManager, foreign: str
) -> None:
    job = farm.artist.submit(SHOT).job
    SpokenWorker(farm).render(picture=True)
    preview = f"{url}{API}/jobs/{job.id}/frames/1/preview"
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(foreign)
        assert page.title() == "kittens"
        for path in ("/", f"{API}/jobs", f"{API}/jobs/{job.id}/states"):
            with pytest.raises(Exception, match="Failed to fetch"):
                page.evaluate("(url) => fetch(url).then((answer) => answer.text())", url + path)
        # Nor does it change anything that it can't read the answer of.
        post = "(url) => fetch(url, {method: 'POST', mode: 'no-cors'}).catch(String)"
        page.evaluate(post, f"{url}{API}/jobs/{job.id}/cancel")
        assert farm.artist.job(job.id).status == "active"
        load = """(url) => new Promise((tell) => {
            const image = new Image();
            image.onload = () => tell('seen');
            image.onerror = () => tell('nothing');
            image.src = url;
        })"""
        assert page.evaluate(load, preview) == "nothing"
        framed = """(url) => new Promise((tell) => {
            const frame = document.createElement('iframe');
            frame.onload = () => tell(frame.contentDocument === null);
            frame.src = url;
            document.body.append(frame);
        })"""
        assert page.evaluate(framed, url)
        assert page.frames[1].evaluate("document.getElementById('jobs')") is None
        # The console itself may.
        page.goto(url)
        assert page.evaluate("(url) => fetch(url).then((answer) => answer.status)", preview) == 200


def test_no_script_but_the_consoles_own_runs(browser: Browser, url: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#link")).to_have_text("live")
        # Later: what DevTools runs itself, and so Playwright, may evaluate text.
        try_out = """(attempt) => new Promise((tell) => setTimeout(() => {
            const made = document.createElement('script');
            const attempts = {
                markup: () => { document.body.innerHTML = '<b>markup</b>' },
                script: () => { made.text = 'window.ran = 1'; document.body.append(made) },
                evaluation: () => eval('window.ran = 1'),
                later: () => setTimeout('window.ran = 1'),
            };
            try { attempts[attempt](); tell('done') } catch (error) { tell(error.name) }
        }))"""
        for attempt in ("markup", "script", "evaluation", "later"):
            assert page.evaluate(try_out, attempt) in ("TypeError", "EvalError"), attempt
        inline = """() => new Promise((tell) => {
            const hear = (event) => tell(event.effectiveDirective);
            document.addEventListener('securitypolicyviolation', hear);
            const made = document.createElement('button');
            made.setAttribute('style', 'color: red');
            document.body.append(made);
        })"""
        assert page.evaluate(inline) == "style-src-attr"
        assert page.evaluate("window.ran") is None
