// Shared by the suites of the page: people to look at, a browser that watches what the page does, and axe.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";

import { SERVER, here } from "./support.mjs";

const HOUR_MS = 3_600_000;
/** The most events that are sent at once. */
const BATCH = 1_000;

/** What the browser of each kind of device says. */
export const MAC = { $browser: "Chrome", $os: "Mac OS X" };
export const IPHONE = { $browser: "Mobile Safari", $os: "iOS", $device: "iPhone", $model: "iPhone" };
export const IPAD = { $browser: "Mobile Safari", $os: "iOS", $device: "iPad", $model: "iPad" };
export const ANDROID = { $os: "Android", mp_lib: "android", $brand: "google", $model: "Pixel 8" };
export const WINDOWS = { $browser: "Firefox", $os: "Windows" };
export const DEVICES = [MAC, IPHONE, ANDROID, WINDOWS, IPAD];

/** The UUID of a device of the tests. */
export const uuid = (number) => `5f1ed002-ab5e-4c1d-9bd1-${String(number).padStart(12, "0")}`;

export const anonymous = (id) => ({ distinct_id: `$device:${id}`, $device_id: id });
export const logged = (user, id) => ({ distinct_id: user, $user_id: user, ...(id && { $device_id: id }) });

/** Sends events in the order in which they happened. */
export class Sender {
  constructor(project) {
    this.project = project;
    this.time = Date.now() - 6 * HOUR_MS;
    this.sent = 0;
  }

  async send(where, records) {
    const response = await fetch(SERVER + where, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Basic ${btoa(`${this.project.secret}:`)}` },
      body: JSON.stringify(records),
    });
    const text = await response.text();
    assert(response.ok && (where !== "/track" || text === "1"), `${where}: ${response.status} ${text}`);
  }

  /** The same for many events, of any age. */
  async sendAll(events) {
    for (let at = 0; at < events.length; at += BATCH) await this.send("/import?strict=0", events.slice(at, at + BATCH));
  }

  /** The next event is of so many hours ago. */
  hoursAgo(hours) {
    this.time = Date.now() - hours * HOUR_MS;
  }

  event(name, properties) {
    this.time += 1_000;
    this.sent += 1;
    return { event: name, properties: { token: this.project.token, time: this.time, $insert_id: `i${this.sent}`, ...(properties.$os ? {} : MAC), ...properties } };
  }

  logIn(user, id, browserOf = {}) {
    return [
      this.event("$identify", { ...logged(user, id), $identified_id: user, $anon_id: id, $anon_distinct_id: `$device:${id}`, ...browserOf }),
      this.event("Log In", { ...logged(user, id), ...browserOf }),
    ];
  }

  profile(id, properties) {
    return this.send("/engage", [{ $token: this.project.token, $distinct_id: id, $set: properties }]);
  }
}

/** What a page did: its errors, its dialogs, and the addresses that it asked. */
export class Watch {
  constructor(page) {
    this.problems = [];
    this.asked = [];
    page.on("console", (message) => message.type() === "error" && this.problems.push(message.text()));
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("request", (request) => this.asked.push(request.url()));
    page.on("dialog", (dialog) => {
      this.problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  }

  /** A request that the test makes fail is logged by the browser. */
  expect(status) {
    this.problems = this.problems.filter((text) => !text.includes(String(status)));
  }

  /** Fails unless the page asked this server alone, and nothing went wrong. */
  assertClean() {
    const elsewhere = this.asked.filter((url) => !url.startsWith(`${SERVER}/`) && !url.startsWith("data:"));
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(this.problems, []);
  }
}

/** Opens an address of the page, signed in, and waits for its view. */
export async function open(page, project, address) {
  await page.goto(`${SERVER}${address}#secret=${project.secret}`);
  await page.waitForSelector("main h1");
}

const AXE = await readFile(path.join(here, "node_modules/axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe finds, each with its first element. It is put into the page, whose policy would forbid it: `bypassCSP`. */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  // It also describes what is right, and where each element is, unless it is told not to: a third of its time.
  const options = { runOnly: RULES, resultTypes: ["violations"], selectors: false };
  const found = await page.evaluate(async (how) => (await window.axe.run(how)).violations.map(({ id, nodes }) => [id, nodes[0].html]), options);
  return found.map(([rule, html]) => `${rule} ${html}`);
}
