// The profile of a user, and what a merge hid or a log-in dropped.

import { ask, inPath } from "../lib/api.js";
import { h, none } from "../lib/dom.js";
import { idText, shortName } from "../lib/people.js";
import { visible } from "../lib/words.js";
import { title } from "./telling.js";

export async function properties(person) {
  const profile = await ask(`/v1/users/${inPath(person.distinct_id)}/profile`).catch((error) => {
    // A user without a profile is not an error.
    if (error.status === 404) return null;
    throw error;
  });
  if (!profile || !Object.keys(profile.properties).length) {
    const words = person.has_user_id
      ? `Nothing is known about ${shortName(person)} beyond their events.`
      : "Nobody has said anything about this device yet.";
    return none(words, h("p", { class: "small soft" }, h("code", {}, "mixpanel.people.set(…)"), " puts something here."));
  }
  const entries = Object.entries(profile.properties).filter(([name]) => name !== "$distinct_id");
  return h("div", {},
    h("dl", { class: "props" }, entries.map(([name, value]) => {
      const readable = title(name);
      return [h("dt", {}, readable, readable.toLowerCase() !== name && [" ", h("code", {}, visible(name))]), h("dd", {}, valueOf(value))];
    })),
    h("p", { class: "small soft how" }, "The profile of ", idText(profile.distinct_id), "."));
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
