// The profile of a user, and the profiles that merges have hidden behind it.

import { all, ask, inPath, project } from "../lib/api.js";
import { h, none } from "../lib/dom.js";
import { idText, shortName } from "../lib/people.js";
import { many, n, visible } from "../lib/words.js";
import { title } from "./telling.js";

/** So many IDs of a user are looked at for hidden profiles at a time. */
const PAGE_IDS = 1_000;
const HIDDEN_MAX = 20;

export async function properties(person) {
  const path = `/v1/users/${inPath(person.distinct_id)}`;
  const [profile, [hidden], { model, profile_merge: merge }] = await Promise.all([
    ask(`${path}/profile`).catch((error) => {
      // A user without a profile is not an error.
      if (error.status === 404) return null;
      throw error;
    }),
    all(`${path}/hidden-profiles`, { limit: PAGE_IDS }, (page) => page.hidden, HIDDEN_MAX),
    project(),
  ]);
  const isDropping = model === "simplified" && merge === "vendor" && person.ids > 1;
  return h("div", {}, profileOf(person, profile),
    hidden.length > 0 && hiddenOf(person, hidden.slice(0, HIDDEN_MAX), model),
    isDropping && h("p", { class: "small soft how" },
      "What was set on a device before its log-in is not carried over, and not kept (rule P-2). Set it again after the log-in to have it."));
}

function profileOf(person, profile) {
  if (!profile || !Object.keys(profile.properties).length) {
    const words = person.has_user_id
      ? `Nothing is known about ${shortName(person)} beyond their events.`
      : "Nobody has said anything about this device yet.";
    return none(words, h("p", { class: "small soft" }, h("code", {}, "mixpanel.people.set(…)"), " puts something here."));
  }
  return h("div", {}, list(profile),
    h("p", { class: "small soft how" }, "The profile of ", idText(profile.distinct_id), "."));
}

/** What a merge has hidden is still stored, under the ID that it was set for. */
function hiddenOf(person, profiles, model) {
  const rule = model === "legacy" ? "LP-2" : "P-3";
  const whose = profiles.length === 1 ? ["The profile of ", idText(profiles[0].distinct_id), " is"] : [`The profiles of ${n(profiles.length)} other IDs are`];
  return h("section", { class: "hidden-profiles", "aria-labelledby": "hidden" },
    h("h2", { id: "hidden" }, "Hidden by a merge"),
    h("p", { class: "soft" }, whose, " hidden: ", idText(person.distinct_id), `’s is shown (rule ${rule}).`),
    profiles.map((profile) => h("details", {},
      h("summary", {}, idText(profile.distinct_id), h("span", { class: "soft" }, ` · ${many(Object.keys(profile.properties).length, "property", "properties")}`)),
      list(profile))));
}

function list({ properties }) {
  const entries = Object.entries(properties).filter(([name]) => name !== "$distinct_id");
  return h("dl", { class: "props" }, entries.map(([name, value]) => {
    const readable = title(name);
    return [h("dt", {}, readable, readable.toLowerCase() !== name && [" ", h("code", {}, visible(name))]), h("dd", {}, valueOf(value))];
  }));
}

/** Lists as chips, objects as trees, everything else as text. */
function valueOf(value) {
  if (Array.isArray(value) && value.every((each) => each === null || typeof each !== "object")) {
    return h("ul", { class: "chips" }, value.map((each) => h("li", {}, visible(String(each)))));
  }
  if (value !== null && typeof value === "object") return h("div", { class: "tree" }, tree(value));
  return visible(String(value));
}

function tree(value) {
  return h("ul", {}, Object.entries(value).map(([key, inner]) => {
    if (inner === null || typeof inner !== "object") return h("li", {}, h("span", { class: "soft" }, `${visible(key)} `), visible(String(inner)));
    return h("li", {}, h("details", { open: true }, h("summary", {}, visible(key)), tree(inner)));
  }));
}
