// The row of each moment: what happened, as a sentence.

import { h } from "../lib/dom.js";
import { deviceIcon, idText, nameOf, shortName, time, userLink } from "../lib/people.js";
import { clock, day, many, n, sentence, shortId, visible, word } from "../lib/words.js";
import { histogram } from "./drawing.js";
import { between } from "./known.js";
import { idsOf } from "./story.js";

const BARS = 40;
const BARS_FROM = 20;

export function momentRow(moment, context) {
  return ROWS[moment.kind](moment, context);
}

const ROWS = { appear, join, reject, quiet, now, bundle };

function row(kind, ms, what, act, claim) {
  const when = ms === null ? h("div", { class: "when" }) : h("div", { class: "when num" }, time(ms, day(ms), h("br"), ` ${clock(ms)}`));
  return h("li", { class: kind, "data-claim": claim }, when, h("div", { class: "what" }, what), act && h("div", { class: "act" }, act));
}

const rowId = (id) => h("span", { class: "row-id" }, " · ", idText(id));

function appear({ lane, ms }) {
  const words = lane.kind === "user" ? " appears, a user ID of its own." : " appears. Nobody knows whose it is.";
  const until = lane.join_ms === null ? " so far" : ` until ${day(lane.join_ms)}`;
  return row("appear", ms, [
    h("p", { class: "line1" }, deviceIcon(lane.kind, lane.colour, true), " ", h("b", {}, lane.name), words),
    h("p", { class: "line2" }, many(lane.events, "event"), until, rowId(lane.id))]);
}

function join({ lane, ms }, { person, isLegacy, withdraw, letCount }) {
  const icon = [deviceIcon(lane.kind, lane.colour), " "];
  if (lane.withdrawn) {
    const { who, why } = lane.withdrawn;
    const reason = who ? `Withdrawn by ${visible(who)}: ${visible(why ?? "")}` : "Withdrawn";
    const again = lane.withdrawn.sequence
      && h("button", { class: "text", type: "button", onclick: () => letCount(lane) }, "Let it count again");
    return row("join withdrawn", ms, [
      h("p", { class: "line1" }, icon, `${lane.name} was joined to ${shortName(person)}.`),
      h("p", { class: "line2" }, reason, rowId(lane.id))], again, lane.claim);
  }
  const owner = lane.into === null ? shortName(person) : lane.into.name;
  const { device } = person.byId.get(person.distinct_id) ?? {};
  const target = lane.into !== null ? shortId(lane.into.id) : device?.label ?? shortId(person.distinct_id);
  const says = {
    merge: `: $merge names it beside ${target}. `,
    alias: `: $create_alias makes it another name of ${target}. `,
  }[lane.how] ?? `: ${owner} logs in. `;
  const done = lane.how === "merge" ? "They are one person." : `It is ${owner}’s.`;
  const isOne = lane.events === 1;
  const count = many(lane.events, "earlier event");
  // L-9: what came before an alias stays where it is.
  const moved = !lane.events ? "It had no events before"
    : isLegacy ? `Its ${count} ${isOne ? "stays" : "stay"} under it` : `Its ${count} moved along`;
  const button = h("button", {
    class: "text faint", type: "button", "aria-label": `Withdraw claim ${lane.claim}, ${lane.name}`, onclick: () => withdraw(lane),
  }, "Withdraw…");
  return row("join", ms, [
    h("p", { class: "line1" }, icon, h("b", {}, lane.name), says, h("b", { class: "done" }, done)),
    h("p", { class: "line2" }, moved, ` · claim ${n(lane.claim)}`, rowId(lane.id))], button, lane.claim);
}

const REASONS = {
  errSameIDs: () => "Both names are the same ID: nothing to join.",
  errAnonDistinctIdNonGUIDForm: (id, rule) => `“${shortId(id)}” does not look like a device’s ID, so $identify may not join it (rule ${rule}).`,
  errManyIDs: () => "Together they would have too many IDs.",
};

const done = (...text) => h("b", { class: "done" }, ...text);

