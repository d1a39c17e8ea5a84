// The drawing of the lanes. It is laid over the rows of the list where they came to stand, so text may wrap as it
// likes. The list alone says everything; the drawing is hidden from screen readers.

import { h, s } from "../lib/dom.js";
import { at16, deviceIcon, GREY, initials } from "../lib/people.js";
import { between } from "./known.js";
import { columnsOf } from "./moments.js";

const NARROW = 640;
const STRANDS = 7;

/** The sizes of the drawing at the width of a list. */
function sizesOf(list, lanes, moments) {
  const isNarrow = list.clientWidth < NARROW;
  const columns = columnsOf(lanes);
  const used = moments.filter((each) => each.lane).map((each) => columns.get(each.lane));
  // Lanes further out share the last column.
  const count = Math.min(Math.max(2, ...used), isNarrow ? 3 : 5);
  const step = isNarrow ? 17 : 46;
  return { isNarrow, columns, count, step, graph: count * step + (isNarrow ? 32 : 64) };
}

class Drawing {
  constructor(list, moments, story, person) {
    Object.assign(this, sizesOf(list, story.lanes, moments));
    this.known = story.known;
    this.colours = person.colours;
    list.style.setProperty("--graph", `${this.graph}px`);
    this.own = story.lanes.find((lane) => lane.id === person.distinct_id);
    this.list = list;
    this.moments = moments;
    this.initials = initials(person);
    const rows = [...list.querySelectorAll(":scope > li")];
    this.tops = rows.map((row) => row.offsetTop);
    this.bottoms = rows.map((row) => row.offsetTop + row.offsetHeight);
    this.spineX = (rows[0]?.querySelector(".what").offsetLeft ?? 0) - this.graph + (this.isNarrow ? 14 : 22);
    this.lastX = this.spineX + this.count * this.step;
    this.lanes = [];
    this.ticks = [];
    this.heads = [];
    this.joins = [];
  }

  x(lane) {
    return this.spineX + Math.min(this.columns.get(lane), this.count) * this.step;
  }

  targetX(lane) {
    return lane.into === null ? this.spineX : this.x(lane.into);
  }

  middle(at) {
    return (this.tops[at] + this.bottoms[at]) / 2;
  }

  /** A curve from one lane to another, vertical at both ends. */
  flow(fromX, fromY, toY, toX = this.spineX) {
    const y = (share) => fromY + (toY - fromY) * share;
    return `C${fromX} ${y(0.62)} ${toX} ${y(0.38)} ${toX} ${toY}`;
  }

  line(d, colour, kind = "") {
    this.lanes.push(s("path", { class: `lane ${kind}`, d, "--c": colour }));
  }

  /** A tick for each event as far as there is room, evenly: in their order, not to scale. */
  spread(fromY, toY, events, x, colour, apart = 4.5) {
    const shown = Math.min(events, Math.floor((toY - fromY) / apart));
    for (let at = 0; at < shown; at += 1) {
      const y = fromY + ((at + 0.5) * (toY - fromY)) / shown;
      this.ticks.push(s("path", { class: "tick", d: `M${x - 6} ${y}h12`, "--c": colour }));
    }
  }

  /** Ticks left of the spine: what was sent as the known user, in the colour of the device. */
  quiet(at, { ms, until, known: devices }) {
    const colours = between(this.known, ms, until)?.map(([, device]) => this.colours.get(device) ?? GREY)
      ?? devices.map((lane) => lane.colour);
    const [fromY, toY] = [this.tops[at] + 3, this.bottoms[at] - 3];
    const shown = Math.min(colours.length, Math.floor((toY - fromY) / 4.5));
    const [left, right] = [this.spineX - (this.isNarrow ? 12 : 19), this.spineX - 7];
    for (let tick = 0; tick < shown; tick += 1) {
      const y = fromY + ((tick + 0.5) * (toY - fromY)) / shown;
      const colour = colours[Math.floor((tick * colours.length) / shown)];
      this.ticks.push(s("path", { class: "tick", d: `M${left} ${y}H${right}`, "--c": colour }));
    }
  }

  head(cx, cy, lane, isAnonymous) {
    this.heads.push(s("circle", { class: "back", cx, cy, r: 12 }), at16(deviceIcon(lane.kind, lane.colour, isAnonymous), cx, cy));
  }

  knot(y, lane) {
    if (lane.into === null) this.joins.push(y);
    this.heads.push(s("circle", { class: "knot", cx: this.targetX(lane), cy: y, r: 5.5, "--c": lane.colour }));
  }

