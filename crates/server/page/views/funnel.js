// Funnel: how many go all the way, with ID merge and without it.

import { ask } from "../lib/api.js";
import { announce, glyph, h, none, say } from "../lib/dom.js";
import { userLink } from "../lib/people.js";
import { many, n, percent, plain, shortId, visible } from "../lib/words.js";

const DAYS = 7;
const DAYS_MAX = 366;
const STEPS_SUGGESTED = 3;
const STOPPED_SHOWN = 20;

export async function funnel(query, { go, signal }) {
  const { names } = await ask("/v1/event-names");
  const steps = query.getAll("step");
  const days = Number(query.get("days")) || DAYS;
  const editor = form(steps.length ? steps : suggested(names), days, names, go);
  if (!steps.length) {
    const heading = names.length ? "How many go all the way?" : "Nobody did anything yet.";
    return h("div", {}, say(heading), h("p", { class: "sub" }, "Name the steps, in their order. The same users are counted with ID merge and without it."), editor);
  }
  const report = await ask("/v1/funnel", { steps: JSON.stringify(steps), window_days: days, stopped: STOPPED_SHOWN }, { signal });
  announce("Counted");
  const missing = nobody(report, names);
  // Nobody took the first step, so there are no figures to show.
  if (!report.steps[0].users) return h("div", {}, say(missing ?? `Nobody did “${visible(steps[0])}” within ${many(days, "day")}.`), editor);
  return h("div", {}, figures(report, days), missing && none(missing), editor);
}

/** The events that most users did, without those that idmerge and SDKs make. */
function suggested(names) {
  const own = names.map(({ event }) => event).filter((event) => !event.startsWith("$"));
  return own.length >= 2 ? own.slice(0, STEPS_SUGGESTED) : ["", ""];
}

function figures({ steps, stopped }, days) {
  const whole = steps[0];
  const end = steps.at(-1);
  const widest = Math.max(whole.users, whole.users_without_merge, 1);
  const wide = (users) => `${(100 * users) / widest}%`;
  // Even one is to be seen, and none is not.
  const bar = (width) => width !== "0%" && h("i", { "--wide": width });
  const headline = (kind, label, part, of) =>
    h("figure", { class: kind }, h("b", {}, percent(part, of)), h("figcaption", { class: "soft" }, label));
  const sentence = `${n(end.users)} of ${many(whole.users, "person", "people")} went from ${visible(whole.event)} to ${visible(end.event)} within ${many(days, "day")}. Counted by raw IDs it looks like ${n(end.users_without_merge)} of ${n(whole.users_without_merge)}.`;
  const step = (each, at) => {
    const before = steps[at - 1];
    const lost = before ? before.users - each.users : 0;
    return h("li", { class: "step" },
      h("h2", {}, visible(each.event), before && h("span", { class: "num" }, `${percent(each.users, before.users)} go on`)),
      h("div", { class: "pair" },
        h("div", {},
          h("div", { class: "full" }, bar(wide(each.users)), lost > 0 && h("s", { "--wide": wide(lost) })),
          h("span", { class: "figures num" }, h("b", {}, n(each.users)), h("span", {}, percent(each.users, whole.users)))),
        h("div", { class: "small soft" },
          h("div", { class: "thin" }, bar(wide(each.users_without_merge))),
          h("span", { class: "figures num" }, h("span", {}, n(each.users_without_merge)),
            h("span", {}, percent(each.users_without_merge, whole.users_without_merge), h("span", { class: "sr" }, " without ID merge"))))),
      at < steps.length - 1 ? stoppedAt(each.users - steps[at + 1].users, stopped?.[at] ?? []) : h("p", { class: "lost" }));
  };
  return h("div", {},
    h("h1", { class: "sr", tabindex: "-1" },
      `Funnel: with ID merge ${percent(end.users, whole.users)} go all the way, without it ${percent(end.users_without_merge, whole.users_without_merge)}`),
    h("div", { class: "gap" },
      headline("with-id", "go all the way", end.users, whole.users),
      headline("without", "without ID merge", end.users_without_merge, whole.users_without_merge),
      h("p", { class: "say" }, sentence)),
    h("p", { class: "key" }, h("span", {}, h("i", { class: "k-user" }), "people, with ID merge"),
      h("span", {}, h("i", { class: "k-lost" }), "who stopped"), h("span", {}, h("i", { class: "k-raw" }), "raw distinct_ids, without")),
    h("ol", { class: "steps" }, steps.map(step)));
}

/** How many stopped at a step, and who. */
function stoppedAt(count, ids) {
  const words = `${n(count)} stopped here`;
  if (!ids.length) return h("p", { class: "lost soft" }, words);
  const more = count - ids.length;
  return h("details", { class: "lost" }, h("summary", { class: "num soft" }, words),
    h("ul", {}, ids.map((id) => h("li", {}, userLink(id, shortId(id), "events"))), more > 0 && h("li", { class: "soft" }, `and ${n(more)} more`)));
}

/** A step that nobody did is mostly a name that is spelt another way. */
function nobody({ steps }, names) {
  const missing = steps.find((each) => each.users === 0 && !names.some(({ event }) => event === each.event));
  if (!missing) return null;
  const like = names.find(({ event }) => plain(event) === plain(missing.event));
  const hint = like ? ` Did you mean “${visible(like.event)}”?` : "";
  return `Nobody did “${visible(missing.event)}”.${hint}`;
}

function form(steps, days, names, go) {
  const list = h("ol");
  const number = () => [...list.children].forEach((row, at) => {
    const [count, input, remove] = row.children;
    count.textContent = at + 1;
    input.setAttribute("aria-label", `Step ${at + 1}`);
    remove.setAttribute("aria-label", `Remove step ${at + 1}`);
    remove.disabled = list.children.length === 1;
  });
  const add = (value) => {
    const input = h("input", { list: "event-names", value, autocomplete: "off", spellcheck: "false", required: true });
    const remove = h("button", { class: "icon", type: "button", onclick: () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      number();
      next?.children[1].focus();
    } }, glyph("cross"));
    const row = h("li", {}, h("span", { class: "num" }), input, remove);
    list.append(row);
    number();
    return input;
  };
  steps.forEach(add);
  const within = h("input", { id: "days", type: "number", min: 1, max: DAYS_MAX, value: days, required: true });
  const submit = (sent) => {
    sent.preventDefault();
    const query = new URLSearchParams();
    for (const row of list.children) query.append("step", row.children[1].value);
    if (Number(within.value) !== DAYS) query.append("days", within.value);
    go(`/funnel?${query}`);
  };
  return h("section", { class: "asks", "aria-labelledby": "ask" }, h("h2", { id: "ask" }, "Steps, in their order"),
    h("form", { onsubmit: submit }, list,
      h("datalist", { id: "event-names" }, names.map(({ event }) => h("option", { value: event }))),
      h("button", { class: "text", type: "button", onclick: () => add("").focus() }, "Add a step"),
      h("div", { class: "tools" }, h("label", { for: "days" }, "All within"), within, "days", h("button", { class: "go" }, "Count"))));
}
