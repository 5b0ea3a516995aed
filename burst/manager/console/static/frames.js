// Frame ranges and the states of frames, as the manager writes them; small pictures of frames.

import { Refusal, ask } from "./live.js";

const PART = /^(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?$/;
const STATES = { q: "queued", a: "active", c: "committed", p: "published", f: "failed", x: "canceled" };

/** A frame range: kept as runs, so that a million frames cost no more than one. */
export class FrameRange {
  #runs = [];
  length = 0;

  constructor(text) {
    for (const part of text ? text.split(",") : []) {
      const [, first, last = first, step = 1] = PART.exec(part);
      const run = { first: Number(first), step: Number(step), from: this.length };
      this.length += Math.floor((Number(last) - run.first) / run.step) + 1;
      this.#runs.push({ ...run, to: this.length });
    }
  }

  /** The frame at a place, counted from 0. */
  at(place) {
    let [low, high] = [0, this.#runs.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (place < this.#runs[middle].to) high = middle;
      else low = middle + 1;
    }
    const run = this.#runs[low];
    return run.first + (place - run.from) * run.step;
  }

  /** Where a frame stands; -1 if it is none of these. */
  placeOf(frame) {
    for (const { first, step, from, to } of this.#runs) {
      const place = from + (frame - first) / step;
      if (place >= from && place < to && Number.isInteger(place)) return place;
    }
    return -1;
  }
}

/** The states of all frames of a job, in order. */
export class States {
  #letters;
  counts = {};

  constructor(runs, length) {
    this.#letters = new Uint8Array(length);
    let place = 0;
    for (const [, many, letter] of runs.matchAll(/(\d*)([a-z])/g)) {
      const end = place + Number(many || 1);
      this.#letters.fill(letter.charCodeAt(0), place, end);
      const state = STATES[letter];
      this.counts[state] = (this.counts[state] ?? 0) + end - place;
      place = end;
    }
  }

  /** The state of the frame at a place. */
  at(place) {
    return STATES[String.fromCharCode(this.#letters[place])] ?? "queued";
  }

  /** The next place from here on, and round the end, that has a state; -1 if none has. */
  next(state, from) {
    const code = Object.keys(STATES).find((letter) => STATES[letter] === state).charCodeAt(0);
    const after = this.#letters.indexOf(code, from);
    return after >= 0 ? after : this.#letters.indexOf(code);
  }
}

const AT_ONCE = 4; // a browser has six connections for one host, and events take one
const KEPT = 600;
const AGAIN_MS = 5000;

/** Small pictures of a job's frames: asked for a few at a time, kept as long as there is room. */
export class Previews {
  #kept = new Map(); // frame → address, or null where there is none
  #wanted = new Map(); // frame → who wants it
  #running = new Set();
  #path;

  constructor(jobId) {
    this.#path = (frame) => `/jobs/${encodeURIComponent(jobId)}/frames/${frame}/preview`;
  }

  /** Call `show` with the address of a picture, or with null, now or later. */
  want(frame, show) {
    if (this.#kept.has(frame)) return show(this.#kept.get(frame));
    this.#wanted.set(frame, [...(this.#wanted.get(frame) ?? []), show]);
    this.#next();
  }

  /** Want only what is in sight, of all that was wanted and not begun. */
  keep(inSight) {
    for (const frame of this.#wanted.keys()) {
      if (!inSight(frame) && !this.#running.has(frame)) this.#wanted.delete(frame);
    }
  }

  /** Whatever was seen may be another picture now. */
  forgetAll() {
    for (const frame of [...this.#kept.keys()]) this.forget(frame);
  }

  /** A frame has another picture now. */
  forget(frame) {
    URL.revokeObjectURL(this.#kept.get(frame));
    this.#kept.delete(frame);
  }

  #next() {
    for (const frame of this.#wanted.keys()) {
      if (this.#running.size >= AT_ONCE) return;
      if (!this.#running.has(frame)) this.#load(frame);
    }
  }

  async #load(frame) {
    this.#running.add(frame);
    let address;
    try {
      address = URL.createObjectURL(await ask(this.#path(frame), { as: "blob" }));
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 404)) {
        // Whatever is in the way may pass, and fewer are asked for until then.
        setTimeout(() => this.#end(frame), AGAIN_MS);
        return;
      }
      address = null;
    }
    this.#put(frame, address);
    const waiting = this.#wanted.get(frame) ?? [];
    this.#wanted.delete(frame);
    for (const show of waiting) show(address);
    this.#end(frame);
  }

  #end(frame) {
    this.#running.delete(frame);
    this.#next();
  }

  #put(frame, address) {
    this.#kept.set(frame, address);
    if (this.#kept.size > KEPT) this.forget(this.#kept.keys().next().value);
  }
}
