// A grid of frames: only those in sight are elements, so that a million are as quick as ten.

import { make } from "./page.js";

const BESIDE = 2; // rows above and below those in sight, for a scroll to find
const WIDTHS = { large: 328, pictures: 168, states: 18 }; // at least, with the gap beside it
const GAP = 8;
const CAPTION = 24;
const LARGE_MAX = 4;
const PICTURES_MAX = 600; // more are shown as states first

/** The grid of one job. It tells by `onChoose` which frame was chosen: its place, or -1. */
export class Grid {
  #box;
  #space = make("div", { className: "space" });
  #rows = new Map(); // number → element
  #frames = null;
  #states = null;
  #previews;
  #onChoose;
  #mode = "";
  #columns = 1;
  #height = 1; // of a row
  chosen = -1;

  constructor(box, previews, onChoose) {
    this.#box = box;
    this.#previews = previews;
    this.#onChoose = onChoose;
    box.append(this.#space);
    box.addEventListener("scroll", () => this.#draw(), { passive: true });
    box.addEventListener("click", (event) => this.#click(event));
    box.addEventListener("keydown", (event) => this.#press(event));
    new ResizeObserver(() => this.#lay()).observe(box);
  }

  get mode() {
    return this.#mode === "states" ? "states" : "pictures";
  }

  /** Show these frames in these states. */
  show(frames, states) {
    const isNew = this.#frames?.length !== frames.length;
    [this.#frames, this.#states] = [frames, states];
    if (!isNew) return this.#draw();
    this.setMode(this.#mode ? this.mode : frames.length > PICTURES_MAX ? "states" : "pictures");
  }

  /** Show pictures, or only states. */
  setMode(mode) {
    const isLarge = mode === "pictures" && this.#frames.length <= LARGE_MAX;
    this.#mode = isLarge ? "large" : mode;
    this.#box.dataset.mode = this.#mode;
    this.#lay();
    this.choose(this.chosen);
  }

  /** Choose the frame at a place, and bring it in sight; -1 lets go. */
  choose(place) {
    const isAnother = place !== this.chosen;
    this.chosen = place;
    if (place >= 0) this.#bring(Math.floor(place / this.#columns));
    this.#draw();
    const cell = place >= 0 && document.getElementById(this.#idOf(place));
    if (cell) {
      this.#box.setAttribute("aria-activedescendant", cell.id);
      cell.scrollIntoView({ block: "nearest" }); // of the page, too
    } else this.#box.removeAttribute("aria-activedescendant");
    if (isAnother) this.#onChoose(place);
  }

  /** The picture of a frame is another one now. */
  refresh(frame) {
    const cell = document.getElementById(this.#idOf(this.#frames.placeOf(frame)));
    if (cell) delete cell.dataset.picture;
    this.#draw();
  }

  /** Any picture may be another one now. */
  refreshAll() {
    for (const row of this.#rows.values()) {
      for (const cell of row.children) delete cell.dataset.picture;
    }
    this.#draw();
  }

  #idOf(place) {
    return `place-${place}`;
  }

  /** Find out anew how many fit into a row, and make all rows anew. */
  #lay() {
    if (!this.#frames) return;
    const top = Math.floor(this.#box.scrollTop / this.#height) * this.#columns;
    const [all, least] = [this.#space.clientWidth, WIDTHS[this.#mode]];
    this.#columns = Math.max(1, Math.floor(all / least));
    const width = this.#mode === "states" ? least : Math.floor(all / this.#columns);
    // Most pictures are 16 to 9.
    const picture = Math.round(((width - GAP) * 9) / 16);
    this.#height = this.#mode === "states" ? least : picture + CAPTION + GAP;
    this.#space.style.setProperty("--width", `${width - GAP}px`);
    this.#space.style.setProperty("--height", `${this.#height - GAP}px`);
    const rows = Math.ceil(this.#frames.length / this.#columns);
    this.#space.style.height = `${rows * this.#height}px`;
    this.#box.setAttribute("aria-rowcount", String(rows));
    this.#box.setAttribute("aria-colcount", String(this.#columns));
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    // What was seen stays in sight.
    if (this.chosen >= 0) this.#bring(Math.floor(this.chosen / this.#columns));
    else this.#box.scrollTop = Math.floor(top / this.#columns) * this.#height;
    this.#draw();
  }

  #draw() {
    if (!this.#frames) return;
    const height = this.#height;
    const top = Math.floor(this.#box.scrollTop / height);
    const bottom = Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / height);
    const last = Math.ceil(this.#frames.length / this.#columns) - 1;
    const [from, to] = [Math.max(0, top - BESIDE), Math.min(last, bottom + BESIDE)];
    for (const [number, row] of this.#rows) {
      if (number >= from && number <= to) continue;
      row.remove();
      this.#rows.delete(number);
    }
    const first = this.#frames.at(from * this.#columns);
    const end = this.#frames.at(Math.min((to + 1) * this.#columns, this.#frames.length) - 1);
    // The chosen one is shown beside the grid, too.
    const chosen = this.chosen < 0 ? null : this.#frames.at(this.chosen);
    this.#previews.keep((frame) => frame === chosen || (frame >= first && frame <= end));
    for (let number = from; number <= to; number += 1) {
      for (const cell of this.#row(number).children) this.#fill(cell);
    }
  }

  #row(number) {
    const known = this.#rows.get(number);
    if (known) return known;
    const row = make("div", { className: "row" });
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(number + 1));
    row.style.transform = `translateY(${number * this.#height}px)`;
    const first = number * this.#columns;
    const end = Math.min(first + this.#columns, this.#frames.length);
    for (let place = first; place < end; place += 1) row.append(this.#cell(place, place - first));
    this.#rows.set(number, row);
    this.#space.append(row);
    return row;
  }

  #cell(place, column) {
    const frame = this.#frames.at(place);
    const cell = make("div", { className: "cell", id: this.#idOf(place), data: { frame } });
    cell.setAttribute("role", "gridcell");
    cell.setAttribute("aria-colindex", String(column + 1));
    cell.place = place;
    if (this.#mode !== "states") cell.append(make("img", { alt: "" }), make("span", {}, String(frame)));
    return cell;
  }

  #fill(cell) {
    const state = this.#states.at(cell.place);
    const isChosen = cell.place === this.chosen;
    if (cell.isChosen !== isChosen) {
      cell.isChosen = isChosen;
      cell.ariaSelected = String(isChosen);
    }
    if (cell.state !== state) {
      cell.dataset.state = cell.state = state;
      cell.title = `frame ${cell.dataset.frame}, ${state}`;
      cell.setAttribute("aria-label", cell.title);
      delete cell.dataset.picture;
    }
    if (this.#mode !== "states" && state === "published") this.#picture(cell);
  }

  #picture(cell) {
    if (cell.dataset.picture) return;
    cell.dataset.picture = "asked";
    this.#previews.want(Number(cell.dataset.frame), (address) => {
      cell.dataset.picture = address ? "here" : "none";
      if (address) cell.firstChild.src = address;
    });
  }

  #bring(row) {
    const height = this.#height;
    const [top, seen] = [this.#box.scrollTop, this.#box.clientHeight];
    if (row * height < top) this.#box.scrollTop = row * height;
    else if ((row + 1) * height > top + seen) this.#box.scrollTop = (row + 1) * height - seen;
  }

  #click(event) {
    const cell = event.target.closest(".cell");
    if (cell) this.choose(cell.place);
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.#frames) return;
    const place = this.#placeBy(event.key);
    if (place === null) return;
    event.preventDefault();
    this.choose(place);
  }

  /** Where a key leads; null if nowhere. */
  #placeBy(key) {
    const last = this.#frames.length - 1;
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "Escape") return -1;
    if (key === "f" || key === "F") {
      const found = this.#states.next("failed", this.chosen + 1);
      return found >= 0 ? found : null;
    }
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#height) - 1);
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.#columns,
      ArrowDown: this.#columns,
      PageUp: -page * this.#columns,
      PageDown: page * this.#columns,
    };
    if (!(key in steps)) return null;
    if (this.chosen < 0) return 0;
    return Math.min(last, Math.max(0, this.chosen + steps[key]));
  }
}
