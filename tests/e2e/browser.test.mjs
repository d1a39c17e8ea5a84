// Runs the unmodified mixpanel-browser in a real browser, on pages of another origin than the server's.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { ALL_ENGINES, Project, SERVER, browser, device, newPage, shop, sleep, until } from "./support.mjs";

const LIBRARIES = [
  { library: "new", sending: "in batches", options: {} },
  { library: "new", sending: "one by one", options: { batch_requests: false } },
  { library: "old", sending: "in batches", options: {} },
  { library: "old", sending: "one by one", options: { batch_requests: false } },
];

let chromium;
let site;

before(async () => {
  chromium = await browser();
  site = await shop();
});
after(async () => {
  await chromium?.close();
  site?.close();
});

/** A browser profile with a page on which the library is initialised. */
async function visitor(library, project, options) {
  const { context, page, problems } = await newPage(chromium);
  const sent = [];
  page.on("request", (request) => sent.push(request));
  const begin = async (name = "home") => {
    await page.goto(`${site.url}/${library}/${name}`);
    await page.evaluate(
      ([token, options]) => window.mixpanel.init(token, options),
      [project.token, { api_host: SERVER, persistence: "localStorage", debug: false, ...options }],
    );
  };
  await begin();
  return {
    page,
    problems,
    begin,
    /** How often an event with this mark was sent, and whether by sendBeacon. */
    sendings(mark) {
      const events = (request) => JSON.parse(atob(new URLSearchParams(request.postData() ?? "").get("data") ?? "W10="));
      return sent
        .filter((request) => [events(request)].flat().some((event) => event.properties?.mark === mark))
        .map((request) => (request.resourceType() === "ping" ? "beacon" : "request"));
    },
    /** Whether a request had 🍔 as the halves of its UTF-16 form, in base64. */
    sentHalves() {
      const bytes = (request) => atob(new URLSearchParams(request.postData() ?? "").get("data") ?? "");
      return sent.some((request) => bytes(request).includes("\xed\xa0\xbc\xed\xbd\x94"));
    },
    /** Calls methods of the library, each in a task of its own, as clicks of a user do. */
    async call(...calls) {
      for (const [method, ...args] of calls) {
        await page.evaluate(
          ([method, args]) => {
            const at = method.split(".");
            const owner = at.length > 1 ? window.mixpanel[at[0]] : window.mixpanel;
            owner[at.at(-1)](...args);
          },
          [method, args],
        );
        await sleep(3);
      }
    },
    /** Calls methods in one task. The library then sends them in an order of its own. */
    burst: (...calls) =>
      page.evaluate((calls) => {
        for (const [method, ...args] of calls) window.mixpanel[method](...args);
      }, calls),
    device: () => page.evaluate(() => window.mixpanel.get_property("$device_id")),
    close: () => context.close(),
  };
}

/** Waits until all marks are stored, and fails if one is stored twice or there are others. */
async function assertOnce(project, prefix, marks) {
  const found = async () => {
    const events = await project.exported();
    return events.map((event) => event.properties.mark).filter((mark) => mark?.startsWith(prefix)).sort();
  };
  await until(async () => new Set(await found()).size >= marks.length);
  // A duplicate would arrive a little later.
  await sleep(500);
  assert.deepEqual(await found(), marks.map((mark) => `${prefix}${mark}`).sort());
}

/** Whether `$identify` accepts the library's own device IDs as anonymous IDs (O-8). */
const joinsByIdentify = (engine, library, project) =>
  engine === "original" && (library === "new" || project.token.startsWith("sdk-ids"));

