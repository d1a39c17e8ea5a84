// A user: who it is, and the tabs Events, Identity and Properties.

import { ask, part } from "../lib/api.js";
import { copyButton, h, none, say } from "../lib/dom.js";
import { avatar, nameOf, time, userPath } from "../lib/people.js";
import { ago, day, n, plain, shortId, visible } from "../lib/words.js";
import { personOf } from "./person.js";
import { nearest } from "./users.js";

/** Each tab is loaded when it is shown, or after the first view. */
export const TABS = new Map(Object.entries({
  events: async () => (await import("./events.js")).events,
  identity: async () => (await import("../identity/identity.js")).identity,
  properties: async () => (await import("./properties.js")).properties,
}));
const TITLES = [["events", "Events"], ["identity", "Identity"], ["properties", "Properties"]];

export async function user(id, tab, context) {
  const shown = TABS.has(tab) ? tab : "events";
  let person;
  let make;
  try {
    [person, make] = await Promise.all([personOf(id), part(TABS.get(shown))]);
  } catch (error) {
    if (error.status === 404 || error.status === 400) return nobody(id);
    throw error;
  }
  document.title = `${nameOf(person)} · idmerge`;
  const body = await make(person, context);
  return h("div", {}, head(person),
    h("nav", { class: "under", "aria-label": nameOf(person) }, TITLES.map(([name, text]) =>
      h("a", { href: userPath(id, name), "aria-current": shown === name && "page" }, text))),
    body);
}

function head(person) {
  const { distinct_id: id, events: count, ids, first_seen_ms: first, last_seen_ms: last } = person;
  return h("div", { class: "head" }, avatar(person, "big"),
    h("div", {}, say(nameOf(person)),
      h("p", {}, h("bdi", { class: "id", title: visible(id) }, shortId(id)), " ", copyButton(id))),
    h("p", { class: "facts num" },
      count !== null && h("span", {}, h("b", {}, n(count)), count === 1 ? " event" : " events"),
      h("span", {}, h("b", { id: "id-count" }, n(ids)), ids === 1 ? " ID" : " IDs"),
      first !== null && h("span", {}, "since ", h("b", {}, time(first, day(first)))),
      last !== null && h("span", {}, "seen ", h("b", {}, time(last, ago(last)))),
      person.place && h("span", { class: "place" }, visible(person.place))));
}

async function nobody(id) {
  const { users, nearest: near } = await ask("/v1/search", { q: plain(id) || id, limit: 3 });
  return h("div", {}, say(`Nobody has the ID “${visible(id)}”. Nearest:`),
    none("", nearest(users.length ? users : near)));
}
