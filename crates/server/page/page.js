// The page of the idmerge server. All data that it shows comes from untrusted senders: IDs, event
// names, properties. So it only sets text, and never builds HTML from data.
"use strict";

const PAGE_EVENTS = 50;
// The most IDs that a drawing can show clearly. The list below it has all of them.
const DRAWN_MAX = 60;
const DEVICE = "$device:";

const at = (id) => document.getElementById(id);

/** Creates an element with attributes and children. Strings become text nodes. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The same for SVG. */
function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const idText = (id) => element("bdi", { class: "id" }, visible(id));

/** Escapes invisible characters, so that an ID cannot reorder or hide the text around it. */
function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

/** The same for JSON, except for its line breaks. */
const visibleJson = (value) => JSON.stringify(value, null, 2).split("\n").map(visible).join("\n");

function shortened(text) {
  const chars = Array.from(visible(text));
  return chars.length <= 22 ? chars.join("") : `${chars.slice(0, 13).join("")}…${chars.slice(-8).join("")}`;
}

// --- Requests to the server ---

/** A request that failed, with a message for the user. */
class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function authorization() {
  const secret = at("credential").value;
  const pair = secret.includes(":") ? secret : `${secret}:`;
  const bytes = new TextEncoder().encode(pair);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

async function ask(path, query = []) {
  if (!at("credential").value) {
    at("credential").focus();
    throw new Problem("Enter the secret first, at the top of the page.");
  }
  const parameters = new URLSearchParams(query);
  const project = at("project").value.trim();
  if (project) parameters.append("project_id", project);
  let response;
  try {
    response = await fetch(`${path}?${parameters}`, {
      headers: { Authorization: authorization(), Accept: "application/json" },
      // Otherwise the browser opens its own login window if the secret is wrong.
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Problem("The server does not answer. Is it still running?");
  }
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = { error: text };
  }
  if (response.ok) return answer;
  throw new Problem(messageFor(response.status, answer?.error), response.status);
}

function messageFor(status, error) {
  const message = typeof error === "string" && error ? error.trim() : "";
  if (status === 401 || status === 403) return `This secret does not give access to a project. ${message}`.trim();
  if (status === 429) return "The server is busy. Try again in a moment.";
  return message || `The server answered with status ${status} and no message.`;
}

/** An ID as a segment of a path. */
function inPath(id) {
  try {
    return encodeURIComponent(id);
  } catch {
    throw new Problem("This ID is not valid text: it contains half of a character.");
  }
}

function setStatus(field, text, isProblem = false) {
  field.textContent = text;
  field.classList.toggle("problem", isProblem && text !== "");
}

/** Runs an action when a form is submitted. Its buttons are disabled meanwhile, and an error is shown in `status`. */
function onSubmit(form, status, action) {
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    setStatus(status, "…");
    try {
      setStatus(status, (await action()) ?? "");
    } catch (error) {
      setStatus(status, error.message, true);
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  });
}

// --- One person ---

async function showPerson() {
  const id = at("id").value;
  at("person").hidden = true;
  const path = inPath(id);
  const identity = await ask(`/v1/ids/${path}`);
  const [story, profile, feed] = await Promise.all([
    ask(`/v1/ids/${path}`, [["explain", "true"]]),
    // A user without a profile is not an error.
    ask(`/v1/users/${path}/profile`).catch((error) => {
      if (error.status === 404) return null;
      throw error;
    }),
    ask(`/v1/users/${path}/events`, [["limit", PAGE_EVENTS]]),
  ]);
  showCluster(identity, story.explanation);
  showClaims(story);
  showProfile(profile);
  showTimeline(path, feed);
  at("person").hidden = false;
  history.replaceState(null, "", `#id=${path}`);
  document.title = `${shortened(id)} · idmerge`;
}

function showCluster({ distinct_id: canonical, asked, members, next, did_you_mean: meant }, explanation) {
  const words = at("cluster-words");
  if (meant) {
    words.replaceChildren(idText(canonical), " is in no cluster, but ", idText(meant), " is.");
  } else if (members.length < 2) {
    words.replaceChildren(idText(canonical), " is in no cluster. No claim connects it with another ID.");
  } else {
    const many = next ? `More than ${members.length}` : members.length;
    words.replaceChildren(`${many} IDs are one user. Events count under `, idText(canonical), ".");
    if (next) words.append(` The first ${members.length} are shown.`);
  }
  const joins = explanation.filter((entry) => entry.answer === "merged" && !entry.withdrawn);
  at("drawing").replaceChildren(drawing(canonical, members, joins, asked));
  at("members").replaceChildren(
    ...members.map((member) =>
      element("li", {}, idText(member),
        member === canonical ? " (canonical)" : "",
        member === asked && asked !== canonical ? " (looked up)" : "")),
  );
}

/**
 * The position of each ID: the canonical one in the center, every other on the ring given by the
 * number of claims between the two. The angle of a branch is proportional to its number of leaves.
 */
function layout(canonical, members, joins) {
  const neighbors = new Map(members.map((member) => [member, []]));
  for (const join of joins) {
    const [a, b] = idsOf(join);
    if (!neighbors.has(a) || !neighbors.has(b) || a === b) continue;
    neighbors.get(a).push(b);
    neighbors.get(b).push(a);
  }
  const children = new Map([[canonical, []]]);
  const order = [canonical];
  const reach = (member, parent) => {
    if (children.has(member) || order.length >= DRAWN_MAX) return;
    children.set(member, []);
    children.get(parent).push(member);
    order.push(member);
  };
  for (let next = 0; next < order.length; next += 1) {
    for (const member of neighbors.get(order[next]) ?? []) reach(member, order[next]);
  }
  // IDs that no listed claim connects are shown next to the canonical one.
  for (const member of members) reach(member, canonical);

  const leaves = new Map();
  for (const member of order.toReversed()) {
    const sum = children.get(member).reduce((all, child) => all + leaves.get(child), 0);
    leaves.set(member, Math.max(sum, 1));
  }
  const ring = Math.max(130, (leaves.get(canonical) * 30) / (2 * Math.PI));
  const positions = new Map([[canonical, { x: 0, y: 0, angle: -Math.PI / 2, ring: 0, from: -Math.PI / 2, wide: 2 * Math.PI }]]);
  for (const member of order) {
    const parent = positions.get(member);
    let { from } = parent;
    for (const child of children.get(member)) {
      const wide = (parent.wide * leaves.get(child)) / leaves.get(member);
      const angle = from + wide / 2;
      const distance = parent.ring + 1;
      // Stretch horizontally, because labels are wide.
      const x = Math.cos(angle) * ring * distance * 1.15;
      positions.set(child, { x, y: Math.sin(angle) * ring * distance * 0.85, angle, ring: distance, from, wide });
      from += wide;
    }
  }
  return positions;
}

function drawing(canonical, members, joins, asked) {
  const positions = layout(canonical, members, joins);
  const edges = [];
  const badges = [];
  for (const join of joins) {
    const [from, to] = idsOf(join).map((id) => positions.get(id));
    if (!from || !to || from === to) continue;
    edges.push(drawn("line", { class: "edge", x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
    // Place the number near the outer end: further in, the lines are close together.
    const [inner, outer] = from.ring < to.ring ? [from, to] : [to, from];
    const [x, y] = ["x", "y"].map((axis) => inner[axis] + (outer[axis] - inner[axis]) * 0.6);
    const number = String(join.sequence);
    const wide = 12 + number.length * 7;
    badges.push(
      drawn("g", {},
        drawn("rect", { class: "badge", x: x - wide / 2, y: y - 10, width: wide, height: 20, rx: 10 }),
        drawn("text", { class: "badge-text", x, y }, number)),
    );
  }
  const nodes = [];
  const bounds = { left: -60, right: 60, top: -40, bottom: 40 };
  for (const [member, position] of positions) {
    const kind = member === canonical ? "canonical" : member.startsWith(DEVICE) ? "device" : "";
    const classes = `node ${kind} ${member === asked ? "asked" : ""}`;
    const size = member === canonical ? 13 : 9;
    const shape = kind === "device"
      ? drawn("rect", { class: classes, x: position.x - size, y: position.y - size, width: 2 * size, height: 2 * size, rx: 3 })
      : drawn("circle", { class: classes, cx: position.x, cy: position.y, r: size });
    const label = shortened(member);
    const side = Math.cos(position.angle);
    // The label is to the left or right of a node at the sides, and above or below any other.
    const anchor = side > 0.35 ? "start" : side < -0.35 ? "end" : "middle";
    const x = position.x + (anchor === "start" ? size + 6 : anchor === "end" ? -size - 6 : 0);
    const y = position.y + (anchor === "middle" ? (Math.sin(position.angle) < 0 ? -size - 7 : size + 17) : 4.5);
    const long = label.length * 7.9;
    const left = anchor === "start" ? x : anchor === "end" ? x - long : x - long / 2;
    bounds.left = Math.min(bounds.left, left - 8);
    bounds.right = Math.max(bounds.right, left + long + 8);
    bounds.top = Math.min(bounds.top, y - 18, position.y - 18);
    bounds.bottom = Math.max(bounds.bottom, y + 10, position.y + 18);
    nodes.push(
      drawn("g", { "data-id": member },
        drawn("title", {}, visible(member)),
        shape,
        drawn("text", { class: "label-back", x, y, "text-anchor": anchor }, label)),
    );
  }
  const { left, right, top, bottom } = bounds;
  const hidden = members.length - positions.size;
  const title = `The cluster of ${visible(canonical)}: ${positions.size} IDs and the claims that merged them`;
  const picture = drawn("svg", { role: "img", viewBox: `${left} ${top} ${right - left} ${bottom - top}`, "aria-label": title },
    ...edges, ...badges, ...nodes);
  // Keep a small cluster from being enlarged to the width of a large one.
  picture.style.maxWidth = `${Math.max(right - left, 280) * 1.25}px`;
  if (hidden === 0) return picture;
  const more = element("p", { class: "help" }, `${hidden} more IDs are not drawn. The list below has all of them.`);
  const both = new DocumentFragment();
  both.append(picture, more);
  return both;
}

const KINDS = {
  link: "Device and user on one event",
  identify: "$identify",
  alias: "$create_alias",
  merge: "$merge",
};

/** The names of the two IDs of each kind of claim. */
const ROLES = {
  link: ["device", "user"],
  identify: ["identified", "anon"],
  alias: ["distinct_id", "alias"],
  merge: ["first", "second"],
};

/** The two IDs of a claim. An entry of the log has a device without its mark. */
function idsOf(entry) {
  return ROLES[entry.claim].map((role) => (role === "device" ? DEVICE : "") + entry[role]);
}

const ANSWERS = {
  merged: "merged",
  "already merged": "no change: already merged",
  ignored: "ignored",
  errSameIDs: "rejected: it names one ID twice",
  errAnonDistinctIdNonGUIDForm: "rejected: the anonymous ID does not have the required form",
  errAnonDistinctIdAssignedAlready: "rejected: the device or anonymous ID belongs to another user",
  errAliasAlreadyExists: "rejected: the alias belongs to another user",
  errManyIDs: "rejected: the merged cluster would have too many IDs",
};

const isRejected = (entry) => entry.answer.startsWith("err");

function showClaims({ explanation: entries, next }) {
  const rejected = entries.filter(isRejected).length;
  at("claims-words").textContent =
    entries.length === 0
      ? "No claim names any of these IDs."
      : `In arrival order${rejected ? `; ${rejected} rejected` : ""}.${next ? " There are more." : ""}`;
  at("claims").replaceChildren(...entries.map(claimItem));
}

function claimItem(entry) {
  const [first, second] = idsOf(entry);
  const claim = element("p", {}, `${KINDS[entry.claim]} `, idText(first), " and ", idText(second));
  const answer = entry.withdrawn ? "withdrawn" : (ANSWERS[entry.answer] ?? entry.answer);
  const outcome = element("p", {}, element("span", { class: "outcome" }, answer));
  if (isRejected(entry)) outcome.append(` (${[entry.answer, entry.description].filter(Boolean).map(visible).join(": ")})`);
  const origin = element("p", { class: "help" });
  if (entry.time_ms !== undefined) origin.append(moment(entry.time_ms), " ");
  if (entry.source) origin.append(`by ${visible(entry.source)} `);
  if (entry.insert_id) origin.append("as ", idText(entry.insert_id));
  const classes = [isRejected(entry) ? "rejected" : "", entry.withdrawn ? "withdrawn" : ""];
  return element("li", { class: classes.join(" ").trim() },
    element("span", { class: "number" }, String(entry.sequence)),
    element("div", {}, claim, outcome, origin));
}

function showProfile(profile) {
  const properties = Object.entries(profile?.properties ?? {});
  at("profile-words").textContent = properties.length === 0 ? "This user has no profile." : "";
  at("profile").replaceChildren(
    ...properties.flatMap(([name, value]) => [
      element("dt", {}, visible(name)),
      element("dd", {}, visible(typeof value === "string" ? value : JSON.stringify(value))),
    ]),
  );
}

// --- The timeline ---

const DAY = new Intl.DateTimeFormat("en", { dateStyle: "full", timeZone: "UTC" });

function date(ms) {
  const found = new Date(ms);
  return Number.isNaN(found.getTime()) ? null : found;
}

function moment(ms, isTimeOnly = false) {
  const found = date(ms);
  if (!found) return element("span", {}, "invalid time");
  const text = found.toISOString();
  const shown = isTimeOnly ? text.slice(-13, -1) : text.replace("T", " ").replace(/\.\d+Z$/, " UTC");
  return element("time", { datetime: text }, shown);
}

// The next page of the timeline. `showOlder` checks it, so that events of another user are never added.
let older = null;
let shown = { day: "", events: 0, reattributed: 0 };

function showTimeline(path, feed) {
  at("timeline").replaceChildren();
  shown = { day: "", events: 0, reattributed: 0 };
  addEvents(path, feed);
}

function addEvents(path, feed) {
  for (const event of feed.events) {
    const found = date(event.time_ms);
    const day = found ? DAY.format(found) : "";
    if (day !== shown.day) at("timeline").append(element("li", { class: "day" }, day));
    shown.day = day;
    shown.events += 1;
    shown.reattributed += event.is_reattributed ? 1 : 0;
    at("timeline").append(eventItem(event));
  }
  older = feed.next ? { path, after: feed.next } : null;
  at("older").hidden = older === null;
  const count = (number) => `${number} ${number === 1 ? "event" : "events"}`;
  setStatus(at("timeline-words"), shown.events === 0
    ? "These IDs have no events."
    : `${count(shown.events)}${older ? " so far" : ""}, newest first, times in UTC. ` +
      `${shown.reattributed} recorded under another ID and re-attributed.`);
}

function eventItem(event) {
  const summary = element("summary", {},
    moment(event.time_ms, true),
    element("span", { class: "name" }, visible(event.event?.event ?? "")));
  if (event.is_reattributed) {
    summary.append(element("span", { class: "reattributed" }, "re-attributed: recorded as ", idText(event.distinct_id)));
  } else {
    summary.append(element("span", { class: "own" }, "as ", idText(event.distinct_id)));
  }
  const failure = event.event?.properties?.$failure_reason ?? event.event?.properties?.$identity_failure_reason;
  if (failure) summary.append(element("span", { class: "problem" }, visible(failure)));
  const text = element("pre", {}, visibleJson(event.event));
  return element("li", { class: "event" }, element("details", {}, summary, text));
}

async function showOlder() {
  const wanted = older;
  if (!wanted) return;
  at("older").disabled = true;
  try {
    const feed = await ask(`/v1/users/${wanted.path}/events`, [["limit", PAGE_EVENTS], ["after", wanted.after]]);
    if (older === wanted) addEvents(wanted.path, feed);
  } catch (error) {
    setStatus(at("timeline-words"), error.message, true);
  } finally {
    at("older").disabled = false;
  }
}

// --- The funnel ---

async function showFunnel() {
  const names = at("steps").value.split("\n").map((name) => name.replace(/\r$/, "")).filter((name) => name.trim() !== "");
  at("funnel").replaceChildren();
  at("funnel-legend").hidden = true;
  const { steps } = await ask("/v1/funnel", [["steps", JSON.stringify(names)], ["window_days", at("window").value]]);
  const largest = Math.max(1, ...steps.flatMap((step) => [step.users, step.users_without_merge]));
  at("funnel").replaceChildren(...steps.map((step) => stepItem(step, steps[0], largest)));
  at("funnel-legend").hidden = steps.length === 0;
  const last = steps.at(-1);
  if (!last || steps[0].users === 0) return "No user did the first step.";
  return `With ID merge, ${share(last.users, steps[0].users)} of users complete the funnel; ` +
    `without it, ${share(last.users_without_merge, steps[0].users_without_merge)}.`;
}

const share = (part, all) => (all === 0 ? "none" : `${((100 * part) / all).toFixed(1).replace(/\.0$/, "")} %`);

function stepItem(step, first, largest) {
  const way = (users, all, kind, words) => {
    const fill = element("span", { class: `fill ${kind}` });
    fill.style.width = `${(100 * users) / largest}%`;
    return element("div", { class: "way" },
      element("span", { class: "track", "aria-hidden": "true" }, fill),
      element("span", { class: "figure" },
        element("span", { class: "hidden" }, words),
        `${users} (${share(users, all)})`));
  };
  return element("li", {},
    element("span", { class: "name" }, visible(step.event)),
    element("div", { class: "bars" },
      way(step.users, first.users, "canonical", "with ID merge: "),
      way(step.users_without_merge, first.users_without_merge, "", "without ID merge: ")));
}

// --- Start ---

const KEPT = { credential: "idmerge.credential", project: "idmerge.project" };

function keep() {
  for (const [field, key] of Object.entries(KEPT)) sessionStorage.setItem(key, at(field).value);
}

for (const [field, key] of Object.entries(KEPT)) at(field).value = sessionStorage.getItem(key) ?? "";

at("credential-form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  keep();
  at("id").focus();
});
at("forget").addEventListener("click", () => {
  for (const [field, key] of Object.entries(KEPT)) {
    sessionStorage.removeItem(key);
    at(field).value = "";
  }
  // Also remove the data that the secret gave access to.
  at("person").hidden = true;
  at("drawing").replaceChildren();
  for (const list of ["members", "claims", "profile", "timeline", "funnel"]) at(list).replaceChildren();
  at("funnel-legend").hidden = true;
  for (const status of ["look-status", "funnel-status"]) setStatus(at(status), "");
  older = null;
  history.replaceState(null, "", location.pathname);
  document.title = "idmerge";
  at("credential").focus();
});

onSubmit(at("look-form"), at("look-status"), async () => {
  await showPerson();
  keep();
});
onSubmit(at("funnel-form"), at("funnel-status"), async () => {
  const words = await showFunnel();
  keep();
  return words;
});
at("older").addEventListener("click", showOlder);

/** Shows the ID in the address, if the tab has the secret. */
function showIdOfAddress() {
  const found = /^#id=(.*)$/.exec(location.hash);
  if (!found) return;
  try {
    at("id").value = decodeURIComponent(found[1]);
  } catch {
    return;
  }
  if (at("credential").value) at("look-form").requestSubmit();
}
addEventListener("hashchange", showIdOfAddress);
showIdOfAddress();
