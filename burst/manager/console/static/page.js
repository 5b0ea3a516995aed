// Making and changing what is on the page. Text is always text: nothing here reads markup.

/** Make an element: properties, then what is in it. */
export function make(tag, properties = {}, ...inside) {
  const { data = {}, ...others } = properties;
  const made = Object.assign(document.createElement(tag), others);
  Object.assign(made.dataset, data);
  made.append(...inside);
  return made;
}

/** Give an element a text, if it has another one. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show one of two: what there is, or the words for there being nothing. */
export function showEither(full, empty, isFull) {
  full.hidden = !isFull;
  empty.hidden = isFull;
}

/**
 * Bring the children of an element in line with a list, and keep those that stay.
 * @param keyOf says who is who
 * @param create makes a child
 * @param fill writes an item into its child
 */
export function sync(parent, items, keyOf, create, fill) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const keys = items.map((item) => String(keyOf(item)));
  const stays = new Set(keys);
  for (const [key, child] of known) if (!stays.has(key)) child.remove();
  let place = parent.firstElementChild;
  items.forEach((item, number) => {
    const child = known.get(keys[number]) ?? create(item);
    child.dataset.key = keys[number];
    // One that stays where it is keeps the focus.
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    fill(child, item);
  });
}

/** Bring a <dl> in line with pairs of a word and a text. */
export function syncPairs(list, pairs) {
  const create = () => make("div", {}, make("dt"), make("dd"));
  sync(list, pairs, ([word]) => word, create, (child, [word, text]) => {
    write(child.firstChild, word);
    write(child.lastChild, text);
  });
}

/** A word for a state, with the state's colour. */
export function chip(state, text = state) {
  return make("span", { className: "chip", data: { state } }, text);
}

/** Give a chip another state. */
export function setChip(element, state, text = state) {
  element.dataset.state = state;
  write(element, text);
}

/** An empty bar of progress. */
export function meter() {
  const parts = ["completed", "active", "failed"].map((state) => make("i", { data: { state } }));
  const made = make("span", { className: "meter" }, ...parts);
  made.setAttribute("role", "progressbar");
  made.setAttribute("aria-valuemin", "0");
  return made;
}

/** Fill a bar: how many of the whole are done, being done, and failed. */
export function setMeter(element, { whole, completed, active = 0, failed = 0 }, text) {
  [completed, active, failed].forEach((number, place) => {
    element.children[place].style.width = `${whole ? (100 * number) / whole : 0}%`;
  });
  element.setAttribute("aria-valuemax", String(whole));
  element.setAttribute("aria-valuenow", String(completed));
  element.setAttribute("aria-valuetext", text);
}

/** How far a job is: frames, or tasks where it renders none. */
export function extent(job) {
  const tasks = job.tasks;
  if (!job.frame_count) {
    const whole = Object.values(tasks).reduce((sum, number) => sum + number, 0);
    const { completed, active, failed } = tasks;
    return { whole, completed, active, failed, thing: "task" };
  }
  const whole = job.frame_count;
  const left = whole - job.frames_published;
  const [active, failed] = [tasks.active, tasks.failed].map((n) => Math.min(left, n * job.chunk));
  return { whole, completed: job.frames_published, active, failed, thing: "frame" };
}
