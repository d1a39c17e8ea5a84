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

// Made once: a list of events shows thousands of times.
const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const DAY = format({ day: "numeric", month: "short" });
const DAY_OF_YEAR = format({ day: "numeric", month: "short", year: "numeric" });
const LONG_DAY = format({ weekday: "long", day: "numeric", month: "long" });
const LONG_DAY_OF_YEAR = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const CLOCK = format({ hour: "2-digit", minute: "2-digit" });
const SECONDS = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A sender can name a time that no calendar has. */
const isTime = (ms) => !Number.isNaN(+new Date(ms));
const isThisYear = (ms) => new Date(ms).getFullYear() === new Date().getFullYear();
const shown = (ms, thisYear, other = thisYear) => (isTime(ms) ? (isThisYear(ms) ? thisYear : other).format(ms) : "no valid time");

export const day = (ms) => shown(ms, DAY, DAY_OF_YEAR);
export const longDay = (ms) => shown(ms, LONG_DAY, LONG_DAY_OF_YEAR);
export const clock = (ms) => shown(ms, CLOCK);
export const seconds = (ms) => shown(ms, SECONDS);

export const utc = (ms) => (isTime(ms) ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC` : "no valid time");
export const iso = (ms) => (isTime(ms) ? new Date(ms).toISOString() : "");

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

/** Words that a server or an SDK sent, as a sentence. */
export const sentence = (text) => {
  const shown = capital(visible(text).trim());
  return !shown || /[.!?]$/.test(shown) ? shown : `${shown}.`;
};

/** An ID with its middle left out, if it is long. */
export function shortId(id) {
  const characters = Array.from(visible(id));
  if (characters.length <= SHORT_MAX) return characters.join("");
  return `${characters.slice(0, 17).join("").replace(/[^\p{L}\p{N}]+$/u, "")}…${characters.slice(-5).join("")}`;
}

/** Case, spaces and a missing `$device:` do not matter to somebody who looks for an ID. */
export const plain = (text) => text.toLowerCase().replace(/\s+/g, "").replace(/^\$device:/, "");
