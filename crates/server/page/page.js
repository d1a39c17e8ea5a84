// The page of idmerge's server. An ID, the name of an event and everything else that it shows was
// sent by somebody, so text only ever becomes text: no markup is made of it anywhere.
"use strict";

const PAGE_EVENTS = 50;
// What a drawing can still show. The list beside it has all of them.
const DRAWN_MAX = 60;
const DEVICE = "$device:";

const at = (id) => document.getElementById(id);

/** An element with its attributes and what is in it; texts become text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const idText = (id) => element("bdi", { class: "id" }, visible(id));

/** An ID as text that can be seen: no character of it reorders or hides what is around it. */
function visible(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

/** The same for JSON, whose ends of lines are to be seen as such. */
const visibleJson = (value) => JSON.stringify(value, null, 2).split("\n").map(visible).join("\n");

function shortened(text) {
  const chars = Array.from(visible(text));
  return chars.length <= 22 ? chars.join("") : `${chars.slice(0, 13).join("")}…${chars.slice(-8).join("")}`;
}

// --- Asking the server ---

/** What the server, or the way to it, says against a request. */
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
    throw new Problem("Say the secret first, at the top.");
  }
  const words = new URLSearchParams(query);
  const project = at("project").value.trim();
  if (project) words.append("project_id", project);
  let response;
  try {
    response = await fetch(`${path}?${words}`, {
      headers: { Authorization: authorization(), Accept: "application/json" },
      // The browser must not put a window of its own over ours where a secret is wrong.
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
  throw new Problem(wordsFor(response.status, answer?.error), response.status);
}

function wordsFor(status, error) {
  const said = typeof error === "string" && error ? error.trim() : "";
  if (status === 401 || status === 403) return `This secret opens no project here. ${said}`.trim();
  if (status === 429) return "The server has too much to do. Try again in a moment.";
  return said || `The server answered with ${status} and nothing else.`;
}

/** An ID as a part of a path, where the server reads it back byte for byte. */
function inPath(id) {
  try {
    return encodeURIComponent(id);
  } catch {
    throw new Problem("This is no text: it has half a character in it.");
  }
}

function say(place, text, isProblem = false) {
  place.textContent = text;
  place.classList.toggle("problem", isProblem && text !== "");
}

/** Runs what a form asks for: one at a time, and what goes wrong is said where it was asked. */
function onSubmit(form, status, action) {
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    say(status, "…");
    try {
      say(status, (await action()) ?? "");
    } catch (error) {
      say(status, error.message, true);
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
  const identity = await ask(`/v1/ids/${path}`, [["explain", "true"]]);
  const [profile, feed] = await Promise.all([
    // An ID that has no profile is no mistake.
    ask(`/v1/users/${path}/profile`).catch((error) => {
      if (error.status === 404) return null;
      throw error;
    }),
    ask(`/v1/users/${path}/events`, [["limit", PAGE_EVENTS]]),
  ]);
  showCluster(identity);
  showClaims(identity.explanation);
  showProfile(profile);
  showTimeline(path, feed);
  at("person").hidden = false;
  history.replaceState(null, "", `#id=${path}`);
  document.title = `${shortened(id)} · idmerge`;
}

function showCluster({ distinct_id: canonical, asked, members, explanation }) {
  const words = at("cluster-words");
  if (members.length < 2) {
    words.replaceChildren(idText(canonical), " is in no cluster: nothing says that it is anybody else.");
  } else {
    words.replaceChildren(`${members.length} IDs are one user. Events count under `, idText(canonical), ".");
  }
  const joins = explanation.filter((claim) => claim.answer === "merged" && !claim.is_withdrawn);
  at("drawing").replaceChildren(drawing(canonical, members, joins, asked));
  at("members").replaceChildren(
    ...members.map((member) =>
      element("li", {}, idText(member),
        member === canonical ? " (canonical)" : "",
        member === asked && asked !== canonical ? " (asked about)" : "")),
  );
}

/**
 * A place for each ID: the canonical one in the middle, and each other as many rings out as there
 * are claims between the two. A branch gets room by how many ends it has.
 */
function places(canonical, members, joins) {
  const near = new Map(members.map((member) => [member, []]));
  for (const join of joins) {
    const [a, b] = join.ids;
    if (!near.has(a) || !near.has(b) || a === b) continue;
    near.get(a).push(b);
    near.get(b).push(a);
  }
  const under = new Map([[canonical, []]]);
  const order = [canonical];
  const reach = (member, parent) => {
    if (under.has(member) || order.length >= DRAWN_MAX) return;
    under.set(member, []);
    under.get(parent).push(member);
    order.push(member);
  };
  for (let next = 0; next < order.length; next += 1) {
    for (const member of near.get(order[next]) ?? []) reach(member, order[next]);
  }
  // Whom no claim reaches that is told of is shown all the same.
  for (const member of members) reach(member, canonical);

  const ends = new Map();
  for (const member of order.toReversed()) {
    const sum = under.get(member).reduce((all, child) => all + ends.get(child), 0);
    ends.set(member, Math.max(sum, 1));
  }
  const ring = Math.max(130, (ends.get(canonical) * 30) / (2 * Math.PI));
  const found = new Map([[canonical, { x: 0, y: 0, angle: -Math.PI / 2, ring: 0, from: -Math.PI / 2, wide: 2 * Math.PI }]]);
  for (const member of order) {
    const place = found.get(member);
    let { from } = place;
    for (const child of under.get(member)) {
      const wide = (place.wide * ends.get(child)) / ends.get(member);
      const angle = from + wide / 2;
      const away = place.ring + 1;
      // Wider than high, since a label is.
      const x = Math.cos(angle) * ring * away * 1.15;
      found.set(child, { x, y: Math.sin(angle) * ring * away * 0.85, angle, ring: away, from, wide });
      from += wide;
    }
  }
  return found;
}

function drawing(canonical, members, joins, asked) {
  const found = places(canonical, members, joins);
  const edges = [];
  const badges = [];
  for (const join of joins) {
    const [from, to] = join.ids.map((id) => found.get(id));
    if (!from || !to || from === to) continue;
    edges.push(drawn("line", { class: "edge", x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
    // Nearer to the outer end, since further in the lines lie close together.
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
  for (const [member, place] of found) {
    const kind = member === canonical ? "canonical" : member.startsWith(DEVICE) ? "device" : "";
    const classes = `node ${kind} ${member === asked ? "asked" : ""}`;
    const size = member === canonical ? 13 : 9;
    const shape = kind === "device"
      ? drawn("rect", { class: classes, x: place.x - size, y: place.y - size, width: 2 * size, height: 2 * size, rx: 3 })
      : drawn("circle", { class: classes, cx: place.x, cy: place.y, r: size });
    const label = shortened(member);
    const side = Math.cos(place.angle);
    // Beside a node on the left or the right, and above or below any other.
    const anchor = side > 0.35 ? "start" : side < -0.35 ? "end" : "middle";
    const x = place.x + (anchor === "start" ? size + 6 : anchor === "end" ? -size - 6 : 0);
    const y = place.y + (anchor === "middle" ? (Math.sin(place.angle) < 0 ? -size - 7 : size + 17) : 4.5);
    const long = label.length * 7.9;
    const left = anchor === "start" ? x : anchor === "end" ? x - long : x - long / 2;
    bounds.left = Math.min(bounds.left, left - 8);
    bounds.right = Math.max(bounds.right, left + long + 8);
    bounds.top = Math.min(bounds.top, y - 18, place.y - 18);
    bounds.bottom = Math.max(bounds.bottom, y + 10, place.y + 18);
    nodes.push(
      drawn("g", { "data-id": member },
        drawn("title", {}, visible(member)),
        shape,
        drawn("text", { class: "label-back", x, y, "text-anchor": anchor }, label)),
    );
  }
  const { left, right, top, bottom } = bounds;
  const left_out = members.length - found.size;
  const title = `The cluster of ${visible(canonical)}: ${found.size} IDs and the claims that joined them`;
  const picture = drawn("svg", { role: "img", viewBox: `${left} ${top} ${right - left} ${bottom - top}`, "aria-label": title },
    ...edges, ...badges, ...nodes);
  // A drawing of two is not drawn larger than one of ten.
  picture.style.maxWidth = `${Math.max(right - left, 280) * 1.25}px`;
  if (left_out === 0) return picture;
  const more = element("p", { class: "help" }, `${left_out} more are in the list below and not drawn.`);
  const both = new DocumentFragment();
  both.append(picture, more);
  return both;
}

const KINDS = {
  link: "Device and user on one event",
  identify: "$identify",
  alias: "$create_alias",
  merge: "$merge",
  retracted: "A claim was withdrawn",
  replaced: "The log was replaced",
};

const ANSWERS = {
  merged: "joined them",
  "already merged": "changed nothing: they were one already",
  ignored: "was ignored",
  errSameIDs: "was turned down: it names one ID twice",
  errAnonDistinctIdNonGUIDForm: "was turned down: the anonymous ID is no UUIDv4",
  errAnonDistinctIdAssignedAlready: "was turned down: the device or anonymous ID belongs to another user",
  errAliasAlreadyExists: "was turned down: the alias is another user's",
  errManyIDs: "was turned down: together they would have too many IDs",
};

function showClaims(claims) {
  const rejected = claims.filter((claim) => claim.answer.startsWith("err")).length;
  at("claims-words").textContent =
    claims.length === 0
      ? "No claim names one of these IDs."
      : `In the order in which they came${rejected ? `; ${rejected} turned down` : ""}.`;
  at("claims").replaceChildren(...claims.map(claimItem));
}

function claimItem(claim) {
  const what = element("p", {}, `${KINDS[claim.kind] ?? claim.kind} `);
  claim.ids.forEach((id, place) => what.append(place > 0 ? " and " : "", idText(id)));
  const answer = ANSWERS[claim.answer] ?? claim.answer;
  const outcome = element("p", {}, element("span", { class: "outcome" }, claim.is_withdrawn ? "was withdrawn" : answer));
  if (claim.answer.startsWith("err")) outcome.append(` (${[claim.answer, claim.description].filter(Boolean).map(visible).join(": ")})`);
  const origin = element("p", { class: "help" });
  if (claim.time_ms !== null && claim.time_ms !== undefined) origin.append(moment(claim.time_ms), " ");
  if (claim.source) origin.append(`by ${visible(claim.source)} `);
  if (claim.insert_id) origin.append("as ", idText(claim.insert_id));
  const classes = [claim.answer.startsWith("err") ? "rejected" : "", claim.is_withdrawn ? "withdrawn" : ""];
  return element("li", { class: classes.join(" ").trim() },
    element("span", { class: "number" }, String(claim.sequence)),
    element("div", {}, what, outcome, origin));
}

function showProfile(profile) {
  const properties = Object.entries(profile?.properties ?? {});
  at("profile-words").textContent = properties.length === 0 ? "Nothing is known of this user." : "";
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
  if (!found) return element("span", {}, "at no time there is");
  const text = found.toISOString();
  const shown = isTimeOnly ? text.slice(-13, -1) : text.replace("T", " ").replace(/\.\d+Z$/, " UTC");
  return element("time", { datetime: text }, shown);
}

// What the button for older events asks for. Another person's page must not be added to this one.
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
  say(at("timeline-words"), shown.events === 0
    ? "Nothing was done under any of these IDs."
    : `${count(shown.events)}${older ? " so far" : ""}, the newest first, times in UTC. ` +
      `${shown.reattributed} came under another ID and ${shown.reattributed === 1 ? "was" : "were"} re-attributed.`);
}

function eventItem(event) {
  const summary = element("summary", {},
    moment(event.time_ms, true),
    element("span", { class: "name" }, visible(event.event?.event ?? "")));
  if (event.is_reattributed) {
    summary.append(element("span", { class: "reattributed" }, "re-attributed: came as ", idText(event.distinct_id)));
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
    say(at("timeline-words"), error.message, true);
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
  const most = Math.max(1, ...steps.flatMap((step) => [step.users, step.users_without_merge]));
  at("funnel").replaceChildren(...steps.map((step) => stepItem(step, steps[0], most)));
  at("funnel-legend").hidden = steps.length === 0;
  const last = steps.at(-1);
  if (!last || steps[0].users === 0) return "Nobody took the first step.";
  return `With ID merge ${share(last.users, steps[0].users)} of users go all the way, ` +
    `without it ${share(last.users_without_merge, steps[0].users_without_merge)}.`;
}

const share = (part, all) => (all === 0 ? "none" : `${((100 * part) / all).toFixed(1).replace(/\.0$/, "")} %`);

function stepItem(step, first, most) {
  const way = (users, all, kind, words) => {
    const fill = element("span", { class: `fill ${kind}` });
    fill.style.width = `${(100 * users) / most}%`;
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

// --- Begin ---

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
  // What the secret had opened goes with it.
  at("person").hidden = true;
  at("drawing").replaceChildren();
  for (const list of ["members", "claims", "profile", "timeline", "funnel"]) at(list).replaceChildren();
  at("funnel-legend").hidden = true;
  for (const status of ["look-status", "funnel-status"]) say(at(status), "");
  older = null;
  history.replaceState(null, "", location.pathname);
  document.title = "idmerge: who is who";
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

/** An address with an ID in it shows that ID, where the secret is at hand. */
function showAddress() {
  const found = /^#id=(.*)$/.exec(location.hash);
  if (!found) return;
  try {
    at("id").value = decodeURIComponent(found[1]);
  } catch {
    return;
  }
  if (at("credential").value) at("look-form").requestSubmit();
}
addEventListener("hashchange", showAddress);
showAddress();
