"""The console's pages of a farm at work: what happens is seen without a reload.

What is waited for is what an artist would see; how quick it is is not measured.
"""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from burst.domain.commands import CommandTask, Echo
from burst.protocol.artist_messages import Requeue, SubmitJob
from burst.protocol.messages import RenderProgress
from tests.fakes.farm import make_scene, running_farm
from tests.fakes.real_manager import SCENE, RealManager, SpokenWorker

TELL = CommandTask(name="tell", commands=(Echo(text="hello"),))
SHOT = SubmitJob(name="shot", scene=SCENE, frames="1-4")


def test_an_empty_farm_says_what_to_do(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("#no-jobs")).to_contain_text("burst render SCENE.blend")
    expect(page.locator("#no-workers")).to_contain_text("They come when there is work")
    expect(page.locator("#jobs")).to_be_hidden()
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("#where")).to_contain_text("storage")


def test_jobs_and_workers_come_and_go_before_your_eyes(
    page: Page, url: str, farm: RealManager
) -> None:
    page.goto(url)
    expect(page.locator("#no-jobs")).to_be_visible()
    job = farm.artist.submit(SHOT).job
    row = page.locator("#jobs tbody tr")
    expect(row.locator("th")).to_have_text(job.id)
    expect(row).to_contain_text("0 of 4 frames")
    worker = SpokenWorker(farm, "w-1")
    expect(page.locator("#workers tbody tr")).to_contain_text("asks for work")
    worker.render()
    expect(row).to_contain_text("1 of 4 frames")
    task = worker.claim()
    worker.beat(
        progress=RenderProgress(
            attempt_id=task.attempt_id, job_id=job.id, frame=2, sample=3, samples=64
        )
    )
    does = page.locator("#workers tbody tr")
    expect(does).to_contain_text("frame 2, sample 3/64")
    expect(does.get_by_role("progressbar")).to_have_attribute(
        "aria-valuetext", "frame 2, sample 3/64"
    )
    worker.sign_off()
    expect(page.locator("#no-workers")).to_be_visible()
    farm.artist.act(job.id, "cancel")
    expect(row.locator(".chip")).to_have_text("canceled")
    farm.artist.delete_job(job.id)
    expect(page.locator("#no-jobs")).to_be_visible()


def test_what_can_still_be_done_stands_before_what_is_over(
    page: Page, url: str, farm: RealManager
) -> None:
    submissions = [SubmitJob(name=name, commands=(TELL,), new=True) for name in "abc"]
    names = [farm.artist.submit(submission).job.id for submission in submissions]
    farm.artist.act(names[2], "cancel")
    page.goto(url)
    expect(page.locator("#jobs tbody th")).to_have_text([names[1], names[0], names[2]])


def test_frames_come_with_their_pictures(page: Page, url: str, farm: RealManager) -> None:
    job = farm.artist.submit(SHOT).job
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator(".cell")).to_have_count(4)
    expect(page.locator("#legend")).to_have_text("4 queued")
    worker = SpokenWorker(farm)
    for done in range(1, 5):
        worker.render(picture=True)
        expect(page.locator(".cell[data-picture=here]")).to_have_count(done)
    assert page.evaluate(
        "[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth === 320)"
    )
    expect(page.locator("#legend")).to_have_text("4 published")
    expect(page).to_have_title(re.compile("completed"))
    assert page.locator("#status").inner_text() == "completed"
    assert page.locator("#why").is_hidden()


def test_a_frame_that_is_rendered_again_gets_its_new_picture(
    page: Page, url: str, farm: RealManager
) -> None:
    job = farm.artist.submit(SHOT.model_copy(update={"frames": "1"})).job
    worker = SpokenWorker(farm)
    worker.render(picture=True)
    page.goto(f"{url}/jobs/{job.id}")
    page.locator(".cell").click()
    picture = page.locator("#frame img")
    expect(picture).to_be_visible()
    former = [page.locator(".cell img").get_attribute("src"), picture.get_attribute("src")]
    farm.artist.requeue(job.id, Requeue(frames="1"))
    expect(page.locator(".cell")).to_have_attribute("data-state", "queued")
    expect(picture).to_be_hidden()
    worker.render(picture=True)
    expect(page.locator(".cell[data-picture=here]")).to_have_count(1)
    expect(picture).to_be_visible()
    now = [page.locator(".cell img").get_attribute("src"), picture.get_attribute("src")]
    assert not set(former) & set(now)


