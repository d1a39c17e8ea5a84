// The table of all IDs of a user.

import { copyButton, h } from "../lib/dom.js";
import { deviceIcon, idText, time } from "../lib/people.js";
import { day, n, plain } from "../lib/words.js";
import { SHOW_ALL } from "./moments.js";

const SCROLLS_FROM = 8;

export function idTable(person, { lanes }) {
  const laneOf = new Map(lanes.map((lane) => [lane.id, lane]));
  const first = (each) => (each.distinct_id === person.distinct_id ? -Infinity : each.first_seen_ms ?? Infinity);
  const members = [...person.members].sort((a, b) => first(a) - first(b) || 0);
  const rows = members.map((each) => [plain(each.distinct_id), memberRow(person, each, laneOf.get(each.distinct_id))]);
  const scrolls = rows.length > SCROLLS_FROM && { tabindex: "0", role: "region", "aria-labelledby": "all-ids" };
  // The rows are grids, so that the browser lays out only those that are near. So what they are has to be said.
  const column = (text, kind) => h("th", { scope: "col", role: "columnheader", class: kind }, text);
  const table = h("div", { class: "scroll", ...scrolls }, h("table", { class: "ids", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      column("ID"), column("What it is", "wide"), column("First seen", "wide"), column("Events", "wide n"), column("Joined"))),
    h("tbody", { role: "rowgroup" }, rows.map(([, made]) => made))));
  if (rows.length <= SHOW_ALL) return [table];
  const filter = h("input", {
    type: "search", id: "filter-ids", placeholder: "Filter these IDs", "aria-label": "Filter these IDs",
    autocomplete: "off", spellcheck: "false",
    oninput: () => rows.forEach(([text, made]) => (made.hidden = !text.includes(plain(filter.value)))),
  });
  return [filter, table];
}

function memberRow(person, each, lane) {
  const isCanonical = each.distinct_id === person.distinct_id;
  const joined = () => {
    if (isCanonical) return h("span", { class: "soft" }, person.has_user_id ? "canonical ID" : "nobody’s");
    if (!lane || lane.join_ms === null) return h("span", { class: "soft" }, "not known");
    return `${day(lane.join_ms)} · claim ${n(lane.claim)}`;
  };
  const seen = each.first_seen_ms;
  const cell = (kind, ...content) => h("td", { role: "cell", class: kind }, content);
  return h("tr", { role: "row" },
    cell(null, each.device && [deviceIcon(each.device.kind, person.colours.get(each.distinct_id), !person.has_user_id), " "],
      idText(each.distinct_id), " ", copyButton(each.distinct_id)),
    cell("wide", each.device?.label ?? h("span", { class: "soft" }, "user ID")),
    cell("wide num", seen === null ? "" : time(seen, day(seen))),
    cell("wide num n", n(each.events)),
    cell("num", joined()));
}
