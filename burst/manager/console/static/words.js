// Durations, sizes and times as people read them; the same words as the command line's.

/** 4.2 s, 3:07 or 1:02:45. */
export function duration(seconds, unknown = "–") {
  if (seconds === null || seconds === undefined) return unknown;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** 740 B or 1.3 GB, in powers of 1000. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  for (; bytes >= 1000 && power < units.length - 1; power += 1) bytes /= 1000;
  return `${bytes.toFixed(power ? 1 : 0)} ${units[power]}`;
}

/** 1 frame, or 12,000 frames. */
export function count(number, thing) {
  return `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
}

/** 2026-03-01 14:05, here. */
export function instant(text) {
  return text ? new Date(text).toLocaleString("sv").slice(0, 16) : "–";
}

/** 14:05:09, here. */
export function clock(date) {
  return date.toLocaleTimeString("sv");
}

/** What a worker is at: its frame, and how far it is with it. */
export function doing(progress) {
  const frame = progress.frame === null ? "" : `frame ${progress.frame}`;
  return [frame, done(progress) || progress.step].filter(Boolean).join(", ");
}

function done(progress) {
  if (progress.samples) return `sample ${progress.sample}/${progress.samples}`;
  if (progress.percent === null) return "";
  return `${progress.step} ${progress.percent.toFixed(0)} %`.trim();
}

/** The part of its frame that a worker has done, 0 to 1; null where nobody knows. */
export function share(progress) {
  if (progress.samples) return progress.sample / progress.samples;
  return progress.percent === null ? null : progress.percent / 100;
}
