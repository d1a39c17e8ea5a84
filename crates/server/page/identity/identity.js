// Identity: how the IDs of a user came together, as lanes that run into one.

import { all, ask, inPath, project } from "../lib/api.js";
import { at, h } from "../lib/dom.js";
import { avatar, DEVICE, deviceIcon, idText, initials, shortName } from "../lib/people.js";
import { capital, many, n, word } from "../lib/words.js";
import { personOf } from "../views/person.js";
import { draw } from "./drawing.js";
import { idTable } from "./ids.js";
import { between, knownEvents } from "./known.js";
import { SHOW_ALL, momentsOf } from "./moments.js";
import { momentRow } from "./rows.js";
import { idsOf, storyOf } from "./story.js";
import { letCount, preview, withdraw } from "./withdraw.js";

const PAGE_IDS = 500;
const ENTRIES_MAX = 5_000;
const HOLDERS_MAX = 20;
/** Of a holder with more IDs it is not asked since when the device is theirs. */
const HOLDER_IDS_MAX = 500;
/** A longer run of folded joins is looked at in the list below. */
const UNFOLDED_MAX = 20;
const SUM_MAX = 4;

export async function identity(person, { signal }) {
  const box = h("div");
  const { model } = await project();
  const view = { box, person, model, isOpen: false };
  const load = async () => {
    const path = `/v1/ids/${view.person.path}`;
    const [entries] = await all(path, { explain: true, limit: PAGE_IDS }, (page) => page.explanation, ENTRIES_MAX);
    view.story = storyOf(view.person, entries.sort((a, b) => a.sequence - b.sequence));
    const isDrawn = isJoinedOnce(view.story) && view.story.lanes.length <= SHOW_ALL;
    [view.others, , view.story.known] = await Promise.all([
      findOthers(view.person, view.story), findWithdrawals(view.story),
      isDrawn ? knownEvents(view.person, model === "legacy") : null,
    ]);
  };
  /** After a claim was withdrawn: everything is asked again. */
  view.reload = async (claim) => {
    view.person = await personOf(view.person.asked);
    await load();
    if (signal.aborted) return;
    at("id-count").textContent = n(view.person.ids);
    render(view, claim);
  };
  await load();
  render(view);
  return box;
}

const isJoined = (lane) => lane.join_ms !== null && !lane.withdrawn;
const isJoinedOnce = ({ lanes }) => lanes.some(isJoined);

/** Who withdrew which claim, and why. */
async function findWithdrawals({ lanes }) {
  const withdrawn = lanes.filter((lane) => lane.withdrawn).slice(0, HOLDERS_MAX);
  await Promise.all(withdrawn.map(async (lane) => {
    const found = await preview(lane.claim).catch(() => null);
    if (!found || found.is_new) return;
    const { entries } = await ask("/v1/log", { from: found.sequence, limit: 1 });
    lane.withdrawn = entries[0] ?? {};
  }));
}

/** Who else each rejected claim is about: the holder of the device, or who logged in on a device of this user. */
async function findOthers(person, { rejected }) {
  const shown = rejected.slice(0, HOLDERS_MAX);
  const found = await Promise.all(shown.map(async (entry) => {
    const other = await ask(`/v1/users/${inPath(otherOf(person, entry))}`).catch(() => null);
    if (!other || other.distinct_id === person.distinct_id) return [entry, null];
    const [joined] = idsOf(entry);
    const isTheirs = !person.byId.has(joined) && other.ids <= HOLDER_IDS_MAX;
    return [entry, isTheirs ? { ...other, ...(await deviceOfHolder(joined)) } : other];
  }));
  return new Map(found);
}

/** What a device of somebody else is, and the claim by which it is theirs. */
async function deviceOfHolder(id) {
  const path = inPath(id);
  const [ids, claims] = await Promise.all([
    ask(`/v1/users/${path}/ids`, { limit: PAGE_IDS }).catch(() => ({ ids: [] })),
    ask(`/v1/ids/${path}`, { explain: true, limit: PAGE_IDS }).catch(() => ({ explanation: [] })),
  ]);
  const device = ids.ids.find((each) => each.distinct_id === id)?.device ?? null;
  const entry = claims.explanation.find((each) => each.answer === "merged" && !each.withdrawn && idsOf(each)[0] === id);
  return { device, first: entry ? { ms: entry.time_ms ?? null, claim: entry.sequence } : null };
}

/** The claim by which a device is whose it is, if it is this user's. */
function firstLogIn({ lanes }, entry) {
  const [joined] = idsOf(entry);
  const lane = lanes.find((each) => each.id === joined && isJoined(each));
  return lane ? { ms: lane.join_ms, claim: lane.claim } : null;
}

function otherOf(person, entry) {
  const [joined, target] = idsOf(entry);
  return person.byId.has(joined) ? target : joined;
}

