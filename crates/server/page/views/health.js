// Health: merges and rejections over time, and the mistakes of tracking that spoil them.

import { ask } from "../lib/api.js";
import { glyph, h, s, say } from "../lib/dom.js";
import { idText, userLink } from "../lib/people.js";
import { capital, clock, day, many, n, shortId, visible, word } from "../lib/words.js";

const USERS_SHOWN = 5;
/** A commit that takes longer is worth a look. */
const SLOW_MS = 500;

const STATES = { act: ": act", look: ": take a look", well: ": well" };
const GLYPHS = { act: "cross", look: "look", well: "done" };

export async function health() {
  const report = await ask("/v1/health");
  const checks = checksOf(report);
  const of = (state) => checks.filter((each) => each.state === state).length;
  return h("div", {}, say(sentence(of("act"), of("look"))), claimsOf(report.days),
    h("section", {}, h("h2", { class: "sr" }, "Checks"), h("ul", {}, checks.map(check))));
}

function sentence(act, look) {
  if (!act && !look) return "All is well.";
  const parts = [act && `${word(act)} ${act === 1 ? "thing" : "things"} to mend`, look && `${word(look)} to look at`];
  return `${act ? "" : "Mostly well. "}${capital(parts.filter(Boolean).join(", "))}.`;
}

