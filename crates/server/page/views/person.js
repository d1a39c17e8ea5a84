// What is asked about a user for every tab: the figures of the user and of each ID.

import { all, ask, inPath } from "../lib/api.js";
import { DEVICE, coloursOf } from "../lib/people.js";

const PAGE_IDS = 500;

/** The most IDs that are shown of a user. */
const IDS_MAX = 2_000;

/** The user that an ID belongs to, with the figures of each ID: `members` in order, and `byId`. */
export async function personOf(id) {
  const path = inPath(id);
  const [user, [members, next]] = await Promise.all([
    ask(`/v1/users/${path}`),
    all(`/v1/users/${path}/ids`, { limit: PAGE_IDS }, (page) => page.ids, IDS_MAX),
  ]);
  // The user has the colour of persons, but for a device that stands for one: the root of aliases can be one (L-12).
  const colours = coloursOf(members.filter((each) => each.distinct_id !== user.distinct_id || !user.has_user_id || each.device));
  const byId = new Map(members.map((each) => [each.distinct_id, each]));
  return { ...user, asked: id, path, members, byId, hasMore: next !== null, colours };
}

/** The device that an event came from, as an ID of the user; null if it names none. */
export function deviceOf(person, { event, distinct_id: own }) {
  const device = event.properties.$device_id;
  if (typeof device !== "string" || !device) return own.startsWith(DEVICE) ? own : null;
  // Only Simplified has the prefix in an ID of a device (S-10).
  return person.byId.has(device) ? device : device.startsWith(DEVICE) ? device : DEVICE + device;
}
