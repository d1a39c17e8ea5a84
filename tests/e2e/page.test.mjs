// Tests the server's own page in a real browser: what each view shows, and what can be done there.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Sender, Watch, anonymous, logged } from "./page.mjs";
import { ENGINES, Project, SERVER, browser, device, until } from "./support.mjs";

const LAPTOP = "5f1ed002-ab5e-4c1d-9bd1-0000000000a1";
const PHONE = "5f1ed002-ab5e-4c1d-9bd1-0000000000a2";
const OTHER = "5f1ed002-ab5e-4c1d-9bd1-0000000000c1";
const LATE = "5f1ed002-ab5e-4c1d-9bd1-0000000000d1";
const MARKUP = "<img src=x onerror=window.wasHit=1>";
const SCRIPT = "<script>window.wasHit=1</script>";
const CLICKS = 130;
const CODE = "errAnonDistinctIdAssignedAlready";

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium?.close());

/** Several people: ada on two devices, eve on ada's laptop, bob without a device, and a device of nobody. */
async function fill(sender, isOriginal) {
  await sender.send("/track", [
    sender.event("View", anonymous(LAPTOP)),
    ...Array.from({ length: CLICKS }, () => sender.event("Click", anonymous(LAPTOP))),
    ...sender.logIn("ada", LAPTOP),
    sender.event("Sign Up", logged("ada", LAPTOP)),
    sender.event(SCRIPT, { ...logged("ada", LAPTOP), where: MARKUP }),
    sender.event("View", anonymous(PHONE)),
    ...sender.logIn("ada", PHONE),
    sender.event("Purchase", { ...logged("ada", PHONE), item: "wool 🧦 socks", amount: 9 }),
    // A second user on the same device. The claim is rejected: S-7, or O-11.
    ...sender.logIn("eve", LAPTOP),
    sender.event("View", logged("bob")),
    sender.event("Sign Up", logged("bob")),
    sender.event("View", anonymous(OTHER)),
  ]);
  // An ID that contains markup, linked by the means of each model.
  if (isOriginal) await sender.send("/import", [sender.event("$merge", { $distinct_ids: ["ada", MARKUP] })]);
  else await sender.send("/track", [sender.event("Log In", logged("ada", MARKUP))]);
  const profile = { $name: "Ada <b>L</b>", $email: "ada@example.com", plan: "gold", tags: ["x", "y"], address: { city: "Ghent" } };
  await sender.send("/engage", [{ $token: sender.project.token, $distinct_id: "ada", $set: profile }]);
}

