// How people, devices, times and IDs look, the same in every view.

import { fill, h, s } from "./dom.js";
import { iso, shortId, utc, visible } from "./words.js";

export const DEVICE = "$device:";

// The outline of each kind of device, and what is cut out of it.
const SHAPES = {
  phone: ["M4.5 1.5h7v13h-7z", "M7 12h2v1.2H7z"],
  tablet: ["M2.5 1.5h11v13h-11z", "M7 12.2h2v1H7z"],
  laptop: ["M3 3.5h10v7H3zM1 13h14", null],
  server: ["M3 2.5h10v4.5H3zM3 9h10v4.5H3z", null],
  user: ["M8 2.2a2.9 2.9 0 1 1 0 5.8 2.9 2.9 0 1 1 0-5.8zM2.8 14c0-6 10.4-6 10.4 0z", null],
  unknown: ["M3 3h10v10H3z", null],
};

/** The colour of the devices that have no colour of their own. */
export const GREY = "var(--d0)";
const COLOURS = 6;

/**
 * The colour of each device of a user: those with the most events have one each, in the order in which they
 * appeared, and the others share a grey. Devices without figures are in this order already.
 */
export function coloursOf(ids) {
  // One without events has no line to be told by.
  const seen = ids.filter(({ events }) => events !== 0);
  const busiest = seen.sort((a, b) => (b.events ?? 0) - (a.events ?? 0)).slice(0, COLOURS);
  const inOrder = busiest.sort((a, b) => (a.first_seen_ms ?? 0) - (b.first_seen_ms ?? 0));
  return new Map(inOrder.map((each, number) => [each.distinct_id, `var(--d${number + 1})`]));
}

/** A device: its shape tells the kind, and it is outlined as long as nobody has logged in on it. */
export function deviceIcon(kind, colour = GREY, isAnonymous = false) {
  const [outline, cut] = SHAPES[kind] ?? SHAPES.unknown;
  return s("svg", { class: `dev${isAnonymous ? " anon" : ""}`, viewBox: "0 0 16 16", "--c": colour, "aria-hidden": "true" },
    s("path", { d: outline }), cut && s("path", { class: "cut", d: cut }));
}

/** The name of a user, or what their only device is. */
export function nameOf(user) {
  if (user.name) return visible(user.name);
  if (user.email) return visible(user.email);
  if (user.has_user_id) return shortId(user.distinct_id);
  const [device] = user.devices;
  return device ? `Somebody on ${device.label}` : shortId(user.distinct_id);
}

/** The name within a sentence: the first name, if there is one. That of "QA robot" is not "QA". */
export function shortName(user) {
  const [first = ""] = user.name?.trim().split(/\s+/) ?? [];
  return first && !/^\p{Lu}{2,3}$/u.test(first) ? visible(first) : nameOf(user);
}

export function initials(user) {
  if (!user.has_user_id && !user.name) return "?";
  const words = nameOf(user).split(/[\s@._-]+/).filter(Boolean);
  return words.slice(0, 2).map((each) => Array.from(each)[0]).join("").toUpperCase();
}

export function avatar(user, size = "") {
  const nobody = user.has_user_id || user.name ? "" : " nobody";
  return h("span", { class: `avatar ${size}${nobody}`, "aria-hidden": "true" }, initials(user));
}

export const time = (ms, ...text) => h("time", { datetime: iso(ms), title: utc(ms) }, text);

/** An ID, shortened; the whole of it is the tooltip. */
export const idText = (id) => h("bdi", { class: "id", title: visible(id) }, shortId(id));

export const userPath = (id, tab = "events") => `/users/${encodeURIComponent(id)}/${tab}`;

export const userLink = (id, text, tab = "identity") => h("a", { href: userPath(id, tab) }, text);

/** Marks where the words that were looked for stand in a text. */
export function marked(text, words) {
  const wanted = words.trim().toLowerCase();
  const where = wanted ? text.toLowerCase().indexOf(wanted) : -1;
  // A letter that has another length in lower case would shift the mark.
  if (where < 0 || text.toLowerCase().length !== text.length) return [text];
  const end = where + wanted.length;
  return [text.slice(0, where), h("mark", {}, text.slice(where, end)), text.slice(end)];
}

export const at16 = (icon, cx, cy) => fill(icon, { x: cx - 8, y: cy - 8, width: 16, height: 16 });