function reject({ entry, ms, other, first }, { person, known }) {
  const [joined, target] = idsOf(entry);
  const isOwn = person.byId.has(joined);
  const id = isOwn || joined !== person.distinct_id ? joined : target;
  const device = isOwn ? person.byId.get(joined).device : other?.device ?? other?.devices.find((each) => each.distinct_id === id);
  const icon = [deviceIcon(device?.kind ?? "unknown", isOwn ? person.colours.get(joined) : undefined), " "];
  const name = h("b", {}, device?.label ?? shortId(id));
  const evidence = h("span", { class: "small" }, `Claim ${n(entry.sequence)}, `, h("span", { class: "whole" }, `rule ${entry.rule}`), ", ", h("code", {}, entry.answer));
  if (entry.answer === "errAnonDistinctIdAssignedAlready" && other) {
    const [who, holder] = isOwn ? [other, person] : [person, other];
    const link = (user, text) => (user === other ? userLink(other.distinct_id, text) : text);
    const since = first ? ` (${first.ms === null ? "" : `${day(first.ms)}, `}claim ${n(first.claim)})` : "";
    const here = who === person ? (known ?? []).filter(([, on]) => on === joined).length : 0;
    const stay = here ? `The ${many(here, "event")} sent here as ${shortName(who)} ${here === 1 ? "is" : "are"}` : `The events sent here as ${shortName(who)} are`;
    return row("reject", ms, [
      h("p", { class: "line1" }, icon, name, ": ", link(who, shortName(who)), " logs in. ", done("Not joined: it is "),
        isOwn ? done(`${nameOf(holder)}’s`) : link(holder, `${nameOf(holder)}’s`), done(".")),
      h("p", { class: "line2" },
        `${shortName(holder)} logged in on it first${since}, and a device stays with its first user. ${stay} ${shortName(who)}’s all the same. `, evidence)], null);
  }
  if (entry.answer === "errAliasAlreadyExists" && other) return aliasTaken(entry, ms, isOwn, other, person, evidence);
  const reason = REASONS[entry.answer]?.(id, entry.rule) ?? sentence(entry.description ?? "");
  return row("reject", ms, [
    h("p", { class: "line1" }, icon, name, ": ", h("b", { class: "done" }, "not joined.")),
    h("p", { class: "line2" }, reason, " ", evidence)], null);
}

/** An alias is another name of one ID alone, so one that is taken cannot be given to another ID. */
function aliasTaken(entry, ms, isOwn, other, person, evidence) {
  const [alias, target] = idsOf(entry);
  const [who, holder] = isOwn ? [other, person] : [person, other];
  const icon = deviceIcon(who.devices.find((each) => each.distinct_id === target)?.kind ?? who.devices[0]?.kind ?? "user", isOwn ? undefined : person.colours.get(target));
  const link = (user) => (user === other ? userLink(other.distinct_id, nameOf(other)) : nameOf(user));
  return row("reject", ms, [
    h("p", { class: "line1" }, icon, " ", h("b", {}, link(who)), `: $create_alias would give it the name ${shortId(alias)}. `,
      done("Not joined: that is "), isOwn ? done(`${nameOf(holder)}’s`) : userLink(holder.distinct_id, `${nameOf(holder)}’s`), done(".")),
    h("p", { class: "line2" }, "An alias is another name of one ID alone. The events sent here stay where they are. ", evidence)], null);
}

/** What was sent between two moments as the known user; of a user with very many events, only who it was by then. */
function quiet({ ms, until, known: devices }, { person, known }) {
  const name = shortName(person);
  const sent = between(known, ms, until);
  const on = sent ? [...new Set(sent.map(([, device]) => device).filter(Boolean))] : devices.map((lane) => lane.id);
  const only = person.byId.get(on[0])?.device?.label ?? "a device";
  const where = on.length ? `, on ${on.length === 1 ? only : `${word(on.length)} devices`}` : "";
  const words = sent ? `${sent.length ? many(sent.length, "event") : "Nothing was sent"} as ${name}${where}` : `${name} is known${where}`;
  return row("quiet", null, h("p", { class: "line2" }, words));
}

function now(_moment, { person }) {
  return row("now", null, [
    h("p", { class: "line1" }, `${nameOf(person)}, ${many(person.ids, "ID")}, one person`),
    h("p", { class: "line2" }, "Every event counts under ", idText(person.distinct_id))]);
}

function bundle({ run, ms }, { unfold, isShort }) {
  const from = run[0].join_ms;
  const until = run.at(-1).join_ms;
  const bars = Array(BARS).fill(0);
  for (const { join_ms: join } of run) bars[Math.floor(((join - from) / (until - from + 1)) * BARS)] += 1;
  const moved = run.reduce((sum, lane) => sum + lane.events, 0);
  return row("bundle", ms, [
    h("p", { class: "line1" }, `${n(run.length)} more ${run.length === 1 ? "device" : "devices"} joined the same way`),
    h("p", { class: "line2" }, `A log-in on each, ${day(from)} to ${day(until)}; ${many(moved, "event")} moved along`),
    run.length >= BARS_FROM && histogram(bars),
    h("button", { class: "text", type: "button", onclick: () => unfold(run) }, isShort(run) ? `Unfold ${n(run.length)}` : "See them in the list")], null);
}
