// What the log says about a user, as lanes: one for each ID, which begins at its first event and ends where a
// claim joined it to another lane.

import { DEVICE, GREY } from "../lib/people.js";
import { shortId } from "../lib/words.js";

/** The two IDs of an entry: the one that is joined, and the one that it is joined to. */
export function idsOf(entry) {
  switch (entry.claim) {
    case "link": return [DEVICE + entry.device, entry.user];
    case "identify": return [entry.anon, entry.identified];
    case "alias": return [entry.alias, entry.distinct_id];
    case "merge": return [entry.second, entry.first];
    default: return [null, null];
  }
}

const isMerged = (entry) => entry.claim && !entry.withdrawn && entry.answer === "merged";

/**
 * The lanes of a user: `{ id, name, kind, colour, events, first_ms, join_ms, claim, how, into, withdrawn }`.
 * The canonical ID has no lane: it is the line that the others run into.
 */
export function storyOf(person, entries) {
  const lanes = new Map();
  const figures = person.byId;
  const laneOf = (id) => {
    if (!lanes.has(id)) lanes.set(id, lane(id, figures.get(id), person));
    return lanes.get(id);
  };
  // The device of nobody is a line, too: there is no user for it to run into.
  const isLane = (id) => id !== person.distinct_id || !person.has_user_id;
  for (const { distinct_id: id } of person.members) if (isLane(id)) laneOf(id);
  joinLanes(person, entries.filter(isMerged), laneOf);
  for (const entry of entries) {
    if (!entry.withdrawn || entry.answer !== "merged") continue;
    const [joined, target] = idsOf(entry);
    const id = figures.has(joined) && !figures.has(target) ? target : joined;
    // An ID that another claim still joins has its lane already.
    if (figures.has(id)) continue;
    Object.assign(laneOf(id), { ...joining(entry), into: null, withdrawn: {} });
  }
  const rejected = entries.filter((entry) => entry.claim && entry.rule && !entry.withdrawn);
  return { lanes: [...lanes.values()], rejected };
}

const UNKNOWN = "Unknown device";

function lane(id, figures, person) {
  const device = figures?.device ?? null;
  const isDevice = device !== null || id.startsWith(DEVICE);
  const label = device && device.label !== UNKNOWN ? device.label : "A device";
  return {
    id,
    name: isDevice ? label : shortId(id),
    kind: isDevice ? (device?.kind ?? "unknown") : "user",
    colour: person.colours.get(id) ?? GREY,
    events: figures?.events ?? 0,
    first_ms: figures?.first_seen_ms ?? null,
    join_ms: null,
    claim: null,
    into: null,
    withdrawn: null,
  };
}

const joining = (entry) => ({ join_ms: entry.time_ms ?? null, claim: entry.sequence, how: entry.claim });

/**
 * Joins the lanes in the order of the claims. Of the two sides of a claim, the one with the canonical ID goes on,
 * else the side of the user, of the original name, or of the first ID; the other side's lane ends there.
 */
function joinLanes(person, merged, laneOf) {
  const parents = new Map();
  const rootOf = (id) => {
    let root = id;
    while (parents.has(root)) root = parents.get(root);
    return root;
  };
  for (const entry of merged) {
    const [joined, target] = idsOf(entry).map(rootOf);
    if (joined === target) continue;
    const [ends, goesOn] = joined === person.distinct_id ? [target, joined] : [joined, target];
    parents.set(ends, goesOn);
    const into = goesOn === person.distinct_id ? null : laneOf(goesOn);
    Object.assign(laneOf(ends), { ...joining(entry), into });
  }
}
