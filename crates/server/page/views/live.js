// Live: events as they come, with what each identity event joined.

import { project, stream } from "../lib/api.js";
import { announce, glyph, h, say } from "../lib/dom.js";
import { deviceIcon, time, userLink } from "../lib/people.js";
import { many, n, seconds, shortId, visible, clock } from "../lib/words.js";
import { telling } from "./telling.js";

/** What stands instead of a list without rows. */
const NOTHING = {
  all: "What comes from now on appears here at once.",
  merged: "No event of those shown joined anything.",
  rejected: "No event of those shown was turned down.",
};
const ROWS_MAX = 200;
const KEPT_MAX = 2_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const AGAIN_MS = 3_000;
const COUNT_MS = 1_000;
/** Of what comes at once, the sentence is made when it is there. */
const BURST_MS = 50;

export async function live(_query, { signal, reload }) {
  const view = new Live(await project(), signal, reload);
  view.follow();
  return view.element;
}

class Live {
  constructor({ token }, signal, reload) {
    this.token = token;
    this.signal = signal;
    this.reload = reload;
    this.only = "all";
    this.isRunning = true;
    this.kept = [];
    this.seen = [];
    this.last = null;
    this.list = h("ol", { class: "live", "aria-label": "Events as they come, newest first" });
    this.heading = say("Waiting for events.");
    this.notices = h("div", {});
    this.tokens = new Map();
    this.stateText = h("span", {}, "Live");
    this.empty = h("p", { class: "soft nothing" }, NOTHING.all);
    this.state = h("p", { role: "status" }, h("span", { class: "beat" }), this.stateText);
    this.pause = h("button", { type: "button", onclick: () => this.toggle() }, "Pause");
    this.element = h("div", {}, this.heading, this.notices,
      h("div", { class: "tools" }, this.picker(), this.pause, this.state), this.list, this.empty);
    // Not for each event: it looks through those of the last hour.
    const tick = setInterval(() => (signal.aborted ? clearInterval(tick) : this.count()), COUNT_MS);
  }

  picker() {
    const choices = [["all", "All"], ["merged", "Merges"], ["rejected", "Rejections"]];
    const buttons = choices.map(([key, text]) =>
      h("button", { type: "button", "aria-pressed": String(key === this.only), onclick: (pressed) => {
        this.only = key;
        for (const each of buttons) each.setAttribute("aria-pressed", String(each === pressed.currentTarget));
        for (const row of this.list.children) row.hidden = !this.isShown(row.dataset.kind);
        this.sayIfEmpty();
      } }, text));
    return h("div", { class: "pick", role: "group", "aria-label": "Show" }, buttons);
  }

  isShown(kind) {
    return this.only === "all" || this.only === kind;
  }

  sayIfEmpty() {
    this.empty.textContent = NOTHING[this.only];
    this.empty.hidden = [...this.list.children].some((row) => !row.hidden);
  }

  toggle() {
    this.isRunning = !this.isRunning;
    this.pause.textContent = this.isRunning ? "Pause" : "Go on";
    this.state.classList.toggle("paused", !this.isRunning);
    this.stateText.textContent = this.isRunning ? "Live" : "Paused. What comes meanwhile is kept.";
    if (this.isRunning) for (const event of this.kept.splice(0)) this.add(event);
  }

  /** Reads the stream, and goes on where it ended if the connection is lost. */
  async follow() {
    while (!this.signal.aborted) {
      try {
        await stream("/v1/live", { after: this.last }, this.signal, (kind, data, id) => this.take(kind, data, id));
      } catch (error) {
        if (this.signal.aborted || error.name === "AbortError") return;
        if (error.status === 401) return void this.reload();
      }
      if (this.signal.aborted) return;
      const since = seconds(Date.now());
      this.state.classList.add("gone");
      this.stateText.textContent = `Not live: the connection is gone. Events since ${since} are fetched when it is back.`;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  take(kind, data, id) {
    this.state.classList.remove("gone");
    if (this.isRunning) this.stateText.textContent = "Live";
    if (kind === "unknown_token") return this.warn(data);
    this.last = id ?? data.number;
    clearTimeout(this.burst);
    this.burst = setTimeout(() => this.count(), BURST_MS);
    this.seen.push([data.received_ms, data.answer]);
    if (this.isRunning) this.add(data);
    else if (this.kept.push(data) > KEPT_MAX) this.kept.shift();
  }

  add(event) {
    const kind = event.answer === "merged" || event.answer === "rejected" ? event.answer : "event";
    const isNobody = event.distinct_id === null || event.device?.distinct_id === event.distinct_id;
    const who = isNobody ? h("i", { class: "soft" }, "nobody yet") : userLink(event.distinct_id, this.nameOf(event));
    const row = h("li", { class: `${kind} fresh`, "data-kind": kind },
      time(event.received_ms, seconds(event.received_ms)),
      deviceIcon(event.device?.kind ?? "unknown", isNobody ? undefined : "var(--d1)", isNobody),
      h("span", { class: "name" }, visible(event.event)), h("span", { class: "by" }, who),
      h("span", { class: "tell" }, this.tell(event)));
    row.hidden = !this.isShown(kind);
    this.list.prepend(row);
    if (!row.hidden) this.empty.hidden = true;
    if (this.list.children.length > ROWS_MAX) this.list.lastChild.remove();
    if (kind !== "event") announce(row.textContent);
  }

  nameOf(event) {
    return event.name ? visible(event.name) : shortId(event.distinct_id);
  }

  tell(event) {
    const device = event.device?.label ?? "This ID";
    if (event.answer === "merged") {
      const moved = event.moved_events ? `: ${many(event.moved_events, "earlier event")} moved to ${this.nameOf(event)}` : "";
      return `${device} is now ${this.nameOf(event)}’s${moved}`;
    }
    if (event.answer !== "rejected") return telling(event.properties ?? {});
    if (event.error === "errAnonDistinctIdAssignedAlready" && event.holder) {
      const { distinct_id: id, name } = event.holder;
      return ["Not joined: this device is already ", userLink(id, `${name ? visible(name) : shortId(id)}’s`),
        ". Was reset() not called?"];
    }
    return `Not joined: ${visible(event.error ?? "")}`;
  }

  /** The sentence over the list: how many events a minute, and how many devices found their person. */
  count() {
    const now = Date.now();
    this.seen = this.seen.filter(([ms]) => now - ms < HOUR_MS).slice(-100_000);
    const minute = this.seen.filter(([ms]) => now - ms < MINUTE_MS).length;
    const of = (answer) => this.seen.filter(([, each]) => each === answer).length;
    const merged = of("merged");
    const rejected = of("rejected");
    const found = merged + rejected
      ? ` Of those shown, ${many(merged, "device")} found ${merged === 1 ? "its" : "their"} person; ${n(rejected)} did not.`
      : "";
    this.heading.textContent = `${many(minute, "event")} in the last minute.${found}`;
  }

  warn(token) {
    this.tokens.set(token.token, token);
    this.notices.replaceChildren(...[...this.tokens.values()].map((each) => h("div", { class: "notice" }, glyph("look"),
      h("p", {},
        h("b", {}, `${many(each.events, "event")} ${each.events === 1 ? "was" : "were"} thrown away: no project here has the token “${visible(each.token)}”. `),
        `It comes from ${visible(each.from)} since ${clock(each.since_ms)}. A typo in `, h("code", {}, "mixpanel.init()"),
        "? The token of this project is “", h("bdi", {}, visible(this.token)), "”."))));
  }
}

