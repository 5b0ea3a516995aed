// The one connection to the manager: questions by fetch, and news as server-sent events.
// EventSource can't show a token, so the stream is read by fetch too.

const api = document.documentElement.dataset.api;
const TOKEN = "burst-token";
const SILENCE_MS = 6000; // a living manager says something every second
const PAUSES_MS = [500, 1000, 2000, 4000];

/** The manager is not there; it may come back. */
export class Away extends Error {}

/** What the manager answered instead of what was asked for. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask the manager; `as` is json, blob or body. Throws a Refusal, or Away. */
export async function ask(path, { as = "json", signal, headers = {} } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const shown = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
  const response = await orAway(fetch(api + path, { headers: shown, cache: "no-store", signal }));
  if (response.status === 401) {
    await tokenFromArtist(token);
    return ask(path, { as, signal, headers });
  }
  if (!response.ok) throw new Refusal(response.status, await messageOf(response));
  return as === "body" ? response.body : orAway(response[as]());
}

/** Return what comes over the network: whatever is wrong with that, the manager is away. */
async function orAway(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new Away(error.message);
  }
}

async function messageOf(response) {
  try {
    return (await response.json()).message;
  } catch {
    return `the manager answered ${response.status}`;
  }
}

let asking = null;

/** Return when there is another token than the one that was refused. */
function tokenFromArtist(refused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return Promise.resolve();
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    const field = document.getElementById("token-field");
    const take = () => {
      if (!field.value) return dialog.showModal(); // closed by Escape
      sessionStorage.setItem(TOKEN, field.value.trim());
      field.value = "";
      dialog.removeEventListener("close", take);
      asking = null;
      resolve();
    };
    dialog.addEventListener("close", take);
    dialog.showModal();
  });
  return asking;
}

/**
 * Follow what happens, for ever.
 * @param path of the events
 * @param start asks for everything anew; called first, and whenever events were missed
 * @param hear takes one event; ticks too
 */
export async function follow(path, start, hear) {
  let [last, failures] = [0, 0];
  for (;;) {
    await untilSeen();
    try {
      for await (const event of events(path, last)) {
        if (event.kind === "reset") {
          last = 0; // should asking fail, the next stream begins with a reset again
          await start();
        }
        if (event.kind !== "reset") hear(event);
        last = event.seq;
        failures = 0;
        link("live");
      }
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return link("gone", error.message);
      if (!mayPass(error)) {
        link("gone", "This page has met a bug of burst; reload it");
        throw error;
      }
    }
    if (document.hidden) continue;
    link("away");
    await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]);
    failures += 1;
  }
}

/** Whether asking again may help. */
function mayPass(error) {
  return error instanceof Away || error instanceof Refusal;
}

async function* events(path, last) {
  const control = new AbortController();
  // A tab that nobody sees gives its connection back: a browser has six for one host.
  const rest = () => document.hidden && control.abort();
  document.addEventListener("visibilitychange", rest);
  let silence = setTimeout(() => control.abort(), SILENCE_MS);
  try {
    const headers = { "Last-Event-ID": String(last) };
    const body = await ask(path, { as: "body", signal: control.signal, headers });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await orAway(reader.read());
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => control.abort(), SILENCE_MS);
      const whole = (text + value).split("\n\n");
      text = whole.pop();
      for (const event of whole) yield JSON.parse(event.slice(event.indexOf("data: ") + 6));
    }
  } finally {
    clearTimeout(silence);
    control.abort();
    document.removeEventListener("visibilitychange", rest);
  }
}

function untilSeen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

let heardAt = null;

function link(state, message = "") {
  if (state === "live") heardAt = new Date();
  const shown = document.getElementById("link");
  const since = heardAt ? ` What you see is of ${heardAt.toLocaleTimeString("sv")}.` : "";
  const words = {
    live: "live",
    away: `The farm does not answer; trying again …${since}`,
    gone: message,
  };
  if (shown.dataset.link === state && state !== "gone") return;
  shown.dataset.link = document.body.dataset.link = state;
  shown.textContent = words[state];
}

/** Make a function that runs another soon, and rests for so many milliseconds before it does again. */
export function atMostEvery(milliseconds, run) {
  let [isBusy, isWantedAgain, last] = [false, false, -Infinity];
  const call = async () => {
    if (isBusy) {
      isWantedAgain = true;
      return;
    }
    isBusy = true;
    await pause(Math.max(0, last + milliseconds - performance.now()));
    isWantedAgain = false;
    try {
      await run();
    } catch (error) {
      if (!mayPass(error)) throw error;
    } finally {
      last = performance.now();
      isBusy = false;
      if (isWantedAgain) call();
    }
  };
  return call;
}
