// What was sent as the known user: how many events, when, and on which devices.

import { all } from "../lib/api.js";
import { deviceOf } from "../views/person.js";

const PAGE_EVENTS = 1_000;
/** The events of a user with more are not read to be counted. */
const EVENTS_MAX = 2_000;

/** The events that were sent under the user's own ID, as `[ms, device]`, oldest first; null if they are many. */
export async function knownEvents(person, isLegacy) {
  if (person.events === null || person.events > EVENTS_MAX) return null;
  // In Legacy an event that came as an alias is stored under what the alias stands for.
  const own = isLegacy ? {} : { distinct_id: person.distinct_id };
  const path = `/v1/users/${person.path}/events`;
  const [events] = await all(path, { ...own, limit: PAGE_EVENTS }, (page) => page.events, EVENTS_MAX);
  return events.map((each) => [each.time_ms, deviceOf(person, each)]).sort(([one], [other]) => one - other);
}

/** Those between two times. */
export const between = (known, from, until) => known?.filter(([ms]) => ms >= from && ms < until) ?? null;