for (const engine of ENGINES) {
  describe(`the page, ${engine}`, () => {
    const project = new Project(`page-${engine}`);
    const isOriginal = engine === "original";
    const sender = new Sender(project);
    const members = ["ada", device(engine, LAPTOP), device(engine, PHONE), device(engine, MARKUP)];
    let page;
    let watch;

    const texts = (selector) => page.locator(selector).allTextContents();
    const heading = () => page.textContent("main h1");
    const open = async (address) => {
      await page.goto(SERVER + address);
      await page.waitForSelector("main h1");
    };
    before(async () => {
      await fill(sender, isOriginal);
      page = await chromium.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
      watch = new Watch(page);
      await page.goto(SERVER);
    });

    test("a wrong secret shows no data and says why, and the right one opens the users", async () => {
      await page.fill("#secret", "no such secret");
      await page.press("#secret", "Enter");
      await page.waitForFunction(() => document.querySelector("#secret-problem").textContent);
      assert.match(await page.textContent("#secret-problem"), /^No project here has this secret/);
      watch.expect(401);
      await page.fill("#secret", project.secret);
      await page.press("#secret", "Enter");
      await page.waitForSelector(".people");
      assert.equal(new URL(page.url()).pathname, "/");
      assert(!page.url().includes(project.secret));
      await page.waitForFunction(() => document.querySelector("#project").textContent);
      assert.match(await page.textContent("#project"), new RegExp(`^${project.token} · ${isOriginal ? "Original" : "Simplified"}$`));
    });

    test("users are newest seen first, with their IDs and events", async () => {
      const { users } = await project.json("/v1/users?limit=50");
      assert.equal(await page.locator(".people > li").count(), users.length);
      const links = await page.locator(".people a").evaluateAll((all) => all.map((one) => decodeURIComponent(one.pathname.split("/")[2])));
      assert.deepEqual(links, users.map((user) => user.distinct_id));
      const ada = page.locator(".people > li", { hasText: "Ada <b>L</b>" });
      assert.match(await ada.textContent(), /4 IDs/);
      // The truth is what was sent: two views, the clicks, two log-ins of two events, and what followed.
      const sent = 1 + CLICKS + 2 + 2 + 1 + 2 + 1 + 1;
      assert.match(await ada.textContent(), new RegExp(`${sent} events`));
      assert.equal(await page.locator(".people .who.nobody").count(), 1);
    });

    test("search finds people by name, by e-mail and by any ID", async () => {
      for (const words of ["  aDa <b>", "ADA@example", `$device:${PHONE}`, PHONE, LAPTOP.toUpperCase()]) {
        await page.fill("#find", words);
        await page.waitForFunction(() => document.querySelectorAll(".people > li").length === 1, null, { timeout: 10_000 });
        assert.match((await texts(".people .who"))[0], /Ada/, words);
      }
      await page.fill("#find", "nobody at all has this");
      await page.waitForSelector(".none");
      assert.match(await page.textContent(".none p"), /^Nobody has “nobody at all has this”/);
      await page.fill("#find", "adda");
      await page.waitForSelector(".none a");
      assert.match(await page.textContent(".none a"), /Ada/);
      await page.fill("#find", "bob");
      await page.waitForFunction(() => document.querySelectorAll(".people > li").length === 1);
      await page.press("#find", "Enter");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector("main h1")?.textContent === "bob");
      await page.goBack();
      await page.waitForFunction(() => document.querySelector("#find")?.value === "bob");
    });

    test("the events of a user come newest first, older ones on scrolling", async () => {
      const events = await project.feed("ada");
      await open("/users/ada/events");
      await until(async () => {
        await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
        return (await texts(".end")).some((text) => text.startsWith("That is everything"));
      });
      // Parts that are far away have given up their rows, so all of them are looked at from the top.
      const names = [];
      const before = [];
      for (const part of await page.locator(".part").all()) {
        await part.scrollIntoViewIfNeeded();
        await page.waitForFunction((one) => !one.dataset.far, await part.elementHandle());
        names.push(...(await part.locator(".events .name").allTextContents()));
        before.push(...(await part.locator(".events.anon .name").allTextContents()));
      }
      assert.deepEqual(names.toSorted(), events.map((event) => event.event.event).toSorted());
      // Within a session, what was sent as nobody comes after what was sent as ada.
      assert.equal(before.filter((name) => name === "Click").length, CLICKS);
      await page.evaluate(() => scrollTo(0, 0));
      const row = page.locator(".events li", { hasText: "Purchase" }).first();
      assert.match(await row.locator(".tell").textContent(), /wool 🧦 socks · amount 9/);
      await row.locator("summary").first().click();
      assert.match(await row.locator(".pairs").textContent(), /Came asadaCounted asada/);
      assert.match(await row.locator("pre").textContent(), /"item": "wool 🧦 socks"/);
      await page.selectOption("#by-name", "Sign Up");
      await page.waitForFunction(() => document.querySelectorAll(".events .name").length === 1);
      await page.selectOption("#by-id", device(engine, PHONE));
      await page.waitForSelector(".none");
      await page.click(".none button");
      await page.waitForFunction(() => document.querySelectorAll(".events .name").length > 1);
    });

    test("a page of events that is empty is not the end", async () => {
      // The server ends a page after some work, so a rare event can be on a later one. This cursor is before all events.
      let isFirst = true;
      await page.route(/\/v1\/users\/ada\/events/, (route) => {
        if (!isFirst) return route.continue();
        isFirst = false;
        return route.fulfill({ json: { events: [], next: "9000000000000.1" } });
      });
      await open("/users/ada/events");
      await page.waitForSelector(".events .name");
      assert.equal(isFirst, false);
      assert.equal(await page.locator(".none").count(), 0);
      await page.unroute(/\/v1\/users\/ada\/events/);
    });

    test("the lanes say how the IDs came together, and what was turned down", async () => {
      await open(`/users/${encodeURIComponent(`$device:${LAPTOP}`)}/identity`);
      assert.equal(await heading(), "Ada <b>L</b>");
      await page.waitForSelector(".lanes svg .spine", { state: "attached" });
      const { explanation } = await project.identity("ada", true);
      const joined = explanation.filter((claim) => claim.answer === "merged").map((claim) => String(claim.sequence));
      assert.equal(joined.length, members.length - 1);
      const shown = await page.locator(".lanes .join[data-claim]").evaluateAll((all) => all.map((one) => one.dataset.claim));
      assert.deepEqual(shown.toSorted(), joined.toSorted());
      // One knot for each join, and one for the log-in of eve on ada's laptop, which joined nothing.
      assert.equal(await page.locator(".lanes svg .knot").count(), joined.length + 1);
      assert.match(await page.textContent(".lanes .reject"), /eve logs in\. Not joined: it is Ada <b>L<\/b>’s/);
      const listed = await page.locator(".ids .id").evaluateAll((all) => all.map((one) => one.title));
      assert.deepEqual(listed.toSorted(), members.toSorted());
      assert.match(await page.textContent(".lanes .now"), /4 IDs, one person/);

      await open("/users/eve/identity");
      const rejected = page.locator(".lanes .reject");
      assert.equal(await rejected.count(), 1);
      assert.match(await rejected.textContent(), /Not joined: it is Ada <b>L<\/b>’s/);
      assert((await rejected.textContent()).includes(CODE));
      await rejected.locator("a").click();
      await page.waitForFunction(() => document.querySelector("main h1")?.textContent.startsWith("Ada"));
    });

    test("a claim is withdrawn after a preview, by keyboard, and can count again", async () => {
      await open("/users/ada/identity");
      const row = page.locator(".lanes .join", { hasText: isOriginal ? PHONE.slice(0, 17) : "$device:5f1ed002" }).last();
      const claim = await row.getAttribute("data-claim");
      const inRow = page.locator(`[data-claim="${claim}"]`);
      await inRow.locator("button").focus();
      await page.keyboard.press("Enter");
      await page.waitForSelector(".preview:not([aria-busy])");
      assert.match(await page.textContent(".preview"), /1 ID moves\. .* becomes a person of its own\..*keeps 3 IDs/s);
      await page.keyboard.press("Escape");
      assert.equal(await page.locator("dialog[open]").count(), 0);
      assert.equal((await project.identity("ada")).members.length, 4);
      await inRow.locator("button").click();
      await page.keyboard.type("Grace");
      await page.keyboard.press("Tab");
      await page.keyboard.type("a shared phone");
      await page.keyboard.press("Enter");
      await inRow.locator("text=Withdrawn by Grace: a shared phone").waitFor();
      assert.equal((await project.identity("ada")).members.length, 3);
      assert.equal(await page.textContent("#id-count"), "3");
      await inRow.locator("text=Let it count again").click();
      await inRow.locator("text=Withdraw…").waitFor();
      assert.deepEqual((await project.identity("ada")).members.toSorted(), members.toSorted());
    });

    test("the properties of a user, and of one without", async () => {
      await open("/users/ada/properties");
      assert.match(await page.textContent(".props"), /E-mail \$emailada@example\.com/);
      assert.deepEqual(await texts(".chips li"), ["x", "y"]);
      assert.match(await page.textContent(".tree"), /city Ghent/);
      await open("/users/bob/properties");
      assert.match(await page.textContent(".none"), /^Nothing is known about bob beyond their events/);
      watch.expect(404);
    });

    test("the funnel counts with ID merge and without, and says who stopped", async () => {
      await open("/funnel");
      await page.locator(".asks input").first().fill("View");
      await page.locator(".asks li input").nth(1).fill("Sign Up");
      await page.locator(".asks li input").nth(2).fill("Purchase");
      await page.press("#days", "Enter");
      await page.waitForSelector(".steps");
      // With ID merge ada takes all steps, bob two, and the visitor of the third device one. Without it, ada's two
      // devices are two users who only viewed, and ada is a user who never viewed.
      const figures = await page.locator(".figures").evaluateAll((all) => all.map((one) => one.firstChild.textContent));
      assert.deepEqual(figures, ["3", "4", "2", "1", "1", "0"]);
      assert.match(await heading(), /with ID merge 33\.3 % go all the way, without it 0\.0 %/);
      await page.locator(".lost summary").first().click();
      const stopped = await page.locator(".lost a").evaluateAll((all) => all.map((one) => decodeURIComponent(one.pathname.split("/")[2])));
      assert.deepEqual(stopped, [device(engine, OTHER), "bob"]);
      assert.equal(new URL(page.url()).search, "?step=View&step=Sign+Up&step=Purchase");
      await page.goBack();
      await page.waitForFunction(() => !document.querySelector(".steps"));
      await page.goForward();
      await page.waitForSelector(".steps");
      await open("/funnel?step=view&step=Purchase");
      assert.match(await heading(), /^Nobody did “view”\. Did you mean “View”\?/);
    });

    test("events come live: a log-in that joins, one that does not, and a token that nobody knows", async () => {
      await open("/live");
      await page.waitForSelector(".live li");
      await sender.send("/track", [sender.event("View", anonymous(LATE)), sender.event("View", anonymous(LATE))]);
      await sender.send("/track", sender.logIn("cleo", LATE));
      // Log-ins of before are there already.
      const merged = page.locator(".live .merged", { hasText: "cleo" }).first();
      await merged.waitFor();
      assert.match(await merged.textContent(), /cleo.*is now cleo’s: 2 earlier events moved to cleo/);
      await sender.send("/track", sender.logIn("dora", LATE));
      const rejected = page.locator(".live .rejected", { hasText: "dora" }).first();
      await rejected.waitFor();
      assert.match(await rejected.textContent(), /Not joined: .*cleo’s/);
      // Of a server with several projects, one is told about tokens that are nearly its own.
      await fetch(`${SERVER}/track`, { method: "POST", body: JSON.stringify([{ event: "A", properties: { token: `${project.token}x`, distinct_id: "q" } }]) });
      await page.waitForSelector(".notice");
      assert.match(await page.textContent(".notice"), new RegExp(`no project here has the token “${project.token}x”`));
      await page.click("text=Rejections");
      assert.equal(await page.locator(".live li:visible").count(), await page.locator(".live .rejected").count());
      await page.click("text=Pause");
      const rows = await page.locator(".live li").count();
      await sender.send("/track", [sender.event("View", logged("bob"))]);
      await until(async () => (await project.json("/v1/users?limit=1")).users[0].distinct_id === "bob");
      assert.equal(await page.locator(".live li").count(), rows);
      await page.click("text=Go on");
      await page.waitForFunction((before) => document.querySelectorAll(".live li").length > before, rows);
    });

    test("health names the shared device and the unknown token", async () => {
      await open("/health");
      const text = await page.textContent("main");
      assert.match(text, /Two devices had more than one user log in/);
      assert.match(text, new RegExp(`no project here has the token “${project.token}x”`));
      const { days } = await project.json("/v1/health");
      const { explanation } = await project.identity("ada", true);
      assert(days.reduce((sum, each) => sum + each.merges, 0) >= explanation.filter((each) => each.answer === "merged").length);
    });

    test("markup in an ID, a name or a property is text", async () => {
      await open(`/users/${encodeURIComponent(device(engine, MARKUP))}/identity`);
      assert.match(await heading(), /Ada <b>/);
      await open("/users/ada/events");
      await page.locator(".events > li > details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
      await page.waitForSelector(".more pre", { state: "attached" });
      assert((await texts(".events .name")).includes(SCRIPT));
      assert((await texts(".more pre")).some((text) => text.includes(MARKUP)));
      assert.equal(await page.locator("main img, main script, main b").filter({ hasText: "L" }).count(), 0);
      assert.equal(await page.evaluate(() => window.wasHit), undefined);
    });

    test("an address of nobody, and a secret that is signed out", async () => {
      await open(`/users/${encodeURIComponent("who?/#&%")}/events`);
      assert.match(await heading(), /^Nobody has the ID “who\?\/#&%”/);
      watch.expect(404);
      await open("/users/ada/events");
      await page.click("#sign-out");
      await page.waitForSelector("#secret");
      assert.equal(await page.evaluate(() => JSON.stringify([sessionStorage.length, localStorage.length, document.cookie])), '[0,0,""]');
      await page.goto(`${SERVER}/users/ada/identity#secret=${project.secret}`);
      await page.waitForFunction(() => document.querySelector("main h1")?.textContent.startsWith("Ada"));
      assert(!page.url().includes(project.secret));
    });

    test("everything can be reached by keyboard", async () => {
      await open("/users");
      await page.keyboard.press("/");
      assert.equal(await page.evaluate(() => document.activeElement.id), "find");
      await open("/users/ada/identity");
      await page.keyboard.press("/");
      assert.equal(await page.evaluate(() => document.activeElement.id), "jump-words");
      await open("/users/ada/identity");
      const reached = new Set();
      for (let step = 0; step < 30; step += 1) {
        await page.keyboard.press("Tab");
        reached.add(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent));
      }
      for (const wanted of ["To the content", "Users", "Live", "Funnel", "Health", "Sign out", "Events", "Identity", "Properties", "Copy ada"]) {
        assert(reached.has(wanted), `${wanted} is not among ${[...reached]}`);
      }
      assert([...reached].some((label) => label.startsWith("Withdraw claim")));
    });

    test("the page made no other requests and logged no errors", () => watch.assertClean());
  });
}

