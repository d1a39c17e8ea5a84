// Runs the unmodified Node SDK.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";

import Mixpanel from "mixpanel";

import { ALL_ENGINES, Project, SERVER, here, until } from "./support.mjs";

const UUID = "5f1ed002-ab5e-4c1d-9bd1-00000000000a";

/** The calls of docs/choosing.md for a model, as it shows them. */
async function recipes(engine) {
  const text = await readFile(path.join(here, "../../docs/choosing.md"), "utf8");
  const rows = text.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  const header = rows.findIndex((row) => row[1] === "model" && row[2] === "Node");
  assert.notEqual(header, -1);
  const table = rows.slice(header + 2, rows.findIndex((row, at) => at > header && row.length === 1));
  const ofModel = table.filter((row) => row[1].toLowerCase().split(", ").includes(engine));
  return ofModel.map((row) => row[2].replaceAll("`", ""));
}

for (const engine of ALL_ENGINES) {
  const project = new Project(`node-${engine}`);
  const isOriginal = engine === "original";
  /** An SDK and its methods. Each returns a promise that fails if the SDK's callback gets an error. */
  const sdk = (more = {}) => {
    const made = Mixpanel.init(project.token, { host: new URL(SERVER).host, protocol: "http", ...more });
    const call = (name, ...args) => {
      const [owner, method] = name.includes(".") ? [made.people, name.split(".")[1]] : [made, name];
      return promisify(owner[method]).apply(owner, args);
    };
    return call;
  };
  const withKey = sdk({ key: project.secret });
  const marks = async (id) => (await project.feed(id)).map((event) => event.event.properties.mark).filter(Boolean).sort();

  describe(`Node SDK, ${engine}`, () => {
    test("track, one by one and in a batch", async () => {
      const call = sdk();
      await call("track", "View", { distinct_id: "n1", mark: "1" });
      const batch = Array.from({ length: 120 }, (_, at) => ({
        event: "Click",
        properties: { distinct_id: "n1", mark: `b${String(at).padStart(3, "0")}` },
      }));
      await call("track_batch", batch);
      assert.deepEqual(await marks("n1"), ["1", ...batch.map((event) => event.properties.mark)].sort());
    });

    test("a device and its user on one event", async () => {
      const call = sdk();
      await call("track", "View", { $device_id: UUID, distinct_id: `$device:${UUID}`, mark: "2" });
      await call("track", "Log In", { $device_id: UUID, $user_id: "n2", distinct_id: "n2", mark: "3" });
      // S-5; in the other models an ordinary event never merges (O-2, L-2).
      const links = engine === "simplified";
      assert.deepEqual(await marks("n2"), links ? ["2", "3"] : ["3"]);
      await project.assertCluster(links ? ["n2", `$device:${UUID}`] : ["n2"]);
    });

    test("$identify", async () => {
      const anonymous = "5f1ed002-ab5e-4c1d-9bd1-00000000000b";
      await sdk()("track", "$identify", { distinct_id: "n3", $anon_distinct_id: anonymous });
      await project.assertCluster(isOriginal ? ["n3", anonymous] : ["n3"]);
    });

    test("alias", async () => {
      await sdk()("alias", "n4", "n4-alias");
      // O-6, L-8
      await project.assertCluster(engine === "simplified" ? ["n4"] : ["n4", "n4-alias"]);
    });

    test("the calls of docs/choosing.md", async () => {
      const calls = await recipes(engine);
      assert.notEqual(calls.length, 0);
      for (const [at, code] of calls.entries()) {
        const device = `5f1ed002-ab5e-4c1d-9bd1-0000000001${String(at).padStart(2, "0")}`;
        const ada = `ada-${at}`;
        const mp = Mixpanel.init(project.token, { host: new URL(SERVER).host, protocol: "http" });
        const marked = engine === "simplified" ? `$device:${device}` : device;
        // The calls have no callback, so only the server says when they have arrived.
        new Function("mp", "device", code.replaceAll("'ada'", JSON.stringify(ada)))(mp, device);
        await until(async () => (await project.identity(marked)).members.length === 2);
        // In Legacy the user's ID stands for the device's (L-8).
        await project.assertCluster(engine === "legacy" || code.includes("alias") ? [marked, ada] : [ada, marked]);
      }
    });

    test("people", async () => {
      const call = sdk();
      await call("people.set", "n5", { plan: "gold", $first_name: "<b>Ada</b>" });
      await call("people.set_once", "n5", { plan: "silver", first: "yes" });
      await call("people.increment", "n5", { visits: 3 });
      await call("people.increment", "n5", "visits");
      await call("people.append", "n5", { list: "a" });
      await call("people.append", "n5", { list: "b" });
      await call("people.union", "n5", { tags: ["x", "y"] });
      await call("people.union", "n5", { tags: ["y", "z"] });
      await call("people.remove", "n5", { list: "a" });
      await call("people.unset", "n5", "first");
      const profile = await project.profile("n5");
      assert.equal(profile.plan, "gold");
      assert.equal(profile.$first_name, "<b>Ada</b>");
      assert.equal(profile.visits, 4);
      assert.deepEqual(profile.list, ["b"]);
      assert.deepEqual(profile.tags, ["x", "y", "z"]);
      assert(!("first" in profile));
      await call("people.delete_user", "n5");
      await assert.rejects(project.profile("n5"), /404/);
    });

    test("import, one by one and in a batch", async () => {
      const at = Math.floor(Date.now() / 1000) - 3600;
      await withKey("import", "Old", at, { distinct_id: "n6", mark: "4" });
      const batch = Array.from({ length: 60 }, (_, place) => ({
        event: "Old",
        properties: { distinct_id: "n6", time: at + place, mark: `c${String(place).padStart(2, "0")}` },
      }));
      await withKey("import_batch", batch);
      assert.deepEqual(await marks("n6"), ["4", ...batch.map((event) => event.properties.mark)].sort());
    });

    test("$merge merges only with the secret", async () => {
      const at = Math.floor(Date.now() / 1000);
      const merge = (call) => call("import", "$merge", at, { $distinct_ids: ["n7", "n7-other"] });
      await assert.rejects(merge(sdk({ key: "not the secret" })));
      await project.assertCluster(["n7"]);
// /track does not merge either, whatever it answers.
      await sdk()("track", "$merge", { $distinct_ids: ["n7", "n7-other"] }).catch(() => {});
      await project.assertCluster(["n7"]);
      if (isOriginal) {
        await merge(withKey);
        await project.assertCluster(["n7", "n7-other"]);
      } else if (engine === "legacy") {
        // L-11
        await merge(withKey);
        await project.assertCluster(["n7"]);
      } else {
        // Simplified does not accept identity events on /import.
        await assert.rejects(merge(withKey));
        await project.assertCluster(["n7"]);
      }
    });
  });
}
