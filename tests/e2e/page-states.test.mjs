// Looks at every state of the server's own page, wide and narrow, light and dark: a picture of each for a person to
// judge, no violation that axe finds, and nothing wider than the window.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { populate } from "./page-people.mjs";
import { Sender, Watch, anonymous, logged, open, uuid, violations } from "./page.mjs";
import { ALL_ENGINES, OUT, Project, SERVER, browser, device } from "./support.mjs";

const HEIGHT = 900;
/**
 * The windows, the colours in which each state is seen, and whether axe looks at it: it takes much of the time, and finds
 * the same in two windows with the same layout. A state is opened once for both colours, which only the styles know.
 */
const WINDOWS = [[1280, ["light", "dark"], true], [390, ["light", "dark"], true], [320, ["light"], false], [2560, ["light"], false]];
/** `IDMERGE_STATES=identity` looks at those alone whose name has the word. */
const ONLY = process.env.IDMERGE_STATES ?? "";

let chromium;
before(async () => {
  chromium = await browser();
  await mkdir(OUT, { recursive: true });
});
after(() => chromium?.close());

const userPath = (id, tab) => `/users/${encodeURIComponent(id)}/${tab}`;
const MARA = "mara@example.com";
const TOBI = "tobi@example.com";
const FUNNEL = "/funnel?step=Page+View&step=Sign+Up&step=Purchase&days=30";

async function dialog(page) {
  await page.locator(".act button").first().click();
  await page.waitForSelector(".preview:not([aria-busy])");
}

/** Every request of the page to the API gets this answer. */
const answers = (status, error) => (page) =>
  page.route("**/v1/**", (route) => (status ? route.fulfill({ status, json: { error } }) : route.abort()));

/** What there is to see: an address, what to do there before and after it is opened, and what to wait for. */
function states(engine) {
  const nobody = userPath(device(engine, uuid(2_100)), "identity");
  const shared = {
    users: ["/users"], "search-found": ["/users?q=example"], "search-nearest": ["/users?q=marra"], "search-nothing": ["/users?q=0123456789abcdef"],
    unknown: [userPath("mara@example.org", "events")],
    live: ["/live", { wait: ".live li" }],
    "live-rejections": ["/live", { wait: ".live li", act: (page) => page.click("text=Rejections") }],
    "live-paused": ["/live", { wait: ".live li", act: (page) => page.click("text=Pause") }],
    "live-lost": ["/live", { wait: ".live li", before: (page) => page.route("**/v1/live*", (route, request) =>
      (request.url().includes("after=") ? route.abort() : route.fulfill({ contentType: "text/event-stream", body: LIVE }))),
    act: (page) => page.waitForSelector("text=Not live") }],
    events: [userPath(MARA, "events"), { wait: ".events summary", act: (page) => page.locator(".events summary").first().click() }],
    "events-rejected": [userPath(MARA, "events"), { act: async (page) => {
      await page.selectOption("#by-name", "Log In");
      await page.waitForFunction(() => [...document.querySelectorAll(".events .name")].every((name) => name.textContent === "Log In"));
      await page.waitForSelector(".events .turned-down");
    } }],
    "events-nothing": [userPath(MARA, "events"), { act: async (page) => {
      await page.selectOption("#by-name", "Sign Up");
      await page.selectOption("#by-id", device(engine, uuid(3)));
      await page.waitForSelector(".none");
    } }],
    identity: [userPath(MARA, "identity"), { wait: ".lanes .quiet" }],
    "identity-folded": [userPath(TOBI, "identity"), { wait: ".lanes .bundle" }],
    "identity-unfolded": [userPath(TOBI, "identity"), { act: (page) => page.click(".bundle button") }],
    "identity-200": [userPath("qa-robot", "identity"), { wait: ".lanes .bundle" }],
    "identity-list": [userPath("qa-robot", "identity"), { act: async (page) => {
      await page.click(".bundle button");
      await page.keyboard.type("1007");
    } }],
    "identity-device": [nobody],
    dialog: [userPath(MARA, "identity"), { act: dialog }],
    "dialog-of-another": [userPath(TOBI, "identity"), { act: dialog }],
    "dialog-failed": [userPath(MARA, "identity"), { act: async (page) => {
      await dialog(page);
      await answers(422, "20,001 entries are connected with the claim")(page);
      await page.fill("#who", "Ada");
      await page.fill("#why", "a shared phone");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector("dialog .problem").textContent);
    } }],
    properties: [userPath(MARA, "properties")], "properties-none": [userPath("pavel@example.com", "properties")],
    "properties-device": [userPath(device(engine, uuid(2_100)), "properties")],
    funnel: [FUNNEL, { wait: ".steps" }], "funnel-steps": ["/funnel"], "funnel-nobody": ["/funnel?step=page+view&step=Purchase"],
    health: ["/health"],
    "server-gone": ["/health", { before: answers(0), wait: "#trouble:not(:empty)" }],
    "server-busy": ["/users", { before: answers(429, "too many queries are running"), wait: "#trouble:not(:empty)" }],
    "server-failed": ["/users", { before: answers(500, "the query failed; the server's log has the reason") }],
    "secret-changed": ["/users", { before: answers(401, "the secret is wrong"), wait: "#secret" }],
  };
  if (engine === "simplified") return shared;
  // The views are the same code in each model, so the others show what they alone have.
  const { health, identity } = shared;
  const lea = (tab) => userPath("lea@example.com", tab);
  if (engine === "legacy") {
    return {
      legacy: [lea("identity"), { wait: ".lanes .now" }], "legacy-events": [lea("events")], "legacy-rejected": [userPath(uuid(5_001), "identity")],
      "legacy-dialog": [lea("identity"), { act: dialog }], "legacy-alone": [userPath("tobi@example.com", "identity")],
      hidden: [lea("properties"), { act: (page) => page.click(".hidden-profiles summary") }],
    };
  }
  return { health, identity, original: [userPath("noor", "identity"), { wait: ".lanes .now" }], hidden: [userPath("noor", "properties"), { act: (page) => page.click(".hidden-profiles summary") }] };
}