/** What is to be said about each kind of mistake, the most urgent first. */
function checksOf(report) {
  const checks = [tokens(report), shared(report), resets(report), large(report), junk(report), commits(report)];
  const order = Object.keys(STATES);
  return checks.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

function tokens({ unknown_tokens: unknown = [] }) {
  const title = "Unknown tokens";
  if (!unknown.length) return { state: "well", title, text: "Every event came with the token of a project." };
  const [{ token, events, since_ms: since }] = unknown;
  const rest = unknown.length > 1 ? ` ${capital(word(unknown.length - 1))} other ${unknown.length === 2 ? "token is" : "tokens are"} unknown too.` : "";
  const text = `${many(events, "event")} ${events === 1 ? "was" : "were"} thrown away since ${clock(since)}: no project here has the token “${visible(token)}”.${rest}`;
  return { state: "act", title, text, more: ["Look for a typo in ", h("code", {}, "mixpanel.init()"), "."] };
}

function shared({ shared_devices: count, shared_device_examples: examples }) {
  const title = "Shared devices";
  if (!count) return { state: "well", title, text: "No device had more than one user log in." };
  const items = examples.slice(0, USERS_SHOWN).map(({ distinct_id: device, holder, others }) =>
    [linkTo(holder), "’s ", idText(device), ", also used by ", others.map((other, at) => [at > 0 && ", ", linkTo(other)])]);
  const text = `${capital(word(count))} ${count === 1 ? "device" : "devices"} had more than one user log in. Each stays with the first; the others’ anonymous events there are counted as the first one’s.`;
  return { state: "look", title, text, items };
}

function resets({ missing_resets: count, shared_devices: devices }) {
  const title = "Missing resets";
  if (!count) return { state: "well", title, text: "Nobody followed another user within a minute on one device." };
  const text = `On ${count === devices && count > 1 ? `all ${word(count)}` : word(count)} of them one user followed another within a minute, with the same device ID.`;
  return { state: "look", title, text, more: [h("code", {}, "reset()"), " was likely not called at log-out."] };
}

function large({ large_users: users, max_cluster_ids: max }) {
  const title = "Large clusters";
  if (!users.length) return { state: "well", title, text: max ? `Nobody is near the ${n(max)} IDs that a user may have.` : "Nobody has very many IDs." };
  const items = users.slice(0, USERS_SHOWN).map((user) => [linkTo(user), max ? ` has ${n(user.ids)} of ${n(max)} IDs` : ` has ${n(user.ids)} IDs`]);
  const text = max
    ? `At ${n(max)} IDs nothing more joins (rule O-12).`
    : "This model has no limit, but a person with very many devices is often a robot or a shared account.";
  return { state: "look", title, text, items };
}

function junk({ refused }) {
  const title = "Junk IDs";
  const count = refused["ID-4"] ?? 0;
  if (!count) return { state: "well", title, text: "No event came with an ID such as “undefined” since the server was started." };
  const text = `${many(count, "event")} since the server was started came with an ID such as “undefined”, and ${count === 1 ? "was" : "were"} refused (rule ID-4). ${count === 1 ? "It" : "They"} joined nobody.`;
  return { state: "well", title, text };
}

function commits({ commits: { count, p50_ms: half, p99_ms: most, waiting, failure } }) {
  const title = "Commits";
  if (failure !== null) return { state: "act", title, text: `The project cannot write: ${visible(failure)}` };
  if (!count) return { state: "well", title, text: "Nothing was written since the server was started." };
  const within = (ms) => (ms === null ? "more than 5 seconds" : `at most ${n(ms)} ms`);
  const queue = waiting ? `${many(waiting, "batch", "batches")} ${waiting === 1 ? "waits" : "wait"}.` : "Nothing is waiting.";
  const state = most === null || most > SLOW_MS ? "look" : "well";
  return { state, title, text: `Half of them take ${within(half)}, 99 of 100 ${within(most)}. ${queue}` };
}

const linkTo = ({ distinct_id: id, name }) => userLink(id, name ? visible(name) : shortId(id));

function check({ state, title, text, more, items = [] }) {
  return h("li", { class: "check" }, glyph(GLYPHS[state], state),
    h("h3", {}, title, h("span", { class: "sr" }, STATES[state])),
    h("div", {}, h("p", {}, text, more && " ", more),
      items.length > 0 && h("ul", {}, items.map((item) => h("li", {}, item)))));
}

/** The claims of the last days. Without any there is nothing to draw. */
function claimsOf(days) {
  if (days.some((each) => each.merges || each.rejections)) return plot(days);
  return h("p", { class: "sub" }, `No claim joined anything in the last ${many(days.length, "day")}, and none was turned down.`);
}

/** Bars of the merges upwards and of the rejections downwards, a day each; the table says the same. */
function plot(days) {
  const width = 700;
  const zero = 112;
  const most = Math.max(1, ...days.map((each) => each.merges));
  const mostRejected = Math.max(1, ...days.map((each) => each.rejections));
  const each = width / days.length;
  const bar = (kind, at, y, height) => height > 0 && s("rect", { class: kind, x: at * each + each * 0.26, y, width: each * 0.48, height });
  const total = (kind) => days.reduce((sum, one) => sum + one[kind], 0);
  return h("figure", { class: "plot" },
    s("svg", { viewBox: `0 0 ${width} 150`, preserveAspectRatio: "none", "aria-hidden": "true" },
      s("path", { class: "zero", d: `M0 ${zero}H${width}` }),
      days.map((one, at) => {
        const up = (one.merges * 108) / most;
        return [bar("m", at, zero - up, up), bar("r", at, zero + 3, (one.rejections * 34) / mostRejected)];
      })),
    h("p", { class: "axis small soft num", "aria-hidden": "true" }, days.map((one, at) => h("span", {}, at % 2 ? "" : day(one.day_ms)))),
    h("figcaption", { class: "key" }, h("span", {}, h("i", { class: "k-merge" }), many(total("merges"), "merge")),
      h("span", {}, h("i", { class: "k-reject" }), `${many(total("rejections"), "rejection")}, on a scale of their own`),
      h("span", {}, `${many(most, "merge")} on the busiest day`)),
    h("table", { class: "sr" }, h("caption", {}, "Merges and rejections by day"),
      h("thead", {}, h("tr", {}, ["Day", "Merges", "Rejections"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, days.map((one) => h("tr", {}, h("th", { scope: "row" }, day(one.day_ms)), h("td", {}, n(one.merges)), h("td", {}, n(one.rejections)))))));
}

