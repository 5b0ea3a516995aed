// One frame closely: its picture, its files, and every attempt at it.

import { chip, make, setChip, sync, syncPairs, write } from "./page.js";
import { count, doing, duration, instant, size } from "./words.js";

/** Draw a frame into a box, which keeps what has not changed. */
export function drawFrame(box, { details, state, worker, previews }) {
  if (!box.firstChild) box.append(...parts());
  const [title, picture, facts, warnings, files, attempts] = box.children;
  const { frame, result, task } = details;
  write(title.firstChild, `Frame ${frame} `);
  setChip(title.lastChild, state);
  drawPicture(picture, details, state, previews);
  syncPairs(facts, pairs(result, task, worker));
  sync(warnings, result?.warnings ?? [], (text) => text, () => make("li"), write);
  sync(files, result?.files ?? [], (file) => file.name, () => make("li"), (item, file) => {
    write(item, `${file.name}, ${size(file.size)}`);
  });
  sync(attempts, task.attempts.toReversed(), (attempt) => attempt.id, attemptItem, fillAttempt);
  for (const list of [warnings, files, attempts]) list.hidden = !list.children.length;
}

function parts() {
  const list = (className, label) => {
    const made = make("ul", { className });
    made.setAttribute("aria-label", label);
    return made;
  };
  return [
    make("h3", {}, "", chip("")),
    make("img", { alt: "" }),
    make("dl", { className: "facts" }),
    list("warnings", "Warnings"),
    list("files", "Files"),
    list("attempts", "Attempts"),
  ];
}

function drawPicture(picture, { frame, result }, state, previews) {
  // Of another attempt it is another picture.
  const wanted = state === "published" && result ? `${frame} ${result.attempt_id}` : "";
  if (picture.dataset.of === wanted) return;
  picture.dataset.of = wanted;
  picture.hidden = true;
  if (!wanted) return;
  previews.want(frame, (address) => {
    if (picture.dataset.of !== wanted || !address) return;
    picture.src = address;
    picture.alt = `Frame ${frame}`;
    picture.hidden = false;
  });
}

function pairs(result, task, worker) {
  const found = [];
  if (worker) found.push(["Now", `${worker.name}: ${doing(worker.progress)}`]);
  if (result) {
    found.push(["Rendered in", duration(result.render_seconds)], ["By", result.worker]);
    if (result.peak_memory_bytes) found.push(["Memory", size(result.peak_memory_bytes)]);
  }
  if (task.failures) found.push(["Failed", count(task.failures, "time")]);
  if (task.frames.match(/[,-]/)) found.push(["In a task with", task.frames]);
  if (!task.attempts.length) found.push(["Attempts", "none yet"]);
  return found;
}

function attemptItem() {
  return make("li", {}, chip(""), make("span"), make("p"));
}

function fillAttempt(item, attempt) {
  const [state, where, reason] = item.children;
  setChip(state, attempt.status, attempt.status.replaceAll("_", " "));
  const took = attempt.ended_at && (new Date(attempt.ended_at) - new Date(attempt.started_at)) / 1000;
  const length = took === null ? "" : `, ${duration(took)}`;
  write(where, ` ${attempt.worker}, ${instant(attempt.started_at)}${length}`);
  write(reason, attempt.reason);
  reason.hidden = !attempt.reason;
}