const LIVE = `event: event\nid: 1\ndata: ${JSON.stringify({ number: 1, time_ms: Date.now(), received_ms: Date.now(), event: "Page View", distinct_id: MARA, name: "Mara Quill", answer: null, properties: {} })}\n\n`;

for (const engine of ALL_ENGINES) {
  // Two windows at once: axe keeps a core busy for each.
  describe(`the states of the page, ${engine}`, { concurrency: 2 }, () => {
    const project = new Project(`page-states-${engine}`);
    const empty = new Project(`page-empty-${engine}`);

    before(async () => {
      const sender = new Sender(project);
      await populate(sender, engine);
      sender.hoursAgo(0.05);
      await sender.send("/track", [sender.event("View", { distinct_id: "undefined" })]).catch(() => {});
      for (let at = 0; at < 14; at += 1) {
        await fetch(`${SERVER}/track`, {
          method: "POST", headers: { Origin: "http://127.0.0.1:8000" },
          body: JSON.stringify([{ event: "A", properties: { token: project.token.replace("e", "3"), ...logged("q") } }]),
        });
      }
      // Events of now, for Live: a log-in that joins, and one that does not.
      await sender.send("/track", [sender.event("Page View", anonymous(uuid(4_000))), sender.event("Page View", anonymous(uuid(4_000)))]);
      await sender.send("/track", sender.logIn("lotte@example.com", uuid(4_000)));
      await sender.send("/track", sender.logIn("wim@example.com", uuid(4_000)));
    });

    for (const [width, colours, withAxe] of WINDOWS) {
      test(`every state ${withAxe ? "is accessible and " : ""}fits ${width} px, ${colours.join(" and ")}`, async () => {
        const options = { viewport: { width, height: HEIGHT }, bypassCSP: true, reducedMotion: "reduce" };
        const context = await chromium.newContext(options);
        const found = [];
        const look = async (page, name) => {
          for (const colorScheme of colours) {
            await page.emulateMedia({ colorScheme });
            await page.screenshot({ path: path.join(OUT, `page-${engine}-${name}-${width}-${colorScheme}.png`) });
            if (withAxe) found.push(...(await violations(page)).map((text) => `${name}, ${colorScheme}: ${text}`));
            const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (over > 0) found.push(`${name}, ${colorScheme}, is ${over} px wider than the window`);
          }
        };
        const signIn = await context.newPage();
        await signIn.goto(SERVER);
        await signIn.waitForSelector("#secret");
        await look(signIn, "signin");
        await signIn.fill("#secret", "wrong");
        await signIn.press("#secret", "Enter");
        await signIn.waitForFunction(() => document.querySelector("#secret-problem").textContent);
        await look(signIn, "signin-wrong");
        await open(signIn, empty, "/users");
        await look(signIn, "empty");
        await open(signIn, empty, "/live");
        await look(signIn, "empty-live");
        await open(signIn, empty, "/health");
        await look(signIn, "empty-health");
        await signIn.close();
        for (const [name, [address, how = {}]] of Object.entries(states(engine))) {
          if (!name.includes(ONLY)) continue;
          const page = await context.newPage();
          const watch = new Watch(page);
          await how.before?.(page);
          if (how.before) await page.goto(`${SERVER}${address}#secret=${project.secret}`);
          else await open(page, project, address);
          await page.waitForSelector(how.wait ?? "main h1", { state: "attached" });
          await how.act?.(page);
          await look(page, name);
          assert.deepEqual(watch.problems.filter((text) => !text.startsWith("Failed to load resource")), [], name);
          await page.close();
        }
        await context.close();
        assert.deepEqual(found, []);
      });
    }
  });
}
