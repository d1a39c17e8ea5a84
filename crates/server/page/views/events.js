// The events of a user, newest first: grouped into sessions, older ones on scrolling.

import { ask, latestOnly, pageAfter } from "../lib/api.js";
import { h, none, whenNear } from "../lib/dom.js";
import { GREY, deviceIcon, idText, time, userPath } from "../lib/people.js";
import { clock, day, longDay, shortId, utc, visible, visibleJson } from "../lib/words.js";
import { deviceOf } from "./person.js";
import { readable, telling } from "./telling.js";

const PAGE_EVENTS = 100;
/** So many rows are made in one frame: all of a page would hold up scrolling. */
const PART_EVENTS = 25;
const MINUTE_MS = 60_000;
const SESSION_GAP_MS = 30 * MINUTE_MS;
const FAR = "2000px";
const IDS_IN_LIST = 200;

export async function events(person) {
  const names = await ask("/v1/event-names").catch(() => ({ names: [] }));
  const byName = h("select", { id: "by-name" }, h("option", { value: "" }, "Every event"),
    names.names.map(({ event }) => h("option", { value: event }, visible(event))));
  const byId = h("select", { id: "by-id" }, h("option", { value: "" }, "Every ID"),
    person.members.slice(0, IDS_IN_LIST).map((each) => h("option", { value: each.distinct_id },
      each.device ? `${each.device.label} · ${shortId(each.distinct_id)}` : shortId(each.distinct_id))));
  const out = h("div");
  const asked = new URLSearchParams(location.search);
  choose(byName, asked.get("event"));
  choose(byId, asked.get("id"));
  const draw = latestOnly(async (isLatest) => {
    const list = new EventList(person, { event: byName.value, distinct_id: byId.value });
    out.setAttribute("aria-busy", "true");
    try {
      await list.load();
    } finally {
      if (isLatest()) out.removeAttribute("aria-busy");
    }
    if (isLatest()) out.replaceChildren(list.isEmpty ? nothing(byName, byId, filter) : list.element);
  });
  // Whoever comes back finds the filters as they were.
  const filter = () => {
    const chosen = new URLSearchParams();
    if (byName.value) chosen.set("event", byName.value);
    if (byId.value) chosen.set("id", byId.value);
    history.replaceState(null, "", `${location.pathname}${chosen.size ? `?${chosen}` : ""}`);
    return draw();
  };
  byName.addEventListener("change", filter);
  byId.addEventListener("change", filter);
  await draw();
  return h("div", {}, h("div", { class: "filters" },
    h("div", {}, h("label", { for: "by-name" }, "Event"), byName),
    h("div", {}, h("label", { for: "by-id" }, "ID"), byId)), out);
}

/** Chooses what an address names, which need not be in the list. */
function choose(list, value) {
  if (!value) return;
  if (![...list.options].some((option) => option.value === value)) list.append(h("option", { value }, shortId(value)));
  list.value = value;
}

function nothing(byName, byId, filter) {
  if (!byName.value && !byId.value) return none("There is no event of theirs.");
  const all = h("button", { class: "text", type: "button", onclick: () => {
    byName.value = "";
    byId.value = "";
    // The button goes away with the sentence.
    byName.focus();
    filter();
  } }, "Show all events");
  return none("No event of theirs is like that.", h("p", { class: "small" }, all));
}

/**
 * Parts of the list of events. A part that is far from what is visible is taken out of the document, and its height is
 * kept, so that 100,000 events scroll like a hundred. A frame fills one part.
 */
class EventList {
  constructor(person, filter) {
    this.person = person;
    this.filter = filter;
    this.next = null;
    this.isEmpty = true;
    this.lastSession = null;
    this.parts = h("div");
    this.foot = h("p", { class: "soft end" });
    this.element = h("div", {}, this.parts, this.foot);
    this.wanted = new Set();
    this.near = new IntersectionObserver((seen) => seen.forEach((each) => this.turn(each)), { rootMargin: FAR });
    this.isAsking = false;
  }

  async load() {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      const query = { ...this.filter, limit: PAGE_EVENTS };
      const page = await pageAfter(this.next, `/v1/users/${this.person.path}/events`, query, ({ events }) => events);
      this.next = page.next;
      for (let at = 0; at < page.events.length; at += PART_EVENTS) {
        if (at > 0) await nextFrame();
        this.append(page.events.slice(at, at + PART_EVENTS));
      }
      this.end();
    } finally {
      this.isAsking = false;
    }
  }

  append(events) {
    this.isEmpty = false;
    const sessions = sessionsOf(this.person, events, this.lastSession);
    this.lastSession = sessions.at(-1);
    const part = h("div", { class: "part" });
    part.make = () => sessions.map((each) => block(this.person, each));
    part.append(...part.make());
    this.parts.append(part);
    this.near.observe(part);
  }

  /** Empties a part that is far away, and fills one that comes near, in a frame of its own. */
  turn({ target, isIntersecting, boundingClientRect }) {
    if (!isIntersecting) {
      this.wanted.delete(target);
      if (target.dataset.far || target.contains(document.activeElement)) return;
      target.style.height = `${boundingClientRect.height}px`;
      target.dataset.far = "1";
      target.replaceChildren();
    } else if (target.dataset.far) {
      this.wanted.add(target);
      if (this.wanted.size === 1) this.fill();
    }
  }

  async fill() {
    while (this.wanted.size) {
      await nextFrame();
      const part = nearest([...this.wanted]);
      if (!part) return;
      this.wanted.delete(part);
      delete part.dataset.far;
      part.style.height = "";
      part.append(...part.make());
    }
  }

  end() {
    this.watch?.disconnect();
    if (this.next) {
      const more = h("button", { type: "button", onclick: () => this.load() }, "Older events");
      this.foot.replaceChildren(more);
      this.watch = whenNear(more, () => this.load(), "1500px");
      return;
    }
    const { first_seen_ms: first } = this.person;
    const isAll = !this.filter.event && !this.filter.distinct_id;
    this.foot.textContent = isAll && first !== null ? `That is everything since ${day(first)}.` : "That is everything.";
  }
}