def test_a_failed_frame_says_why_and_where(page: Page, url: str, farm: RealManager) -> None:
    job = farm.artist.submit(SHOT.model_copy(update={"retry_limit": 1})).job
    worker = SpokenWorker(farm, "w-7")
    worker.render()
    reason = "Blender says <img src=x onerror=alert(1)> & more"
    worker.fail(worker.claim(), reason)
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator("#reasons")).to_contain_text("frame 2 failed once on w-7")
    expect(page.locator(".cell").first).to_be_visible()
    page.locator("#grid").focus()
    page.keyboard.press("f")
    chosen = page.locator("#frame")
    expect(chosen.locator("h3")).to_have_text("Frame 2 failed")
    expect(chosen.locator(".attempts")).to_contain_text("w-7")
    expect(chosen.locator(".attempts p")).to_have_text(reason)


def test_a_farm_that_goes_away_is_seen_and_comes_back(
    page: Page, url: str, farm: RealManager
) -> None:
    job = farm.artist.submit(SHOT).job
    worker = SpokenWorker(farm)
    page.goto(url)
    row = page.locator("#jobs tbody tr")
    expect(row).to_contain_text("0 of 4 frames")
    farm.stop(signal.SIGKILL)
    expect(page.locator("#link")).to_contain_text("The farm does not answer; trying again")
    expect(page.locator("#link")).to_contain_text("What you see is of")
    # What was seen last stays.
    expect(row).to_contain_text("0 of 4 frames")
    farm.start()
    assert farm.address.console_url == url
    worker.render()
    expect(page.locator("#link")).to_have_text("live")
    expect(row).to_contain_text("1 of 4 frames")
    expect(row.locator("th")).to_have_text(job.id)


def test_a_job_page_outlives_its_manager_too(page: Page, url: str, farm: RealManager) -> None:
    job = farm.artist.submit(SHOT).job
    worker = SpokenWorker(farm)
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator("#legend")).to_have_text("4 queued")
    farm.stop(signal.SIGKILL)
    expect(page.locator("#link")).to_contain_text("does not answer")
    farm.start()
    worker.render(picture=True)
    expect(page.locator(".cell[data-picture=here]")).to_have_count(1)


def test_a_tab_that_nobody_sees_gives_its_connection_back(
    page: Page, url: str, farm: RealManager
) -> None:
    # No browser without a screen hides a tab; the page is told so.
    page.add_init_script(
        "let hidden = false; Object.defineProperty(document, 'hidden', {get: () => hidden});"
        "window.hide = (is) => { hidden = is;"
        "document.dispatchEvent(new Event('visibilitychange')) }"
    )
    page.goto(url)
    job = farm.artist.submit(SHOT).job
    expect(page.locator("#jobs tbody th")).to_have_text(job.id)

    def is_stream(request: Request) -> bool:
        return request.url.endswith("/events")

    with page.expect_event("requestfailed", is_stream):
        page.evaluate("hide(true)")
    farm.artist.act(job.id, "pause")
    with page.expect_request(is_stream) as asked:
        page.evaluate("hide(false)")
    # It goes on where it was.
    assert int(asked.value.headers["last-event-id"]) > 0
    expect(page.locator("#jobs tbody tr .chip")).to_have_text("paused")


def test_a_job_that_there_is_not_is_said_to_be_none(page: Page, url: str) -> None:
    page.goto(f"{url}/jobs/nobodys")
    expect(page.locator("#link")).to_have_text("there is no job nobodys")


def test_command_tasks_stand_beside_the_frames(page: Page, url: str, farm: RealManager) -> None:
    job = farm.artist.submit(SubmitJob(name="chores", commands=(TELL,))).job
    page.goto(f"{url}/jobs/{job.id}")
    expect(page.locator("#commands")).to_have_text("tell: queued")
    expect(page.locator("#frames")).to_be_hidden()
    expect(page.locator("#progress")).to_contain_text("0 of 1 task")
    SpokenWorker(farm).claim()
    expect(page.locator("#commands")).to_have_text("tell: active")


def test_what_a_real_blender_renders_is_seen(page: Page, tmp_path: Path) -> None:
    if not shutil.which("blender"):
        pytest.skip("no blender in PATH")
    make_scene(tmp_path / "shot.blend", samples=16)
    settings = {"BURST_WORKERS": "2", "BURST_EXIT_WHEN_IDLE_SECONDS": "600"}
    with running_farm(tmp_path / "farm", **settings) as farm:
        farm.start_manager()
        farm.start_render(tmp_path / "shot.blend", "1-6", tmp_path / "frames")
        page.goto(farm.address()["console_url"])
        page.locator("#jobs tbody a").click()
        expect(page.locator(".cell[data-picture=here]")).to_have_count(6, timeout=120_000)
        page.locator(".cell").last.click()
        expect(page.locator("#frame .files")).to_contain_text("0006.png")
        expect(page.locator("#frame img")).to_be_visible()
