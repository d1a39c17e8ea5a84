// Numbers, times and IDs as people read them.

const COUNTED = new Intl.NumberFormat("en-GB");
const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const MINUTE_MS = 60_000;

export const n = (value) => COUNTED.format(value);
export const word = (value) => WORDS[value] ?? n(value);
export const many = (value, one, more = `${one}s`) => `${n(value)} ${value === 1 ? one : more}`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const percent = (part, whole) => {
  if (!whole) return "0 %";
  return part === whole ? "100 %" : `${((100 * part) / whole).toFixed(1)} %`;
};

const isThisYear = (date) => date.getFullYear() === new Date().getFullYear();
export function day(ms) {
  const date = new Date(ms);
  const year = isThisYear(date) ? {} : { year: "numeric" };
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year });
}
export function longDay(ms) {
  const date = new Date(ms);
  const year = isThisYear(date) ? {} : { year: "numeric" };
  return date.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", ...year });
}
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
export const seconds = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** The time in UTC. A sender can name a time that no calendar has. */
export function utc(ms) {
  const date = new Date(ms);
  return Number.isNaN(+date) ? "no valid time" : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
export function iso(ms) {
  const date = new Date(ms);
  return Number.isNaN(+date) ? "" : date.toISOString();
}

export function ago(ms) {
  const minutes = Math.round((Date.now() - ms) / MINUTE_MS);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.round(minutes / 60)} h ago`;
  return day(ms);
}

/** Escapes invisible characters, so that an ID cannot reorder or hide the text around it. */
export const visible = (text) =>
  String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);

/** The same for JSON, except for its line breaks. */
export const visibleJson = (value) => JSON.stringify(value, null, 2).split("\n").map(visible).join("\n");

const SHORT_MAX = 28;

/** An ID with its middle left out, if it is long. */
export function shortId(id) {
  const characters = Array.from(visible(id));
  if (characters.length <= SHORT_MAX) return characters.join("");
  return `${characters.slice(0, 17).join("")}…${characters.slice(-5).join("")}`;
}

/** Case, spaces and a missing `$device:` do not matter to somebody who looks for an ID. */
export const plain = (text) => text.toLowerCase().replace(/\s+/g, "").replace(/^\$device:/, "");
