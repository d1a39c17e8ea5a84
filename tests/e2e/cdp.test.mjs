// Runs the unmodified SDKs of Segment and RudderStack, in Chromium and in Node, against the server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import RudderStack from "@rudderstack/rudder-sdk-node";
import { Analytics } from "@segment/analytics-node";

import { ALL_ENGINES, Project, SERVER, browser, device, newPage, shop, sleep, until } from "./support.mjs";

const { host, protocol } = new URL(SERVER);

const SEGMENT = { apiHost: `${host}/v1`, protocol: protocol.slice(0, -1) };

/** What a page does to point a library at the server. */
const LIBRARIES = [
  {
    library: "segment",
    sending: "one by one",
    load: ([token, server, options]) => {
      window.analytics = window.AnalyticsNext.AnalyticsBrowser.load(
        { writeKey: token, cdnURL: server },
        { integrations: { "Segment.io": options } },
      );
      return window.analytics.ready();
    },
    options: SEGMENT,
    device: async (page) => page.evaluate(async () => (await window.analytics.user()).anonymousId()),
  },
  {
    library: "segment",
    sending: "in batches",
    options: { ...SEGMENT, deliveryStrategy: { strategy: "batching", config: { size: 3, timeout: 300 } } },
  },
  {
    library: "rudderstack",
    sending: "one by one",
    load: ([token, server, options]) =>
      new Promise((resolve) => {
        window.analytics = new window.rudderanalytics.RudderAnalytics();
        window.analytics.load(token, server, { configUrl: server, ...options, onLoaded: resolve });
      }),
    options: {},
    device: async (page) => page.evaluate(() => window.analytics.getAnonymousId()),
  },
  {
    library: "rudderstack",
    sending: "in batches",
    options: { queueOptions: { batch: { enabled: true, maxItems: 3, flushInterval: 300 } } },
    // The library may keep a batch that is not full until its next page.
    staysOnPage: true,
  },
  {
    library: "rudderstack",
    sending: "by beacon",
    options: { useBeacon: true, beaconQueueOptions: { maxItems: 3, flushQueueInterval: 300 } },
  },
].map((row, _, rows) => ({ ...rows.find((other) => other.library === row.library), ...row }));

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

/** A browser profile with a page on which the library is loaded. */
async function visitor({ library, load, options, device }, token) {
  const { context, page, problems } = await newPage(chromium);
  const elsewhere = [];
  page.on("request", (request) => {
    if (![SERVER, site.url].includes(new URL(request.url()).origin)) elsewhere.push(request.url());
  });
  await page.goto(`${site.url}/${library}/home`);
  await page.evaluate(load, [token, SERVER, options]);
  return {
    problems,
    elsewhere,
    call: async (...calls) => {
      for (const [method, ...args] of calls) {
        await page.evaluate(([method, args]) => window.analytics[method](...args), [method, args]);
        await sleep(3);
      }
    },
    device: () => device(page),
    leave: () => page.goto(`${site.url}/${library}/elsewhere`),
    close: () => context.close(),
  };
}

/** Waits until the events with this mark are stored, and fails if there are others. */
async function assertOnce(project, mark, wanted) {
  const found = async () => {
    const events = await project.exported();
    return events.filter((event) => event.properties.mark === mark).map((event) => event.event).sort();
  };
  await until(async () => (await found()).length >= wanted.length);
  // A duplicate would arrive a little later.
  await sleep(500);
  assert.deepEqual(await found(), wanted.toSorted());
}

