// Tests the server's own page in a real browser.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { ENGINES, OUT, Project, SERVER, browser, device } from "./support.mjs";

const LAPTOP = "5f1ed002-ab5e-4c1d-9bd1-0000000000a1";
const PHONE = "5f1ed002-ab5e-4c1d-9bd1-0000000000a2";
const OTHER = "5f1ed002-ab5e-4c1d-9bd1-0000000000c1";
const MARKUP = "<img src=x onerror=window.wasHit=1>";
const SCRIPT = "<script>window.wasHit=1</script>";
const CLICKS = 60;

let chromium;
before(async () => {
  chromium = await browser();
  await mkdir(OUT, { recursive: true });
});
after(() => chromium?.close());

/** Sends the events of several people, in the order in which they happened. */
async function fill(project, isOriginal) {
  let time = Date.now() - 6 * 3_600_000;
  const send = async (where, records) => {
    const response = await fetch(SERVER + where, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Basic ${btoa(`${project.secret}:`)}` },
      body: JSON.stringify(records),
    });
    const text = await response.text();
    assert(response.ok && (where !== "/track" || text === "1"), `${where}: ${response.status} ${text}`);
  };
  const event = (name, properties) => {
    time += 1_000;
    return { event: name, properties: { token: project.token, time, ...properties } };
  };
  const anonymous = (id) => ({ distinct_id: `$device:${id}`, $device_id: id });
  const logged = (user, id) => ({ distinct_id: user, $user_id: user, ...(id && { $device_id: id }) });
  const login = (user, id) => [
    event("$identify", { ...logged(user, id), $anon_distinct_id: `$device:${id}` }),
    event("Log In", logged(user, id)),
  ];
  await send("/track", [
    event("View", anonymous(LAPTOP)),
    ...Array.from({ length: CLICKS }, () => event("Click", anonymous(LAPTOP))),
    ...login("ada", LAPTOP),
    event("Sign Up", logged("ada", LAPTOP)),
    event(SCRIPT, { ...logged("ada", LAPTOP), where: MARKUP }),
    event("View", anonymous(PHONE)),
    ...login("ada", PHONE),
    event("Purchase", logged("ada", PHONE)),
    // A second user on the same device. The claim is rejected: S-7, or O-11.
    ...login("eve", LAPTOP),
    event("View", logged("bob")),
    event("Sign Up", logged("bob")),
    event("View", anonymous(OTHER)),
  ]);
  // An ID that contains markup, linked by the means of each model.
  if (isOriginal) {
    await send("/import", [event("$merge", { $distinct_ids: ["ada", MARKUP] })]);
  } else {
    await send("/track", [event("Log In", logged("ada", MARKUP))]);
  }
  await send("/engage", [
    { $token: project.token, $distinct_id: "ada", $set: { $name: "Ada <b>L</b>", plan: "gold", tags: ["x", "y"] } },
  ]);
}

for (const engine of ENGINES) {
  describe(`the page, ${engine}`, () => {
    const project = new Project(`page-${engine}`);
    const isOriginal = engine === "original";
    const members = ["ada", device(engine, LAPTOP), device(engine, PHONE), device(engine, MARKUP)];
    let page;
    const problems = [];
    const asked = [];

    const texts = (selector) => page.locator(selector).allTextContents();
    const show = async (id) => {
      await page.fill("#id", id);
      await page.press("#id", "Enter");
      await page.waitForFunction(() => !document.querySelector("#look-form button").disabled);
    };

    before(async () => {
      await fill(project, isOriginal);
      page = await chromium.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("request", (request) => asked.push(request.url()));
      await page.goto(SERVER);
    });

    test("without the right secret the page shows no data and says why", async () => {
      await show("ada");
      assert.match(await page.textContent("#look-status"), /Enter the secret first/);
      assert.equal(await page.evaluate(() => document.activeElement.id), "credential");
      await page.keyboard.type("no such secret");
      await show("ada");
      assert.match(await page.textContent("#look-status"), /does not give access to a project/);
      assert(await page.isHidden("#person"));
      problems.splice(0, problems.length, ...problems.filter((text) => !text.includes("401")));
    });

    test("the page shows the cluster of an ID, and the claims that made it", async () => {
      await page.fill("#credential", project.secret);
      await show(`$device:${LAPTOP}`);
      assert.equal(await page.textContent("#look-status"), "");
      assert.equal(await page.textContent("#cluster-words"), "4 IDs are one user. Events count under ada.");
      const listed = (await texts("#members .id")).sort();
      assert.deepEqual(listed, members.toSorted());
      const nodes = await page.locator("#drawing svg [data-id]").evaluateAll((all) => all.map((one) => one.dataset.id));
      assert.deepEqual(nodes.sort(), members.toSorted());
      const canonical = await page.locator("#drawing svg g:has(.canonical)").getAttribute("data-id");
      assert.equal(canonical, "ada");
      assert.equal(await page.locator("#drawing svg g:has(.asked)").getAttribute("data-id"), device(engine, LAPTOP));

      const { explanation } = await project.identity("ada", true);
      const joined = explanation.filter((claim) => claim.answer === "merged").map((claim) => String(claim.sequence));
      assert.equal(joined.length, members.length - 1);
      assert.equal(await page.locator("#drawing svg .edge").count(), joined.length);
      assert.deepEqual(await texts("#drawing svg .badge-text"), joined);
      assert.equal(await page.locator("#claims > li").count(), explanation.length);
      // In either model, one event of eve's login claims the device.
      const rejected = page.locator("#claims > li.rejected");
      assert.equal(await rejected.count(), 1);
      const words = await rejected.textContent();
      assert.match(words, /eve/);
      assert.match(words, /rejected: the device or anonymous ID belongs to another user \(errAnonDistinctIdAssignedAlready/);
    });

    test("a device ID without its prefix says which ID was meant, or is found", async () => {
      await show(LAPTOP);
      const words = isOriginal
        ? "4 IDs are one user. Events count under ada."
        : `${LAPTOP} is in no cluster, but $device:${LAPTOP} is.`;
      assert.equal(await page.textContent("#cluster-words"), words);
      await show(`$device:${LAPTOP}`);
    });

    test("the events of a user are one timeline, and re-attributed events are marked", async () => {
      const events = await project.feed("ada");
      assert.equal(await page.locator("#timeline .event").count(), 50);
      await page.click("#older");
      await page.waitForSelector("#older", { state: "hidden" });
      assert.deepEqual(await texts("#timeline .name"), events.map((event) => event.event.event));
      // These came from devices whose user was not known yet: two views and the clicks.
      const marked = await texts("#timeline .event:has(.reattributed) .name");
      assert.deepEqual(marked, ["View", ...Array(CLICKS).fill("Click"), "View"]);
      assert((await texts("#timeline .reattributed"))[0].includes(device(engine, PHONE)));
      assert.match(await page.textContent("#timeline-words"), new RegExp(`^${events.length} events, .* ${CLICKS + 2} recorded under another ID`));
      assert.deepEqual((await texts("#timeline .problem")), []);
    });

    test("the page shows the profile", async () => {
      const names = await texts("#profile dt");
      const values = await texts("#profile dd");
      const shown = Object.fromEntries(names.map((name, place) => [name, values[place]]));
      assert.equal(shown.$name, "Ada <b>L</b>");
      assert.equal(shown.plan, "gold");
      assert.equal(shown.tags, '["x","y"]');
    });

    test("the funnel counts conversions with ID merge and without", async () => {
      await page.fill("#steps", "View\nSign Up\nPurchase");
      await page.fill("#window", "7");
      await page.press("#window", "Enter");
      await page.waitForSelector("#funnel > li");
      assert.deepEqual(await texts("#funnel .name"), ["View", "Sign Up", "Purchase"]);
      // With ID merge, ada takes all steps, bob two, and the visitor of the third device one. Without it,
      // ada's two devices are two users who only viewed, and ada is a user who never viewed.
      assert.deepEqual(await texts("#funnel .way"), [
        "with ID merge: 3 (100 %)",
        "without ID merge: 4 (100 %)",
        "with ID merge: 2 (66.7 %)",
        "without ID merge: 1 (25 %)",
        "with ID merge: 1 (33.3 %)",
        "without ID merge: 0 (0 %)",
      ]);
      const widths = await page.locator("#funnel .fill").evaluateAll((all) => all.map((one) => one.style.width));
      assert.deepEqual(widths, ["75%", "100%", "50%", "25%", "25%", "0%"]);
      assert.equal(
        await page.textContent("#funnel-status"),
        "With ID merge, 33.3 % of users complete the funnel; without it, 0 %.",
      );
      await page.screenshot({ path: path.join(OUT, `page-${engine}.png`), fullPage: true });
      await page.emulateMedia({ colorScheme: "dark" });
      await page.screenshot({ path: path.join(OUT, `page-${engine}-dark.png`), fullPage: true });
      await page.emulateMedia({ colorScheme: "light" });
    });

    test("markup in an ID, a name or a property is text", async () => {
      await page.locator("#timeline details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
      assert((await texts("#members .id")).includes(device(engine, MARKUP)));
      assert((await texts("#timeline .name")).includes(SCRIPT));
      assert((await texts("#timeline pre")).some((text) => text.includes(MARKUP)));
      await show(device(engine, MARKUP));
      assert.match(await page.textContent("#cluster-words"), /Events count under ada/);
      assert((await page.title()).includes("<img"));
      assert.equal(await page.locator("main img, main script, main b").count(), 0);
      assert.equal(await page.evaluate(() => window.wasHit), undefined);
    });

    test("an ID without events, and a text that is not an ID", async () => {
      await show("who?/#&%");
      assert.match(await page.textContent("#cluster-words"), /^who\?\/#&% is in no cluster/);
      assert.equal(await page.textContent("#timeline-words"), "These IDs have no events.");
      assert.equal(await page.textContent("#profile-words"), "This user has no profile.");
      problems.splice(0, problems.length, ...problems.filter((text) => !text.includes("404")));
      await show("undefined");
      assert(await page.isHidden("#person"));
      assert.match(await page.textContent("#look-status"), /ID-4/);
      problems.splice(0, problems.length, ...problems.filter((text) => !text.includes("400")));
    });

    test("a link opens an ID as long as the tab has the secret", async () => {
      await show("ada");
      assert(page.url().endsWith("#id=ada"));
      await page.reload();
      await page.waitForSelector("#person:not([hidden])");
      assert.match(await page.textContent("#cluster-words"), /^4 IDs/);
      assert(!page.url().includes(project.secret));
      await page.click("#forget");
      assert(await page.isHidden("#person"));
      assert.equal(await page.evaluate(() => JSON.stringify([sessionStorage.length, localStorage.length, document.cookie])), '[0,0,""]');
      await show("ada");
      assert.match(await page.textContent("#look-status"), /Enter the secret first/);
    });

    test("every field has a label, and the keyboard reaches everything", async () => {
      await page.goto(SERVER);
      const nameless = await page.locator("input, select, textarea").evaluateAll((all) =>
        all.filter((one) => one.labels.length === 0).map((one) => one.id));
      assert.deepEqual(nameless, []);
      const reached = [];
      for (let step = 0; step < 12; step += 1) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
      }
      for (const wanted of ["credential", "project", "forget", "id", "Show", "steps", "window", "Count"]) {
        assert(reached.includes(wanted), `${wanted} is not among ${reached}`);
      }
    });

    test("the page made no other requests and logged no errors", () => {
      const elsewhere = asked.filter((url) => !url.startsWith(`${SERVER}/`) && !url.startsWith("data:"));
      assert.deepEqual(elsewhere, []);
      assert.deepEqual(problems, []);
    });
  });
}
