// Users: who was seen last, and search.

import { ask, latestOnly, pageAfter, project } from "../lib/api.js";
import { announce, copyButton, h, none, say, whenNear } from "../lib/dom.js";
import { avatar, coloursOf, deviceIcon, marked, nameOf, time, userLink, userPath } from "../lib/people.js";
import { ago, many, plain, shortId, visible } from "../lib/words.js";

const PAGE_USERS = 50;
const DEVICES_SHOWN = 5;
const TYPED_MS = 150;
const FIRST_EVENT_MS = 2_000;
const DEVICES = "A filled device is one they logged in on; an outlined one is still nobody’s.";
const NEWEST = `Newest seen first. ${DEVICES}`;

export async function users(query, { signal, reload }) {
  const words = query.get("q") ?? "";
  const first = await pageOf(null);
  if (!first.users.length && !words) return nobodyYet(signal, reload);
  const list = h("div");
  const order = h("p", { class: "sub" });
  const show = latestOnly(async (isLatest, wanted, waitMs) => {
    // Somebody who types asks once.
    if (waitMs) await new Promise((done) => setTimeout(done, waitMs));
    if (!isLatest() || signal.aborted) return;
    if (!plain(wanted)) {
      announce("");
      order.textContent = NEWEST;
      list.replaceChildren(...newestSeen(first));
      return;
    }
    const found = await ask("/v1/search", { q: wanted, limit: PAGE_USERS });
    if (!isLatest()) return;
    order.textContent = `Best matches first. ${DEVICES}`;
    showFound(list, found, wanted);
  });
  const find = h("input", {
    id: "find", type: "search", value: words, placeholder: "Find by name, e-mail or any ID",
    autocomplete: "off", spellcheck: "false",
    oninput: () => {
      const path = find.value ? `/users?q=${encodeURIComponent(find.value)}` : "/users";
      history.replaceState(null, "", path);
      show(find.value, TYPED_MS);
    },
  });
  const open = (sent) => {
    sent.preventDefault();
    list.querySelector("a")?.focus();
  };
  await show(words, 0);
  return h("div", {}, say(sentence(first)),
    order,
    h("form", { class: "find", role: "search", onsubmit: open },
      h("label", { class: "sr", for: "find" }, "Find by name, e-mail or any ID"), find),
    list);
}

const pageOf = (after) => pageAfter(after, "/v1/users", { limit: PAGE_USERS }, (page) => page.users);

/** Nobody counts all people: that would take as long as there are. So the sentence is about those of the first page. */
function sentence({ users: shown, next }) {
  const known = `known by ${many(shown.reduce((sum, each) => sum + each.ids, 0), "ID")}`;
  const people = many(shown.length, "person", "people");
  return next ? `The ${people} seen last are ${known}.` : `${people}, ${known}.`;
}

function newestSeen(first) {
  const people = h("ol", { class: "people", "aria-label": "People, newest seen first" }, first.users.map((user) => row(user)));
  const more = h("button", { type: "button", hidden: !first.next }, "Show more");
  let { next } = first;
  let isAsking = false;
  const load = async () => {
    if (!next || isAsking) return;
    isAsking = true;
    try {
      const page = await pageOf(next);
      people.append(...page.users.map((user) => row(user)));
      next = page.next;
      more.hidden = !next;
    } finally {
      isAsking = false;
    }
  };
  more.addEventListener("click", load);
  whenNear(more, load);
  return [people, h("p", { class: "more-people" }, more)];
}

function showFound(list, found, words) {
  announce(many(found.users.length, "person", "people"));
  if (found.users.length) {
    const rows = found.users.map((user) => row(user, words));
    const cut = found.is_complete === false && h("p", { class: "soft" }, "There may be more: the search ended early. Type more of it.");
    list.replaceChildren(h("ol", { class: "people", "aria-label": "People who were found" }, rows), cut || "");
    return;
  }
  const text = `Nobody has “${visible(words.trim())}” as an ID, a name or an e-mail address.`;
  list.replaceChildren(none(text, found.nearest.length > 0 && h("p", { class: "small soft" }, "Nearest:"), nearest(found.nearest)));
}

/** The few whose name, address or ID is hardly another. */
export function nearest(near = []) {
  if (!near.length) return h("p", { class: "soft" }, "Nothing is near it.");
  const other = (user) => (user.matched && visible(user.matched.text) !== nameOf(user) ? user.matched.text : user.distinct_id);
  return h("ul", { "aria-label": "Nearest" }, near.map((user) =>
    h("li", {}, userLink(user.distinct_id, nameOf(user)), " ", h("span", { class: "id soft" }, shortId(other(user))))));
}

function row(user, words = "") {
  const isNobody = !user.has_user_id && !user.name;
  const label = nameOf(user);
  const hit = user.matched?.text;
  const shown = hit && hit !== user.name ? hit : user.email && user.email !== label ? user.email : user.distinct_id;
  const colours = coloursOf(user.devices);
  const devices = user.devices.slice(0, DEVICES_SHOWN);
  return h("li", {}, h("a", { href: userPath(user.distinct_id) }, avatar(user),
    h("span", {},
      h("span", { class: `who${isNobody ? " nobody" : ""}` }, marked(label, words)),
      // Somebody without a name is called by the ID already.
      shortId(shown) !== label && h("span", { class: "id", title: visible(shown) }, marked(shortId(shown), words))),
    h("span", { class: "devs" },
      devices.map((each) => deviceIcon(each.kind, colours.get(each.distinct_id), !user.has_user_id)),
      h("span", {}, many(user.ids, "ID"))),
    h("span", { class: "n num evs" }, eventsOf(user)),
    h("span", { class: "n num seen" }, user.last_seen_ms !== null && time(user.last_seen_ms, ago(user.last_seen_ms)))));
}

/** The events of a user with very many IDs are not counted. */
const eventsOf = ({ events }) => (events === null ? "very many events" : many(events, "event"));

async function nobodyYet(signal, reload) {
  const { token } = await project();
  const snippet = `mixpanel.init('${token}', {\n  api_host: '${location.origin}',\n});\nmixpanel.track('Hello');`;
  const made = h("div", {}, say("Nobody yet."),
    h("p", { class: "sub" }, "Send the first event from your page or app, and whoever sent it stands here a moment later."),
    h("div", { class: "snippet" }, h("pre", { tabindex: "0" }, visibleLines(snippet)), copyButton(snippet, "the lines")),
    h("p", { class: "soft", role: "status" }, h("span", { class: "beat" }), "Waiting for the first event"));
  const look = setInterval(async () => {
    if (signal.aborted) return clearInterval(look);
    const { users: seen } = await ask("/v1/users", { limit: 1 }).catch(() => ({ users: [] }));
    if (!seen.length || signal.aborted) return undefined;
    clearInterval(look);
    return reload();
  }, FIRST_EVENT_MS);
  return made;
}

const visibleLines = (text) => text.split("\n").map(visible).join("\n");
