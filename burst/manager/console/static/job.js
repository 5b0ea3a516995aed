// A job's page: how far it is, and each of its frames.

import { drawFrame } from "./frame.js";
import { FrameRange, Previews, States } from "./frames.js";
import { Grid } from "./grid.js";
import { ask, atMostEvery, follow } from "./live.js";
import { chip, extent, make, meter, setChip, setMeter, sync, syncPairs, write } from "./page.js";
import { count, duration, instant } from "./words.js";

const DRAW_MS = 250;
const STATES_MS = 700;
const WHY_MS = 3000;
const ENDED = new Set(["completed", "failed", "canceled"]);

const byId = (id) => document.getElementById(id);
const jobId = byId("job").dataset.job;
const path = `/jobs/${encodeURIComponent(jobId)}`;
const workers = new Map();
const previews = new Previews(jobId);
let job = null;
let framesText = null;
let frames = null;
let states = null;
let details = null; // of the chosen frame

const lookAtStates = atMostEvery(STATES_MS, async () => {
  const before = details && states?.at(frames.placeOf(details.frame));
  takeStates(await ask(`${path}/states`));
  if (details && states.at(frames.placeOf(details.frame)) !== before) lookAtFrame();
});

const lookAtWhy = atMostEvery(WHY_MS, async () => {
  const { reasons } = await ask(`${path}/explain`);
  byId("why").hidden = !reasons.length || job.status === "completed";
  const create = () => make("li", {}, make("b"), make("span"));
  sync(byId("reasons"), reasons, ({ subject, text }) => `${subject} ${text}`, create, (item, reason) => {
    write(item.firstChild, reason.subject === "job" ? "" : `${reason.subject}: `);
    write(item.lastChild, reason.text);
  });
});

const lookAtFrame = atMostEvery(0, async () => {
  const frame = grid.chosen < 0 ? null : frames.at(grid.chosen);
  details = frame === null ? null : await ask(`${path}/frames/${frame}`);
  showFrame();
});

const grid = new Grid(byId("grid"), previews, lookAtFrame);

const drawChosen = atMostEvery(DRAW_MS, showFrame);

async function start() {
  previews.forgetAll();
  grid.refreshAll();
  const [found, letters, here] = await Promise.all([ask(path), ask(`${path}/states`), ask("/workers")]);
  workers.clear();
  for (const worker of here.workers) workers.set(worker.name, worker);
  takeJob(found);
  takeStates(letters);
  lookAtWhy();
  if (grid.chosen >= 0) lookAtFrame();
  byId("job").ariaBusy = "false";
}

function hear(event) {
  if (event.kind === "worker") {
    if (event.worker) workers.set(event.worker_name, event.worker);
    else workers.delete(event.worker_name);
    if (details) drawChosen();
  }
  if (event.kind === "frame") {
    previews.forget(event.frame.frame);
    if (frames?.placeOf(event.frame.frame) >= 0) grid.refresh(event.frame.frame);
  }
  if (event.kind === "job") takeJob(event.job);
  if (event.kind === "job" || event.kind === "frame") lookAtStates();
  if (job && !ENDED.has(job.status)) lookAtWhy();
}

// ── What is drawn ──────────────────────────────────────────────────────────────────────

function takeJob(view) {
  if (!view) {
    sync(byId("notes"), ["this job was deleted"], (text) => text, () => make("p", { className: "note" }), write);
    return;
  }
  const hasEnded = job && !ENDED.has(job.status) && ENDED.has(view.status);
  job = view;
  if (hasEnded) lookAtWhy();
  if (job.status === "completed") byId("why").hidden = true; // what was so a moment ago
  write(byId("name"), job.id);
  document.title = `${job.id}, ${job.status} · burst`;
  if (!byId("status").firstChild) byId("status").append(chip(job.status));
  setChip(byId("status").firstChild, job.status);
  byId("reason").hidden = !job.status_reason;
  write(byId("reason"), job.status_reason);
  drawProgress();
  syncPairs(byId("facts"), facts());
}

function drawProgress() {
  const box = byId("progress");
  if (!box.firstChild) box.append(meter(), make("small"));
  const far = extent(job);
  const text = `${far.completed.toLocaleString("en")} of ${count(far.whole, far.thing)}`;
  setMeter(box.firstChild, far, text);
  box.firstChild.setAttribute("aria-label", "Progress");
  const left = job.eta_seconds === null ? "" : `, ${duration(job.eta_seconds)} left`;
  write(box.lastChild, text + left);
}

function facts() {
  const needs = job.requirements;
  const slowest = job.slowest_frame === null ? null : `, ${duration(job.slowest_frame_seconds)} the slowest (${job.slowest_frame})`;
  const memory = needs.memory_bytes ? `, ${(needs.memory_bytes / 2 ** 30).toFixed(1)} GiB` : "";
  const pairs = [
    ["Scene", job.scene ? `${job.scene.name} ${job.scene.version.slice(0, 12)}` : ""],
    ["Frames", job.frames && (job.chunk > 1 ? `${job.frames}, ${job.chunk} a task` : job.frames)],
    ["Needs", job.frame_count ? `Blender ${needs.blender.join(".")}, ${needs.engine}, ${needs.device}${memory}` : ""],
    ["A frame", job.mean_frame_seconds === null ? "" : duration(job.mean_frame_seconds) + (slowest ?? "")],
    ["Priority", String(job.priority)],
    ["Went wrong", troubles()],
    ["Submitted", instant(job.created_at)],
    ["Ended", job.ended_at ? instant(job.ended_at) : ""],
  ];
  return pairs.filter(([, text]) => text);
}

function troubles() {
  const failed = job.retries ? count(job.retries, "failed attempt") : "";
  const interrupted = job.interruptions ? count(job.interruptions, "interruption") : "";
  return [failed, interrupted].filter(Boolean).join(", ");
}

function takeStates(message) {
  if (message.frames !== framesText) {
    framesText = message.frames;
    frames = new FrameRange(framesText);
  }
  states = new States(message.states, frames.length);
  byId("frames").hidden = !frames.length;
  byId("tasks").hidden = !message.commands.length;
  sync(byId("commands"), message.commands, ({ name }) => name, () => make("li", {}, chip("")), (item, command) => {
    setChip(item.firstChild, command.status, `${command.name}: ${command.status}`);
  });
  const legend = Object.entries(states.counts);
  sync(byId("legend"), legend, ([state]) => state, () => make("li", {}, chip("")), (item, [state, number]) => {
    setChip(item.firstChild, state, `${number.toLocaleString("en")} ${state}`);
  });
  if (!frames.length) return;
  grid.show(frames, states);
  drawMode();
}

function drawMode() {
  byId("as-pictures").ariaPressed = String(grid.mode === "pictures");
  byId("as-states").ariaPressed = String(grid.mode === "states");
}

for (const mode of ["pictures", "states"]) {
  byId(`as-${mode}`).addEventListener("click", () => {
    grid.setMode(mode);
    drawMode();
  });
}

// ── The chosen frame ───────────────────────────────────────────────────────────────────

function showFrame() {
  byId("frame").hidden = details === null;
  if (details === null) return;
  const state = states.at(frames.placeOf(details.frame));
  const at = [...workers.values()].find(
    ({ progress }) => progress?.job_id === job.id && progress.frame === details.frame,
  );
  drawFrame(byId("frame"), { details, state, worker: at, previews });
}

follow(`/events?job=${encodeURIComponent(jobId)}`, start, hear);
