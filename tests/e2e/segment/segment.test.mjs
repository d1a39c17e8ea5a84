// Runs Segment's own code for the destination "Mixpanel (Actions)", as Segment's cloud does.
import assert from "node:assert/strict";
import https from "node:https";
import { createRequire } from "node:module";
import net from "node:net";
import { before, describe, test } from "node:test";

import { ENGINES, Project, SERVER } from "../support.mjs";

const require = createRequire(import.meta.url);
const { Destination, defaultValues } = require("@segment/actions-core");
const definition = require("@segment/action-destinations/dist/destinations/mixpanel").default;

/** Sends requests for the vendor's HTTPS host to our server, without encryption. */
class ToServer extends https.Agent {
  createConnection() {
    const { hostname, port } = new URL(SERVER);
    return net.connect(Number(port), hostname);
  }
}

/** The actions of a new destination, and two that are off by default. */
const SUBSCRIPTIONS = [
  ...definition.presets,
  {
    subscribe: 'type = "alias"',
    partnerAction: "alias",
    mapping: defaultValues(definition.actions.alias.fields),
  },
  {
    subscribe: 'type = "track" and event = "Visit"',
    partnerAction: "incrementProperties",
    mapping: {
      ...defaultValues(definition.actions.incrementProperties.fields),
      increment: { visits: { "@path": "$.properties.visits" } },
    },
  },
].map((subscription) => ({ enabled: true, ...subscription }));

const TIME = Date.now() - 3_600_000;
const ANONYMOUS = "a1a1a1a1-0000-4000-8000-00000000000";
const anonymous = (at) => ANONYMOUS + at;

for (const engine of ENGINES) {
  const project = new Project(`segment-${engine}`);
  const isOriginal = engine === "original";
  const destination = new Destination(definition);
  const settings = {
    projectToken: project.token,
    apiSecret: project.secret,
    apiRegion: "US 🇺🇸",
    sourceName: "shop",
    strictMode: "1",
    subscriptions: SUBSCRIPTIONS,
  };
  let sent = 0;
  /** A message as Segment's libraries make it, one second after the previous one. */
  const message = (type, more) => {
    sent += 1;
    return {
      type,
      messageId: `5f1ed002-ab5e-4c1d-9bd1-${String(sent).padStart(12, "0")}`,
      timestamp: new Date(TIME + sent * 1000).toISOString(),
      context: { ip: "8.8.8.8", library: { name: "analytics.js", version: "2.1.0" } },
      integrations: {},
      ...more,
    };
  };
  const send = (type, more, settingsOfIt = settings) => destination.onEvent(message(type, more), settingsOfIt);
  const names = async (id) => (await project.feed(id)).map((event) => event.event.event).toReversed();
  /** A device ID as a member of a cluster (S-5, O-4). */
  const device = (id) => (isOriginal ? id : `$device:${id}`);

  describe(`Segment's destination, ${engine}`, () => {
    before(() => {
      https.globalAgent = new ToServer();
    });

    test("an anonymous visitor who becomes a user", async () => {
      const anonymousId = anonymous(1);
      const both = { userId: "s1", anonymousId };
      await send("page", { anonymousId, name: "Home" });
      await send("track", { anonymousId, event: "Look" });
      await project.assertCluster([device(anonymousId)]);
      await send("identify", { ...both, traits: { email: "a@example.com", firstName: "Ada", lastName: "<b>L</b>", plan: "gold" } });
      await send("track", { ...both, event: "Buy" });
      await project.assertCluster(["s1", device(anonymousId)]);
      const events = await names("s1");
      // In Original, $identify belongs to its user (O-1); in Simplified it belongs to no user (S-4).
      assert.deepEqual(events.filter((name) => name !== "$identify"), ["Viewed Home", "Look", "Buy"]);
      assert.equal(events.includes("$identify"), isOriginal);
      const profile = await project.profile("s1");
      assert.equal(profile.$email, "a@example.com");
      assert.equal(profile.$name, "Ada <b>L</b>");
      assert.equal(profile.plan, "gold");
    });

    test("a second device, and a second user on it", async () => {
      for (const [userId, at] of [["s2", 2], ["s2", 3], ["s3", 3]]) {
        const both = { userId, anonymousId: anonymous(at) };
        await send("identify", both);
        await send("track", { ...both, event: "Buy" });
      }
      // A device stays with its first user (S-7, O-6).
      await project.assertCluster(["s2", device(anonymous(2)), device(anonymous(3))]);
      await project.assertCluster(["s3"]);
      assert.deepEqual((await names("s3")).filter((name) => name !== "$identify"), ["Buy"]);
    });

    test("identify without a user, and without a device", async () => {
      const anonymousId = anonymous(4);
      await send("identify", { userId: null, anonymousId, traits: { seen: "yes" } });
      await send("identify", { userId: "s4", traits: { plan: "silver" } });
      await project.assertCluster(["s4"]);
      assert.equal((await project.profile("s4")).plan, "silver");
      // The profile belongs to the ID as it was sent, without the prefix `$device:`.
      assert.equal((await project.profile(anonymousId)).seen, "yes");
    });

    test("alias", async () => {
      await send("alias", { userId: "s5", previousId: "s5-before" });
      await project.assertCluster(isOriginal ? ["s5-before", "s5"] : ["s5"]);
    });

    test("an order and its products, a group, a counter", async () => {
      await send("track", {
        userId: "s6",
        // The products' events get this ID with a number in front, and the limit is 36 bytes.
        messageId: "order-1",
        event: "Order Completed",
        properties: { order_id: "o1", products: [{ product_id: "p1" }, { product_id: "p2" }] },
      });
      assert.equal((await names("s6")).length, 3);
      await send("group", { userId: "s6", groupId: "g1", traits: { name: "Group" } });
      await send("track", { userId: "s6", event: "Visit", properties: { visits: 2 } });
      await send("track", { userId: "s6", event: "Visit", properties: { visits: 3 } });
      assert.equal((await project.profile("s6")).visits, 5);
    });

    test("a batch reports which of its events were refused", async () => {
      const track = (more) => message("track", { userId: "s7", ...more });
      const batch = [
        track({ event: "First" }),
        // A colon is not allowed in an $insert_id, and strict mode reports it.
        track({ event: "Second", messageId: "ajs-next:1" }),
        track({ event: "Third" }),
      ];
      const [result] = await destination.onBatch(batch, settings, { features: { "mixpanel-multistatus": true } });
      assert.deepEqual(result.multistatus.map(({ status }) => status), [200, 400, 200]);
      assert.match(result.multistatus[1].errormessage, /insert_id/);
      assert.deepEqual(await names("s7"), ["First", "Third"]);
    });

    test("a message that is sent twice is stored once", async () => {
      const again = message("track", { userId: "s8", event: "Once" });
      await destination.onEvent(again, settings);
      await destination.onEvent(again, settings);
      assert.deepEqual(await names("s8"), ["Once"]);
    });

    test("a wrong secret", async () => {
      const wrong = { ...settings, apiSecret: "not the secret" };
      await assert.rejects(send("track", { userId: "s9", event: "Never" }, wrong), /Unauthorized/);
      assert.deepEqual(await names("s9"), []);
    });
  });
}