  appear(at, { lane }) {
    const x = this.x(lane);
    const joinAt = this.moments.findIndex((each) => each.kind === "join" && each.lane === lane);
    const start = this.tops[at] + 23;
    const isJoined = joinAt >= 0 && !lane.withdrawn;
    const knot = joinAt < 0 ? 0 : this.tops[joinAt] + 34;
    const bend = joinAt < 0 ? this.bottoms.at(-1) - 4 : Math.max(start + 16, this.tops[joinAt] - 22);
    const end = isJoined ? this.flow(x, bend, knot, this.targetX(lane)) : "";
    this.line(`M${x} ${start}V${bend}${end}`, lane.withdrawn ? "var(--edge)" : lane.colour);
    this.spread(start + 14, bend, lane.events, x, lane.colour);
    this.head(x, start, lane, true);
    if (isJoined) this.knot(knot, lane);
    else if (lane.withdrawn && joinAt >= 0) this.lanes.push(s("path", { class: "bad dash", d: `M${x} ${bend}v22` }));
  }

  join(at, { lane, isHook }) {
    if (!isHook) return;
    const x = this.x(lane);
    const start = this.tops[at] + 23;
    const knot = this.bottoms[at] - 4;
    const bend = Math.max(start + 18, knot - 34);
    if (lane.withdrawn) {
      this.lanes.push(s("path", { class: "bad dash", d: `M${x} ${start}V${this.bottoms[at] - 8}` }));
    } else {
      this.line(`M${x} ${start}V${bend}${this.flow(x, bend, knot, this.targetX(lane))}`, lane.colour);
      this.spread(start + 12, bend + 6, lane.events, x, lane.colour, 3.6);
      this.knot(knot, lane);
    }
    this.head(x, start, lane, Boolean(lane.withdrawn));
  }

  bundle(at, { run }) {
    const strands = Math.min(STRANDS, run.length);
    const top = this.tops[at] + 14;
    for (let strand = 0; strand < strands; strand += 1) {
      const x = this.lastX - ((strands - 1 - strand) * (this.count * this.step - 14)) / strands;
      const reach = (this.bottoms[at] - this.tops[at] - 62) * (strand / strands);
      this.line(`M${x} ${top - 2}V${top + reach}${this.flow(x, top + reach, top + 44 + reach)}`, GREY, "thin");
    }
    this.joins.push(top + 36);
  }

  reject(at, { otherInitials }) {
    const y = this.middle(at);
    // Of a device of nobody there is no spine, but its own lane.
    const from = this.own ? this.x(this.own) : this.spineX;
    const cross = (from + this.lastX) / 2;
    this.heads.push(
      s("path", { class: "bad dash", d: `M${from + 7} ${y}H${cross - 11}` }),
      s("path", { class: "bad", d: `M${cross - 5} ${y - 5}l10 10m0 -10l-10 10` }),
      s("circle", { class: "knot", cx: from, cy: y, r: 5, "--c": "var(--reject)" }));
    if (!otherInitials) return;
    this.heads.push(
      s("circle", { class: "other", cx: this.lastX, cy: y, r: this.isNarrow ? 9 : 13 }),
      s("text", { class: "who", x: this.lastX, y, "font-size": this.isNarrow ? 8 : 10.5 }, otherInitials));
  }

  now(at) {
    const y = this.middle(at);
    this.heads.push(
      s("circle", { class: "you", cx: this.spineX, cy: y, r: this.isNarrow ? 13 : 19 }),
      s("text", { class: "who you", x: this.spineX, y, "font-size": this.isNarrow ? 10 : 14 }, this.initials));
  }

  finish() {
    this.moments.forEach((moment, at) => this[moment.kind](at, moment));
    const joins = this.joins.sort((a, b) => a - b);
    const isSpineShown = joins.length > 0;
    if (isSpineShown) {
      const end = this.middle(this.tops.length - 1);
      this.lanes.unshift(s("path", { class: "spine", d: `M${this.spineX} ${joins[0]}V${end}` }));
    }
    const svg = s("svg", { width: this.graph + Math.max(0, this.spineX), height: this.list.clientHeight, "aria-hidden": "true" },
      this.lanes, this.ticks, this.heads);
    this.list.querySelector(":scope > svg")?.remove();
    this.list.append(svg);
  }
}

/** Draws the lanes over the rows of `list`, and again whenever its size changes. */
export function draw(list, moments, story, person) {
  const redraw = () => {
    if (list.isConnected && list.children.length) new Drawing(list, moments, story, person).finish();
  };
  let width = -1;
  let height = -1;
  new ResizeObserver(() => {
    const { clientWidth, clientHeight } = list;
    if (clientWidth === width && clientHeight === height) return;
    redraw();
    [width, height] = [list.clientWidth, list.clientHeight];
  }).observe(list);
}

export const histogram = (bars) =>
  h("div", { class: "hist", "aria-hidden": "true" }, bars.map((count) => h("i", { "--tall": `${(100 * count) / Math.max(...bars)}%` })));