describe("mixpanel-browser", { concurrency: 5 }, () => {
  for (const engine of ALL_ENGINES) {
    for (const { library, sending, options } of LIBRARIES) {
      const projects = [new Project(`browser-${engine}`)];
      if (engine === "original" && library === "old") projects.push(new Project("sdk-ids-original"));
      for (const project of projects) {
        describe(`${engine}, ${library} library, ${sending}, ${project.token}`, { concurrency: false }, () => {
          const prefix = `${library}.${sending}.`.replaceAll(" ", "-");
          const name = (text) => `${prefix}${text}`;
          const mark = (text) => ({ mark: name(text) });
          const joins = engine === "simplified" || joinsByIdentify(engine, library, project);
          /** The cluster of a user who has logged in on these devices. */
          const cluster = (user, ...devices) => [name(user), ...(joins ? devices.map((id) => device(engine, id)) : [])];

          test("browse, identify, leave, a second user, a second device, people", async () => {
            // Requests of one call each may arrive in any order, on different connections.
            const keepsOrder = options.batch_requests !== false;
            const laptop = await visitor(library, project, options);
            const first = await laptop.device();
            await laptop.call(
              ["track", "View", mark("a1")],
              ["identify", name("ada")],
              ["track", "Log In", mark("a2")],
              ["people.set", { plan: "gold", ...(keepsOrder && { visits: 1 }) }],
              ["people.increment", "visits", keepsOrder ? 4 : 5],
              ["people.union", { tags: ["x"] }],
              ["reset"],
            );
            const second = await laptop.device();
            assert.notEqual(first, second);
            await laptop.call(
              ["track", "View", mark("a3")],
              ["identify", name("bob")],
              ["track", "Buy", mark("a4")],
            );
            const phone = await visitor(library, project, options);
            const third = await phone.device();
            await phone.call(
              ["track", "View", mark("a5")],
              ["identify", name("ada")],
              ["track", "Buy", mark("a6")],
            );
            await assertOnce(project, name("a"), ["1", "2", "3", "4", "5", "6"]);
            await project.assertCluster(cluster("ada", first, third));
            await project.assertCluster(cluster("bob", second));

            const marks = (feed) => feed.map((event) => event.event.properties.mark).filter(Boolean);
            const ada = await project.feed(name("ada"));
            // Newest first, under whichever of the IDs they were sent.
            assert.deepEqual(marks(ada), (joins ? ["a6", "a5", "a2", "a1"] : ["a6", "a2"]).map(name));
            const reattributed = ada.filter((event) => event.is_reattributed);
            assert.deepEqual(marks(reattributed), joins ? ["a5", "a1"].map(name) : []);
            for (const { event, distinct_id } of reattributed) {
              assert.equal(event.properties.distinct_id, name("ada"));
              assert.equal(event.properties.$distinct_id_before_identity, distinct_id);
            }
            assert.deepEqual(marks(await project.feed(name("bob"))), (joins ? ["a4", "a3"] : ["a4"]).map(name));

            const profile = await until(async () => {
              const profile = await project.profile(name("ada")).catch(() => null);
              return profile?.tags && profile.visits === 5 && profile;
            });
            assert.equal(profile.plan, "gold");
            assert.deepEqual(profile.tags, ["x"]);
            assert.deepEqual([laptop.problems, phone.problems], [[], []]);
            await laptop.close();
            await phone.close();
          });

          test("a second user who logs in without a reset stays a separate user", async () => {
            const shared = await visitor(library, project, options);
            const id = await shared.device();
            await shared.call(
              ["track", "View", mark("b1")],
              ["identify", name("carl")],
              ["track", "Buy", mark("b2")],
            );
            // Requests of one call each may overtake each other, and the device stays that of the user whose claim arrives
            // first.
            if (options.batch_requests === false) await assertOnce(project, name("b"), ["1", "2"]);
            await shared.call(["identify", name("dora")], ["track", "Buy", mark("b3")]);
            await assertOnce(project, name("b"), ["1", "2", "3"]);
            await project.assertCluster(cluster("carl", id));
            // S-7, or O-8: the anonymous ID of the second `$identify` is the first user's ID. In Legacy no
            // `$identify` joins IDs (L-11).
            await project.assertCluster([name("dora")]);
            const ofDora = (await project.feed(name("dora"))).map((event) => event.event.properties.mark);
            assert.deepEqual(ofDora.filter(Boolean), [name("b3")]);
            assert.deepEqual(shared.problems, []);
            await shared.close();
          });

          test("alias", async () => {
            const laptop = await visitor(library, project, options);
            const id = await laptop.device();
            await laptop.call(["track", "View", mark("c1")], ["alias", name("nick")]);
            // The library identifies the alias when it has the response.
            await sleep(2_000);
            await laptop.call(["track", "Buy", mark("c2")]);
            await assertOnce(project, name("c"), ["1", "2"]);
            // Original joins them by the alias, Simplified by the event that has both IDs. If `$identify`
            // is rejected (O-8), no ID is marked as identified (O-13), and the oldest is canonical. In Legacy the
            // alias stands for the device's ID (L-8).
            const all = [name("nick"), device(engine, id)];
            await project.assertCluster(joins ? all : all.toReversed());
            assert.deepEqual(laptop.problems, []);
            await laptop.close();
          });

          // The libraries write such a character as the two halves of its UTF-16 form, three bytes each,
          // before base64 (IN-8). They would lose the whole batch if the server refused it.
          test("characters above U+FFFF in the page title, the user ID, the event and the profile", async () => {
            const laptop = await visitor(library, project, options);
            const id = await laptop.device();
            const title = "🍔 menu, 👨‍👩‍👧 & 𝒜 é";
            await laptop.page.evaluate((title) => (document.title = title), title);
            const user = "🍔é𝒜";
            await laptop.call(
              ["track", "View 🍔", { ...mark("f1"), title: await laptop.page.title(), "key 🍔": ["👍"] }],
              ["track", "View", mark("f2")],
              ["identify", name(user)],
              ["track", "Buy", { ...mark("f3"), title }],
              ["people.set", { $name: "Ada 🍔", dish: title }],
              ["people.union", { tags: ["🍔"] }],
            );
            if (library === "new") await laptop.call(["track_pageview", mark("f4")]);
            // The events of the same batches without such characters are stored too.
            await assertOnce(project, name("f"), library === "new" ? ["1", "2", "3", "4"] : ["1", "2", "3"]);
            await project.assertCluster(cluster(user, id));
            assert(laptop.sentHalves(), "the library now sends UTF-8: IN-8 needs another sender");
            const stored = (await project.exported()).filter((event) => event.properties.mark?.startsWith(name("f")));
            const of = (mark) => stored.find((event) => event.properties.mark === name(mark));
            assert.equal(of("f1").event, "View 🍔");
            assert.equal(of("f1").properties.title, title);
            assert.deepEqual(of("f1").properties["key 🍔"], ["👍"]);
            assert.equal(of("f3").properties.title, title);
            assert.equal(of("f3").properties.distinct_id, name(user));
            assert.equal(of("f3").properties.$user_id, name(user));
            if (library === "new") assert.equal(of("f4").properties.current_page_title, title);
            const profile = await until(async () => {
              const profile = await project.profile(name(user)).catch(() => null);
              return profile?.tags && profile;
            });
            assert.equal(profile.$name, "Ada 🍔");
            assert.equal(profile.dish, title);
            assert.deepEqual(profile.tags, ["🍔"]);
            assert.deepEqual(laptop.problems, []);
            await laptop.close();
          });

          test("calls in one task, which the library sends in any order", async () => {
            const laptop = await visitor(library, project, options);
            const id = await laptop.device();
            await laptop.burst(
              ["track", "View", mark("d1")],
              ["identify", name("eve")],
              ["track", "Log In", mark("d2")],
              ["track", "Buy", mark("d3")],
            );
            await assertOnce(project, name("d"), ["1", "2", "3"]);
            await project.assertCluster(cluster("eve", id));
            await laptop.close();
          });

          test("events in flight while the user leaves the page are stored once", async () => {
            const laptop = await visitor(library, project, options);
            const id = await laptop.device();
            await laptop.call(["track", "View", mark("e1")], ["identify", name("finn")]);
            if (options.batch_requests === false) {
              // Without batches, an event survives only if the page asks for sendBeacon.
              await assertOnce(project, name("e"), ["1"]);
              await laptop.call(["track", "Leave", mark("e2"), { transport: "sendBeacon" }]);
            } else {
              await laptop.call(["track", "Leave", mark("e2")]);
            }
            await laptop.page.goto("about:blank");
            // No page with the library has been open since then that could have sent it.
            await assertOnce(project, name("e"), ["1", "2"]);
            // The library kept the events that it sent by sendBeacon, and sends them again.
            await laptop.begin("again");
            await laptop.call(["track", "Come Back", mark("e3")]);
            await assertOnce(project, name("e"), ["1", "2", "3"]);
            await sleep(options.batch_requests === false ? 0 : 7_000);
            await assertOnce(project, name("e"), ["1", "2", "3"]);
            // So it was sent twice: as the user left the page (this test can no longer see that), and again now.
            const last = laptop.sendings(name("e2"));
            assert.deepEqual(last, [options.batch_requests === false ? "beacon" : "request"]);
            await project.assertCluster(cluster("finn", id));
            await laptop.close();
          });
        });
      }
    }
  }
});
