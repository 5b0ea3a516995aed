// The farm's page: its jobs, its worker pools and its workers, as they are at this moment.

import { ask, atMostEvery, follow } from "./live.js";
import { chip, extent, make, meter, setChip, setMeter, showEither, sync, syncPairs, write } from "./page.js";
import { clock, count, doing, duration, instant, share, size } from "./words.js";

const DRAW_MS = 250;
const STATUS_MS = 2000;
const ROWS_MAX = 500; // more rows than anybody reads; the command line lists all
const ENDED = new Set(["completed", "failed", "canceled"]);

const byId = (id) => document.getElementById(id);
const byName = new Intl.Collator("en", { numeric: true });
const jobs = new Map();
const workers = new Map();
let status = null;

const draw = atMostEvery(DRAW_MS, () => {
  drawStatus();
  drawJobs();
  drawWorkers();
});

const lookAtStatus = atMostEvery(STATUS_MS, async () => {
  status = await ask("/status");
  draw();
});

async function start() {
  const [all, here, now] = await Promise.all([ask("/jobs"), ask("/workers"), ask("/status")]);
  replace(jobs, all.jobs, (job) => job.id);
  replace(workers, here.workers, (worker) => worker.name);
  status = now;
  draw();
}

function replace(map, items, keyOf) {
  map.clear();
  for (const item of items) map.set(keyOf(item), item);
}

function hear(event) {
  if (event.kind === "job") put(jobs, event.job_id, event.job);
  if (event.kind === "worker") put(workers, event.worker_name, event.worker);
  lookAtStatus();
}

function put(map, key, value) {
  if (value) map.set(key, value);
  else map.delete(key);
  draw();
}

// ── What is drawn ──────────────────────────────────────────────────────────────────────

function drawStatus() {
  write(byId("where"), status.storage_url);
  const unfinished = [...jobs.values()].filter((job) => !ENDED.has(job.status)).length;
  syncPairs(byId("figures"), [
    figure(unfinished, "unfinished job"),
    figure(status.tasks_queued, "task", " waiting"),
    figure(status.tasks_active, "task", " under way"),
    figure(workers.size, "worker"),
  ]);
  const troubles = status.storage_trouble ? [`storage: ${status.storage_trouble}`] : [];
  for (const pool of status.pools) if (pool.failure) troubles.push(`pool ${pool.name}: ${pool.failure}`);
  sync(byId("notes"), troubles, (text) => text, () => make("p", { className: "note" }), write);
  drawPools();
}

/** A number, and what it is of: 1 task waiting, 2 tasks waiting. */
function figure(number, thing, rest = "") {
  return [`${thing}${number === 1 ? "" : "s"}${rest}`, number.toLocaleString("en")];
}

function drawPools() {
  const pools = status.pools;
  showEither(byId("pools"), byId("no-pools"), pools.length > 0);
  const cells = ["running", "starting", "wanted", "maximum"];
  const create = () => make("tr", {}, make("th", { scope: "row" }), ...numbers(cells.length), make("td"));
  sync(byId("pools").tBodies[0], pools, (pool) => pool.name, create, (row, pool) => {
    write(row.cells[0], pool.name);
    cells.forEach((cell, place) => write(row.cells[place + 1], pool[cell].toLocaleString("en")));
    write(row.cells[5], [pool.reason, pool.waiting].filter(Boolean).join("; ") || "–");
  });
}

function drawJobs() {
  const shown = [...jobs.values()].sort(
    (a, b) => ENDED.has(a.status) - ENDED.has(b.status) || (a.created_at < b.created_at ? 1 : -1),
  );
  showEither(byId("jobs"), byId("no-jobs"), shown.length > 0);
  sync(byId("jobs").tBodies[0], shown.slice(0, ROWS_MAX), (job) => job.id, jobRow, fillJob);
  more(byId("jobs"), shown.length, "job", "burst jobs list");
}

function jobRow(job) {
  const link = make("a", { href: `/jobs/${encodeURIComponent(job.id)}` });
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, link),
    make("td", {}, chip(job.status)),
    make("td", { className: "wide" }, meter(), make("small")),
    ...numbers(3),
    make("td", { className: "time" }),
  );
}

function fillJob(row, job) {
  const [name, state, progress, left, frame, priority, submitted] = row.cells;
  write(name.firstChild, job.id);
  setChip(state.firstChild, job.status);
  state.title = job.status_reason;
  const far = extent(job);
  const text = `${far.completed.toLocaleString("en")} of ${count(far.whole, far.thing)}`;
  setMeter(progress.firstChild, far, text);
  progress.firstChild.setAttribute("aria-label", `Progress of ${job.id}`);
  write(progress.lastChild, far.failed ? `${text}, ${far.failed} failed` : text);
  write(left, duration(job.eta_seconds));
  write(frame, duration(job.mean_frame_seconds));
  write(priority, String(job.priority));
  write(submitted, instant(job.created_at));
}

function drawWorkers() {
  const shown = [...workers.values()].sort((a, b) => byName.compare(a.name, b.name));
  showEither(byId("workers"), byId("no-workers"), shown.length > 0);
  sync(byId("workers").tBodies[0], shown.slice(0, ROWS_MAX), (w) => w.name, workerRow, fillWorker);
  more(byId("workers"), shown.length, "worker", "burst workers list");
}

function workerRow(worker) {
  return make(
    "tr",
    {},
    make("th", { scope: "row" }),
    make("td", {}, chip(worker.status)),
    make("td", { className: "wide" }, make("a"), meter(), make("small")),
    ...numbers(4),
    make("td"),
  );
}

function fillWorker(row, worker) {
  const [name, state, does, since, memory, processor, frames, renders] = row.cells;
  const [link, bar, text] = does.children;
  const progress = worker.progress;
  write(name, worker.name);
  name.title = `pool ${worker.pool}, on ${worker.host}, here since ${clock(new Date(worker.registered_at))}`;
  setChip(state.firstChild, worker.status);
  const part = progress ? share(progress) : null;
  const words = worker.trouble ? `waits: ${worker.trouble}` : progress ? doing(progress) : "";
  link.hidden = !progress;
  if (progress) link.href = `/jobs/${encodeURIComponent(progress.job_id)}`;
  write(link, progress ? progress.job_id : "");
  bar.hidden = part === null;
  setMeter(bar, { whole: 1, completed: 0, active: part ?? 0 }, words);
  bar.setAttribute("aria-label", `Progress of ${worker.name}`);
  write(text, words || (worker.status === "idle" ? "asks for work" : "–"));
  write(since, duration(progress?.elapsed_seconds));
  write(memory, progress?.memory_bytes ? size(progress.memory_bytes) : "–");
  write(processor, worker.statistics ? `${worker.statistics.cpu_percent.toFixed(0)} %` : "–");
  write(frames, worker.frames_finished.toLocaleString("en"));
  write(renders, renderers(worker.capabilities));
}

function renderers({ blenders, device }) {
  const versions = blenders.map((b) => b.version.join(".") + (b.kind === "bpy" ? " (bpy)" : ""));
  return `${versions.join(", ") || "no Blender"}, ${device}`;
}

function numbers(many) {
  return Array.from({ length: many }, () => make("td", { className: "number" }));
}

/** Say below a table how many rows it does not have. */
function more(table, all, thing, command) {
  const caption = table.caption ?? table.createCaption();
  const left = all - ROWS_MAX;
  caption.hidden = left <= 0;
  write(caption, left > 0 ? `and ${count(left, `more ${thing}`)}: ${command}` : "");
}

follow("/events", start, hear);
