// The dialog that withdraws a claim. It shows what would change, as the server says, before anything does.

import { ask, inPath, post } from "../lib/api.js";
import { announce, at, glyph, h } from "../lib/dom.js";
import { deviceIcon, idText, nameOf, shortName } from "../lib/people.js";
import { clock, day, many, n, sentence, shortId } from "../lib/words.js";

const IDS_SHOWN = 5;

/** What a withdrawal of a claim would change. If the claim is withdrawn already, it tells by which entry. */
export const preview = (claim) =>
  post("/v1/retract", { sequence: claim, who: "a preview", why: "a preview", dry_run: true });

export async function withdraw(person, lane, isLegacy, done) {
  const box = at("dialog");
  const title = h("h2", { id: "withdraw-title" },
    lane.kind === "user" ? `Is ${lane.name} not ${shortName(person)}?` : `Is this ${lane.name.replace(/^.* on /, "")} not ${shortName(person)}’s?`);
  const when = lane.join_ms === null ? "" : `, ${day(lane.join_ms)} ${clock(lane.join_ms)}`;
  const shown = h("ul", { class: "preview", "aria-busy": "true" }, h("li", {}, h("span"), h("span", {}, "Asking what would change …")));
  const problem = h("p", { class: "problem", role: "alert" });
  const who = h("input", { id: "who", required: true, autocomplete: "username", maxlength: 200 });
  const why = h("input", { id: "why", required: true, placeholder: "a shared phone", maxlength: 200 });
  const stop = h("button", { class: "stop" }, `Withdraw claim ${n(lane.claim)}`);
  const submit = async (sent) => {
    sent.preventDefault();
    stop.disabled = true;
    try {
      await post("/v1/retract", { sequence: lane.claim, who: who.value, why: why.value });
      box.close();
      announce(`Claim ${lane.claim} is withdrawn`);
      await done();
    } catch (error) {
      problem.textContent = `It was not withdrawn: ${sentence(error.message)} Nothing changed.`;
    } finally {
      stop.disabled = false;
    }
  };
  box.setAttribute("aria-labelledby", "withdraw-title");
  box.replaceChildren(h("form", { onsubmit: submit }, title,
    h("p", { class: "soft" }, `Claim ${n(lane.claim)}${when}. If you withdraw it:`), shown,
    h("div", { class: "field" }, h("label", { for: "who" }, "Your name, for the log"), who),
    h("div", { class: "field" }, h("label", { for: "why" }, "Why"), why), problem,
    h("p", { class: "small soft" }, "Nothing is deleted. A withdrawal can be withdrawn."),
    h("div", { class: "ends" }, h("button", { type: "button", onclick: () => box.close() }, "Keep it"), stop)));
  box.showModal();
  who.focus();
  try {
    const { changes } = await preview(lane.claim);
    shown.replaceChildren(...await linesOf(person, lane, changes, isLegacy));
  } catch (error) {
    shown.replaceChildren(line(glyph("look"), `What would change is not known: ${sentence(error.message)}`));
  }
  shown.removeAttribute("aria-busy");
}

const line = (icon, ...text) => h("li", {}, icon, h("span", {}, ...text));

/** Which IDs move and to whom, which events move with them, what stays, and what would undo it. */
async function linesOf(person, lane, changes, isLegacy) {
  const lines = [];
  /** To whom IDs go that do not become a person of their own. */
  const gains = [];
  for (const [to, ids] of Map.groupBy(changes, (each) => each.to)) {
    const count = h("b", {}, ids.length === 1 ? "1 ID moves. " : `${n(ids.length)} IDs move. `);
    const shown = ids.slice(0, IDS_SHOWN).map((each, at) => [at > 0 && ", ", idText(each.id)]);
    const rest = ids.length > IDS_SHOWN && ` and ${n(ids.length - IDS_SHOWN)} more`;
    const isAlone = ids.some((each) => each.id === to);
    const owner = isAlone ? null : await ask(`/v1/users/${inPath(to)}`).catch(() => null);
    const end = isAlone
      ? ids.length === 1 ? " becomes a person of its own." : " become a person of their own."
      : [owner && !owner.has_user_id ? " goes to " : " becomes ", h("b", {}, owner ? `${nameOf(owner)}${owner.has_user_id ? "’s" : ""}` : idText(to)), ": a claim that was turned down so far will count."];
    if (!isAlone) gains.push(owner ? nameOf(owner) : shortId(to));
    lines.push(line(deviceIcon(lane.kind, lane.colour, true), count, shown, rest, end));
  }
  if (!changes.length) lines.push(line(glyph("done"), h("b", {}, "No ID moves. "), "Another claim says the same."));
  const figures = person.byId;
  const moving = changes.filter((each) => each.from === person.distinct_id);
  const events = moving.reduce((sum, each) => sum + (figures.get(each.id)?.events ?? 0), 0);
  if (moving.length) {
    if (isLegacy) lines.push(line(glyph("done"), "No event moves: each stays where it was put when it came."));
    else lines.push(line(glyph("done"), `${many(events, "event")} from before ${events === 1 ? "moves" : "move"} with ${moving.length === 1 ? "it" : "them"}. Those sent as ${shortName(person)} stay ${shortName(person)}’s.`));
    lines.push(line(glyph("done"), `${nameOf(person)} keeps ${many(person.ids - moving.length, "ID")}. ${gains.length ? `Only ${gains.join(" and ")} ${gains.length === 1 ? "changes" : "change"} too` : "Nobody else changes"}.`));
  }
  const again = {
    merge: "The same $merge, sent again, joins them again.",
    alias: `The same $create_alias, sent again, ${gains.length ? "is turned down then" : "joins them again"}.`,
  }[lane.how];
  // Whoever the device goes to, it stays with them.
  const next = gains.length ? `A later log-in as ${shortName(person)} on it is turned down then.` : `The next log-in as ${shortName(person)} on it joins it again.`;
  lines.push(line(glyph("look"), again ?? next));
  return lines;
}

/** Withdraws the withdrawal of a claim. */
export async function letCount(lane, done) {
  await post("/v1/retract", { sequence: lane.withdrawn.sequence, who: lane.withdrawn.who ?? "the page", why: "it counts again" });
  announce(`Claim ${lane.claim} counts again`);
  await done();
}
