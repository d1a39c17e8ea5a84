// The rows of the identity view, and the columns of its drawing. Both are pure functions of lanes.

/** So many joins are drawn one by one. */
export const SHOW_ALL = 12;
/** Of more than that, so many at each end. */
const KEPT = 3;
/** A join that follows the first event so closely is one row with it. */
const HOOK_MS = 30 * 60_000;
/** What happened between two moments gets a row of its own if they are so far apart. */
const QUIET_MS = 12 * 3_600_000;

/**
 * The moments of a user's identity in their order: an ID that appears, that joins, that is turned down, a run
 * of ordinary joins that is folded, and a quiet time between two of them. `kept` are IDs that are never folded.
 */
export function momentsOf({ lanes, rejected }, { isOpen, kept, until_ms: until }) {
  const joined = lanes.filter((each) => each.join_ms !== null).sort(byJoin);
  const folded = new Set(joined.length > SHOW_ALL && !isOpen
    ? joined.slice(KEPT, -KEPT).filter((each) => isOrdinary(each) && !kept.has(each.id))
    : []);
  const moments = [];
  for (const each of lanes) {
    if (folded.has(each)) continue;
    const appears = { kind: "appear", ms: each.first_ms ?? each.join_ms ?? 0, lane: each };
    if (each.join_ms === null) moments.push(appears);
    else if (isHook(each, lanes)) moments.push({ kind: "join", isHook: true, ms: each.join_ms, lane: each });
    else moments.push(appears, { kind: "join", ms: each.join_ms, lane: each });
  }
  moments.push(...rejected.map((entry) => ({ kind: "reject", ms: entry.time_ms ?? 0, entry })));
  // Claims of one millisecond stand in the order of the log.
  moments.sort((a, b) => a.ms - b.ms || claimOf(a) - claimOf(b));
  fold(moments, [...folded].sort(byJoin));
  if (!joined.length) return moments;
  // Of many joins the drawing shows the joins alone.
  const shown = joined.length <= SHOW_ALL ? withQuiet(moments, lanes, until) : moments;
  return [...shown, { kind: "now", ms: until }];
}

/** Adds the quiet times from the first join on, each with the devices that were known by then. */
function withQuiet(moments, lanes, end) {
  const first = moments.findIndex(({ kind, lane }) => kind === "join" && !lane.withdrawn);
  return moments.flatMap((moment, at) => {
    const until = moments[at + 1]?.ms ?? end;
    if (first < 0 || at < first || until - moment.ms < QUIET_MS) return [moment];
    const known = lanes.filter((lane) => lane.kind !== "user" && isKnownBy(lane, moment.ms));
    const isLast = at === moments.length - 1;
    return [moment, { kind: "quiet", ms: moment.ms, until: isLast ? Infinity : until, known }];
  });
}

/** Whether a lane flows into the user by then, if through others. */
const isKnownBy = (lane, ms) =>
  lane.join_ms !== null && lane.join_ms <= ms && !lane.withdrawn && (lane.into === null || isKnownBy(lane.into, ms));

const byJoin = (a, b) => a.join_ms - b.join_ms || a.claim - b.claim;
const claimOf = ({ kind, lane, entry }) => (kind === "appear" ? 0 : entry?.sequence ?? lane?.claim ?? 0);
const isOrdinary = (lane) => !lane.withdrawn && (lane.how === "link" || lane.how === "identify") && lane.into === null;

function isHook(lane, lanes) {
  const { first_ms: first, join_ms: join } = lane;
  if (first === null || first > join) return true;
  const isBetween = (ms) => ms !== null && ms > first && ms < join;
  return join - first < HOOK_MS && !lanes.some((other) => other !== lane && (isBetween(other.first_ms) || isBetween(other.join_ms)));
}

/** Puts folded joins into bundles. A bundle ends where something else happened. */
function fold(moments, lanes) {
  for (const lane of lanes) {
    const found = moments.findIndex((moment) => moment.ms > lane.join_ms);
    const where = found < 0 ? moments.length : found;
    const before = moments[where - 1];
    if (before?.kind === "bundle") before.run.push(lane);
    else moments.splice(where, 0, { kind: "bundle", ms: lane.join_ms, run: [lane] });
  }
}

/**
 * A column for each lane, so that none crosses another: a lane stands outside of every lane that it overlaps in
 * time and that joins before it does.
 */
export function columnsOf(lanes) {
  const columns = new Map();
  const start = (lane) => lane.first_ms ?? lane.join_ms ?? 0;
  const end = (lane) => lane.join_ms ?? Infinity;
  for (const lane of [...lanes].sort((a, b) => end(a) - end(b))) {
    let column = 0;
    for (const [other, taken] of columns) {
      if (taken > column && start(other) < end(lane) && end(other) > start(lane)) column = taken;
    }
    columns.set(lane, column + 1);
  }
  return columns;
}