describe("the page, legacy", () => {
  const project = new Project("page-legacy");
  const sender = new Sender(project);
  let page;
  let watch;
  const open = async (address) => {
    await page.goto(SERVER + address);
    await page.waitForSelector("main h1");
  };
  const named = (user, id) => ({ distinct_id: user, $user_id: user, $device_id: id });

  before(async () => {
    const alias = (id, name) => sender.event("$create_alias", { distinct_id: id, alias: name, $device_id: id });
    await sender.send("/track", [
      // Before `ada` is an alias. It stays under `ada` for ever (L-9).
      sender.event("Early", { distinct_id: "ada" }),
      sender.event("View", anonymous(LAPTOP)), sender.event("View", anonymous(LAPTOP)),
      alias(LAPTOP, "ada"),
      sender.event("Log In", named("ada", LAPTOP)), sender.event("Purchase", named("ada", LAPTOP)),
      sender.event("View", anonymous(PHONE)), sender.event("View", anonymous(PHONE)), sender.event("View", anonymous(PHONE)),
      // `$identify` links nothing (L-11), and an alias can stand for one ID alone (L-6).
      sender.event("$identify", { ...named("ada", PHONE), $anon_distinct_id: `$device:${PHONE}` }),
      sender.event("View", named("ada", PHONE)),
      alias(PHONE, "ada"),
    ]);
    page = await chromium.newPage({ viewport: { width: 1280, height: 900 } });
    watch = new Watch(page);
    await page.goto(`${SERVER}/users#secret=${project.secret}`);
    await page.waitForSelector(".people");
  });

  test("each event is with the user that it was attributed to at its arrival", async () => {
    const rows = await page.locator(".people > li").allTextContents();
    // The rejected alias came last, and is an event of the phone (L-4).
    assert.equal(rows.length, 2);
    assert.match(rows[0], /1 ID.*4 events/);
    assert.match(rows[1], /2 IDs.*7 events/);
    await open("/users/ada/events");
    assert.equal(await page.getAttribute(".head .id", "title"), LAPTOP);
    const names = await page.locator(".events .name").allTextContents();
    assert.deepEqual(names.toSorted(), ["$create_alias", "$identify", "Log In", "Purchase", "View", "View", "View"]);
  });

  test("the lanes say that earlier events stay where they are", async () => {
    await open("/users/ada/identity");
    const join = page.locator(".lanes .join");
    assert.equal(await join.count(), 1);
    assert.match(await join.textContent(), /ada: \$create_alias makes it another name of Chrome on Mac\. .*Its 1 earlier event stays under it/);
    assert.doesNotMatch(await page.textContent("main"), /moved? along/);
    await page.locator(".act button").click();
    await page.waitForSelector(".preview:not([aria-busy])");
    assert.match(await page.textContent(".preview"), /1 ID moves.*No event moves/s);
    await page.keyboard.press("Escape");
    await open(`/users/${PHONE}/identity`);
    assert.match(await page.textContent(".lanes .reject"), /: \$create_alias would give it the name ada\. Not joined: that is .*errAliasAlreadyExists/);
  });

  test("the funnel counts users as they were at each event", async () => {
    await open("/funnel?step=View&step=Purchase");
    const figures = await page.locator(".figures").evaluateAll((all) => all.map((one) => one.firstChild.textContent));
    // The laptop goes all the way as one user. By raw IDs `ada` buys first and views later, on the phone.
    assert.deepEqual(figures, ["2", "3", "1", "0"]);
  });

  test("a new alias comes live, and moves nothing", async () => {
    await open("/live");
    await sender.send("/track", [sender.event("View", anonymous(OTHER)), sender.event("$create_alias", { distinct_id: OTHER, alias: "cleo", $device_id: OTHER })]);
    const merged = page.locator(".live .merged", { hasText: /\$create_alias.*…000c1/ }).first();
    await merged.waitFor();
    assert.doesNotMatch(await merged.textContent(), /moved/);
    await open("/health");
    assert.match(await page.textContent("main"), /2 merges/);
  });

  test("the page made no other requests and logged no errors", () => watch.assertClean());
});