for (const engine of ALL_ENGINES) {
  const project = new Project(`cdp-${engine}`);
  // a call of `identify` becomes an ordinary event in Simplified, and `$identify` in Original and Legacy, which
  // in Legacy joins nothing (L-11).
  const identify = engine === "simplified" ? "Identify" : "$identify";
  const joins = engine !== "legacy";

  describe(`browsers, ${engine}`, { concurrency: 5 }, () => {
    for (const row of LIBRARIES) {
      test(`${row.library}, ${row.sending}`, async () => {
        const name = (text) => `${row.library}.${row.sending}.${text}`.replaceAll(" ", "-");
        const mark = name("mark");
        const one = await visitor(row, project.token);
        const first = await one.device();
        await one.call(
          ["track", "Browse", { mark }],
          ["identify", name("ann"), { plan: "gold", nick: "🍔" }],
          ["track", "Buy", { mark }],
          ["page", "Shop", "Cart", { mark }],
          ["group", "acme", { size: 7 }],
        );
        await until(async () => (await project.feed(name("ann"))).length >= 4);
        await project.assertCluster([name("ann"), ...(joins ? [device(engine, first)] : [])]);
        assert.deepEqual(await project.profile(name("ann")), { plan: "gold", nick: "🍔" });
        await assertOnce(project, mark, ["Browse", "Buy", "Page"]);
        const events = await project.feed(name("ann"));
        const ofAnn = [...(joins ? ["Browse"] : []), "Buy", "Group", "Page", identify];
        assert.deepEqual(events.map((event) => event.event.event).sort(), ofAnn.sort());
        assert.ok(events.every((event) => event.event.properties.$source === row.library));
        assert.ok(events.every((event) => event.event.properties.writeKey === undefined));

        // A second user on the same device: it stays with the first (S-5, O-11). The event of the user who
        // leaves the page is not lost.
        await one.call(["track", "Leave", { mark: name("leave") }]);
        if (!row.staysOnPage) await one.leave();
        await assertOnce(project, name("leave"), ["Leave"]);
        assert.deepEqual(one.problems, []);
        assert.deepEqual(one.elsewhere, []);
        await one.close();
      });
    }

    test("a wrong write key is an error that the developer sees", async () => {
      const response = await fetch(`${SERVER}/v1/t`, { method: "POST", body: '{"event":"A","userId":"U","writeKey":"wrong"}' });
      assert.equal(response.status, 401);
      assert.equal((await fetch(`${SERVER}/v1/projects/wrong/settings`)).status, 404);
    });
  });

  describe(`Node, ${engine}`, () => {
    const anonymous = (at) => `cdcdcdcd-0000-4000-8000-00000000000${at}`;

    test("@segment/analytics-node", async () => {
      const analytics = new Analytics({ writeKey: project.token, host: SERVER, flushAt: 4 });
      const errors = [];
      analytics.on("error", (error) => errors.push(error));
      analytics.track({ anonymousId: anonymous(1), event: "Browse" });
      analytics.identify({ anonymousId: anonymous(1), userId: "node-ann", traits: { plan: "gold" } });
      analytics.track({ userId: "node-ann", event: "Buy", properties: { price: 3 } });
      analytics.alias({ userId: "node-ann", previousId: anonymous(2) });
      analytics.screen({ userId: "node-ann", name: "Cart" });
      await analytics.closeAndFlush();
      assert.deepEqual(errors, []);
      // In Legacy the alias alone joins IDs, and the user's ID stands for the other one (L-8).
      const cluster = joins
        ? ["node-ann", device(engine, anonymous(1)), device(engine, anonymous(2))]
        : [anonymous(2), "node-ann"];
      await project.assertCluster(cluster);
      assert.deepEqual(await project.profile("node-ann"), { plan: "gold" });
    });

    test("@rudderstack/rudder-sdk-node, whose bodies are compressed", async () => {
      const analytics = new RudderStack(project.token, { dataPlaneUrl: SERVER, flushAt: 3 });
      analytics.track({ anonymousId: anonymous(3), event: "Browse" });
      analytics.identify({ anonymousId: anonymous(3), userId: "node-ben", traits: { plan: "free" } });
      await new Promise((resolve, reject) => {
        analytics.flush((error) => (error ? reject(error) : resolve()));
      });
      await until(async () => (await project.feed("node-ben")).length === (joins ? 2 : 1));
      await project.assertCluster(["node-ben", ...(joins ? [device(engine, anonymous(3))] : [])]);
      assert.deepEqual(await project.profile("node-ben"), { plan: "free" });
    });

    test("a server sends with the secret as its write key", async () => {
      const analytics = new Analytics({ writeKey: project.secret, host: SERVER, flushAt: 1 });
      analytics.track({ userId: "node-eve", event: "Buy" });
      await analytics.closeAndFlush();
      assert.equal((await project.feed("node-eve")).length, 1);
    });
  });
}
