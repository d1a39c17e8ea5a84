// What an event says in one line: the few properties that people look for.

import { visible } from "../lib/words.js";

const SHOWN_MAX = 3;
const TEXT_MAX = 60;

// What senders, SDKs and this server add to every event.
const PLUMBING = new Set(["token", "distinct_id", "time", "mp_lib", "mp_country_code", "mp_processing_time_ms", "mp_sent_by_lib_version"]);

const isOwn = (name) => !name.startsWith("$") && !PLUMBING.has(name);

/** The page, without its host; else nothing. */
function page(properties) {
  const address = properties.$current_url ?? properties.current_url ?? properties.url;
  if (typeof address !== "string" || !URL.canParse(address)) return null;
  const url = new URL(address);
  return url.pathname + url.search;
}

function text(name, value) {
  if (typeof value === "boolean") return value ? name : `not ${name}`;
  if (typeof value === "number") return /(amount|price|total|value|revenue|count|quantity|items)/i.test(name) ? `${name} ${value}` : String(value);
  return value.length > TEXT_MAX ? `${Array.from(value).slice(0, TEXT_MAX).join("")}…` : value;
}

/** One line of an event's own properties. */
export function telling(properties) {
  const own = Object.entries(properties).filter(([name, value]) =>
    isOwn(name) && ["string", "number", "boolean"].includes(typeof value) && value !== "");
  const shown = own.slice(0, SHOWN_MAX).map(([name, value]) => text(name, value));
  const where = page(properties);
  if (where && !shown.includes(where)) shown.unshift(where);
  return visible(shown.slice(0, SHOWN_MAX).join(" · "));
}

/** The properties as people read them: their own first, then what SDKs add, with names in words. */
export function readable(properties) {
  const entries = Object.entries(properties).filter(([name]) => !PLUMBING.has(name) && name !== "$insert_id");
  const own = entries.filter(([name]) => isOwn(name));
  const added = entries.filter(([name]) => !isOwn(name));
  return [...own, ...added].map(([name, value]) => [title(name), name, value]);
}

const WORDS = { $user_id: "User ID", $device_id: "Device ID", $os: "System", $browser: "Browser", $current_url: "Page", $referrer: "Came from", $city: "City", $region: "Region", mp_country_code: "Country", $email: "E-mail", $name: "Name", $phone: "Phone", $created: "Created", $avatar: "Picture" };

/** `first_login` is *First login*. */
export function title(name) {
  // A sender can name a property as it likes, such as `constructor`.
  if (Object.hasOwn(WORDS, name)) return WORDS[name];
  const words = visible(name).replace(/^\$/, "").replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1).toLowerCase();
}