function render(view, claim) {
  const { box, person, story } = view;
  // The ID that was looked for is never folded away.
  const kept = new Set([person.asked, `${DEVICE}${person.asked}`]);
  const isTold = ({ kind, ms, until }) => kind !== "quiet" || between(story.known, ms, until)?.length !== 0;
  const moments = momentsOf(story, { isOpen: view.isOpen, kept, until_ms: person.last_seen_ms ?? 0 }).filter(isTold);
  for (const moment of moments) {
    if (moment.kind !== "reject") continue;
    moment.other = view.others.get(moment.entry) ?? null;
    moment.otherInitials = moment.other && initials(moment.other);
    moment.first = firstLogIn(story, moment.entry) ?? moment.other?.first;
  }
  const isLegacy = view.model === "legacy";
  const context = {
    person,
    known: story.known,
    isLegacy,
    isShort: (run) => run.length <= UNFOLDED_MAX,
    unfold: (run) => {
      if (run.length > UNFOLDED_MAX) return box.querySelector(".id-list input")?.focus();
      view.isOpen = true;
      return render(view, run[0].claim);
    },
    withdraw: (lane) => withdraw(person, lane, isLegacy, () => view.reload(lane.claim)),
    letCount: (lane) => letCount(lane, () => view.reload(lane.claim)),
  };
  const label = person.has_user_id ? `How the IDs of ${shortName(person)} came together, oldest first` : "How this device is known, oldest first";
  const list = h("ol", { class: "lanes", "aria-label": label }, moments.map((moment) => momentRow(moment, context)));
  const fold = h("button", { class: "text", type: "button", onclick: () => {
    view.isOpen = false;
    render(view);
    box.querySelector(".bundle button")?.focus();
  } }, "Fold them again");
  const count = person.members.length;
  const title = count === 1 ? "Its ID" : `All ${many(count, "ID")}${person.hasMore ? " that are shown" : ""}`;
  box.replaceChildren(...[...words(person, story, view.model), list,
    isJoinedOnce(story) && h("p", { class: "small soft how" }, HOW[view.model] ?? HOW.simplified),
    h("p", { hidden: !view.isOpen }, fold),
    h("section", { class: "id-list" }, h("h2", { id: "all-ids" }, title), ...idTable(person, story))].filter(Boolean));
  draw(list, moments, story, person);
  // Whoever pressed a button in a row is in that row again.
  if (claim) box.querySelector(`[data-claim="${claim}"] button`)?.focus();
}

const HOW = {
  simplified: "Each line is a device and each tick on it an event, in their order. Where a log-in says whose a device is, its line runs into the blue one and its earlier events move along.",
  original: "Each line is an ID and each tick on it an event, in their order. Where a claim joins it, its line runs into another one and its earlier events move along.",
  legacy: "Each line is an ID and each tick on it an event, in their order. Where $create_alias makes it another name, its line runs into the blue one: what is sent as it from then on counts there, and its earlier events stay where they are.",
};

/** What will join an ID that is alone. */
const NEXT = {
  simplified: "The first event with both a device and a user will join them, and everything from before moves along.",
  original: "$identify, $create_alias or $merge will join it to others, and everything from before moves along.",
  legacy: "$create_alias will give it another name. What was sent as that name before stays where it is.",
};

/** The answer as a sentence, and as a sum that is the key to the colours. */
function words(person, { lanes }, model) {
  const joined = lanes.filter(isJoined);
  if (!joined.length) {
    const sentence = person.has_user_id ? `${shortName(person)} is one ID, and no device.` : "One device, and nobody has logged in on it.";
    return [h("h2", { class: "say" }, sentence),
      h("p", { class: "sub" }, NEXT[model] ?? NEXT.simplified)];
  }
  // In Legacy the first of all IDs is often a device (L-12).
  const device = person.byId.get(person.distinct_id)?.device;
  const users = joined.filter((each) => each.kind === "user").length + (device ? 0 : 1);
  const devices = joined.length + 1 - users;
  const name = shortName(person);
  const ids = `${word(users)} user ${users === 1 ? "ID" : "IDs"}`;
  const sentence = users > 1 || device
    ? `${capital(devices ? `${word(devices)} ${devices === 1 ? "device" : "devices"} and ${ids}` : ids)} are one person: ${name}.`
    : `${name} logged in on ${devices === 1 ? "one device" : `${word(devices)} devices`}, so ${word(devices + 1)} IDs are one person.`;
  return [h("h2", { class: "say" }, sentence), sum(person, joined)];
}

function sum(person, joined) {
  const inOrder = [...joined].sort((a, b) => a.join_ms - b.join_ms);
  const shown = inOrder.length <= SUM_MAX ? inOrder : inOrder.slice(0, SUM_MAX - 1);
  const part = (...content) => h("span", { class: "part" }, content);
  const rest = inOrder.length - shown.length;
  const { device } = person.byId.get(person.distinct_id) ?? {};
  return h("p", { class: "sum" },
    shown.map((lane, at) => part(at > 0 && h("i", {}, "+"), deviceIcon(lane.kind, lane.colour), lane.name)),
    rest > 0 && part(h("i", {}, "+"), `${n(rest)} more`),
    part(h("i", {}, "+"), device ? [deviceIcon(device.kind, person.colours.get(person.distinct_id)), device.label] : idText(person.distinct_id)),
    h("span", { class: "part whole" }, h("i", {}, "="), avatar(person), shortName(person)));
}