const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

/** The part that is nearest to the middle of the window: somebody may have jumped to it. */
function nearest(parts) {
  const middle = innerHeight / 2;
  const away = (part) => {
    const { top, bottom } = part.getBoundingClientRect();
    return Math.max(top - middle, middle - bottom);
  };
  return parts.map((part) => [part, away(part)]).sort(([, a], [, b]) => a - b)[0]?.[0];
}

/** Events in sessions, newest first: of one device, with no pause of half an hour. */
function sessionsOf(person, events, last) {
  const sessions = [];
  for (const each of events) {
    const device = deviceOf(person, each);
    const session = sessions.at(-1) ?? last;
    const isSame = session && session.device === device && session.start_ms - each.time_ms < SESSION_GAP_MS;
    if (sessions.length && isSame) {
      session.events.push(each);
      session.start_ms = each.time_ms;
    } else {
      // A session that began in the part before goes on without a second heading.
      const before = isSame ? session : null;
      sessions.push({ device, start_ms: each.time_ms, end_ms: each.time_ms, events: [each], before });
    }
  }
  return sessions;
}

function block(person, session) {
  const member = person.byId.get(session.device);
  const colour = person.colours.get(session.device) ?? GREY;
  const isAnonymous = (each) => each.distinct_id === session.device;
  const known = session.events.filter((each) => !isAnonymous(each));
  const before = session.events.filter(isAnonymous);
  const list = (events, isAnon) => events.length > 0 && h("ol", { class: `events${isAnon ? " anon" : ""}`, "--c": colour },
    events.map((each) => row(person, each)));
  const length = lengthOf(session.end_ms - session.start_ms);
  const words = known.length ? "Before the log-in, when nobody knew who it was. " : "Nobody was logged in. ";
  const isSaid = Boolean(session.before?.events.some(isAnonymous));
  return h("section", { class: `session${session.before ? " goes-on" : ""}` },
    !session.before && h("header", {},
      h("h2", { class: "num" }, time(session.start_ms, `${longDay(session.start_ms)}, ${clock(session.start_ms)}`)),
      h("span", { class: "soft" }, deviceIcon(member?.device?.kind ?? "unknown", colour, known.length === 0), ` ${labelOf(session, member)}${length}`)),
    list(known, false),
    before.length > 0 && !isSaid && h("p", { class: "small soft", "--c": colour }, words,
      before.some((each) => each.is_reattributed) && h("a", { href: userPath(person.distinct_id, "identity") }, `Counted as ${shortId(person.distinct_id)} since.`)),
    list(before, true));
}

/** What the device is: of a device that is somebody else's, what its event says. */
function labelOf({ device, events }, member) {
  if (member?.device) return member.device.label;
  const { $browser: browser, $device: model, $os: system } = events[0].event.properties;
  const words = [browser, model ?? system].filter((each) => typeof each === "string" && each);
  if (words.length) return visible(words.join(" on ").replace(/^Mobile /, "").replace("Mac OS X", "Mac"));
  return device ? shortId(device) : "No device";
}

function lengthOf(ms) {
  const minutes = Math.round(ms / MINUTE_MS);
  if (!minutes) return "";
  return minutes < 60 ? ` · ${minutes} min` : ` · ${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const IDENTITY = new Set(["$identify", "$create_alias", "$merge"]);

function row(person, each) {
  const { event: name, properties } = each.event;
  const failed = typeof properties.$failure_reason === "string" || typeof properties.$identity_failure_reason === "string";
  const kind = failed ? "turned-down" : IDENTITY.has(name) ? "names-them" : null;
  const details = h("details", {},
    h("summary", {}, time(each.time_ms, clock(each.time_ms)), h("span", { class: "name" }, visible(name)),
      h("span", { class: "tell" }, telling(properties))));
  // Most events are never opened, so what they open to is made when they are.
  details.addEventListener("toggle", () => details.open && details.children.length < 2 && details.append(more(each)));
  return h("li", { class: kind }, details);
}

function more({ event, distinct_id: own, time_ms: ms, source }) {
  const { properties } = event;
  const pair = (name, ...value) => [h("dt", {}, name), h("dd", {}, value)];
  const reason = properties.$identity_failure_reason ?? properties.$failure_reason;
  return h("div", { class: "more" },
    h("dl", { class: "pairs" },
      reason && pair("Not joined", visible(String(reason))),
      readable(properties).filter(([, name]) => !/^\$(identity_)?failure/.test(name))
        .map(([title, , value]) => pair(title, value !== null && typeof value === "object" ? visible(JSON.stringify(value)) : visible(String(value)))),
      pair("Came as", idText(own)), pair("Counted as", idText(String(properties.distinct_id ?? own))),
      pair("Came by", visible(source)), pair("Time in UTC", utc(ms))),
    h("details", {}, h("summary", { class: "small" }, "As it was sent"), h("pre", { tabindex: "0" }, visibleJson(event))));
}

