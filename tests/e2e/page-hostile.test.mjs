// Whoever has the token of a project can send anything. The server's own page shows it, and runs none of it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Sender, Watch, anonymous, logged, open } from "./page.mjs";
import { ALL_ENGINES, Project, SERVER, browser, device } from "./support.mjs";

const POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const USERS_SHOWN = 8;
const HIT = "window.wasHit=1";
const TRIES = [
  `<img src=x onerror=${HIT}>`, `<script>${HIT}</script>`, `"><svg onload=${HIT}>`, `'onmouseover='${HIT}`, `javascript:${HIT}`,
  `</title><script>${HIT}</script>`, `<iframe srcdoc="<script>parent.${HIT}</script>"></iframe>`, `<style>*{background:url(//evil.example/x)}</style>`,
  `<a href="javascript:${HIT}">x</a>`, `{{constructor.constructor('${HIT}')()}}`, `\${${HIT}}`, `<base href=//evil.example/>`,
  "__proto__", "constructor", "toString", "\u202egnp.exe", "a\u0000b",
];

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium?.close());

/** Every try in every place: IDs of users and devices, names, keys, values, groups and profiles. */
async function fill(sender, engine) {
  const events = TRIES.flatMap((text, at) => {
    const properties = { [text]: text, $current_url: `javascript:${text}`, $browser: text, $os: text, $city: text, mp_country_code: text, page: text, company: [text], nested: { [text]: [text] } };
    const joining = engine === "legacy"
      ? [sender.event("$create_alias", { distinct_id: `dev${at}${text}`, alias: `user${at}${text}` })]
      : sender.logIn(`user${at}${text}`, `dev${at}${text}`, properties);
    return [
      sender.event(text, { ...anonymous(`dev${at}${text}`), ...properties }), ...joining,
      sender.event(text, { ...logged(`user${at}${text}`, `dev${at}${text}`), ...properties }),
      sender.event(text, { ...logged(`user${at}${text}`, `dev0${TRIES[0]}`), ...properties }),
    ];
  });
  // One by one: a text that is no ID is refused, and the others are not.
  for (const event of events) await sender.send("/track", [event]).catch(() => {});
  for (const [at, text] of TRIES.entries()) {
    const set = { [text]: text, $name: text, $email: text, $city: text, list: [text, { [text]: text }], tree: { [text]: { [text]: [text] } } };
    await sender.send("/engage", [{ $token: sender.project.token, $distinct_id: `user${at}${text}`, $set: set }]).catch(() => {});
    await sender.send("/groups", [{ $token: sender.project.token, $group_key: "company", $group_id: text, $set: set }]).catch(() => {});
  }
  await fetch(`${SERVER}/track`, { method: "POST", headers: { Origin: "http://<b>.example" }, body: JSON.stringify([{ event: "A", properties: { token: `${sender.project.token}<`, distinct_id: "q" } }]) });
}

/** Opens and points at everything that a person could. */
async function touch(page) {
  await page.evaluate(() => {
    for (const one of document.querySelectorAll("details")) one.open = true;
    for (const one of document.querySelectorAll("main *")) {
      one.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      one.dispatchEvent(new Event("load"));
      one.dispatchEvent(new Event("error"));
    }
  });
}

/** What only code could have put there. */
const made = () => ({
  wasHit: window.wasHit,
  violations: window.violations,
  elements: [...document.querySelectorAll("img, iframe, style, base, object, embed, script:not([src^='/page/'])")].map((one) => one.outerHTML),
  handlers: [...document.querySelectorAll("*")].filter((one) => one.getAttributeNames().some((name) => name.startsWith("on"))).map((one) => one.outerHTML),
  links: [...document.querySelectorAll("[href], [src], [action]")].map((one) => one.href?.baseVal ?? one.href ?? one.src ?? one.action)
    .filter((address) => !address.startsWith(`${location.origin}/`) && address !== "data:,"),
});
const NOTHING = { wasHit: undefined, violations: [], elements: [], handlers: [], links: [] };

for (const engine of ALL_ENGINES) {
  describe(`hostile data on the page, ${engine}`, () => {
    const project = new Project(`page-hostile-${engine}`);
    let page;
    let watch;
    before(async () => {
      await fill(new Sender(project), engine);
      page = await chromium.newPage();
      watch = new Watch(page);
      await page.addInitScript(() => {
        window.violations = [];
        addEventListener("securitypolicyviolation", (violation) => window.violations.push(`${violation.violatedDirective} ${violation.blockedURI}`));
      });
    });

    const assertInert = async (where) => {
      await touch(page);
      assert.deepEqual(await page.evaluate(made), NOTHING, where);
    };

    test("every view shows what was sent, and runs none of it", async () => {
      const { users } = await project.json("/v1/users?limit=200");
      assert(users.length > TRIES.length / 2, `${users.length} users`);
      for (const address of ["/users", "/health", "/funnel"]) {
        await open(page, project, address);
        await assertInert(address);
      }
      await open(page, project, "/live");
      await page.waitForSelector(".live li");
      await assertInert("/live");
      // The views are the same code in each model: the others show a few users.
      for (const { distinct_id: id } of users.slice(0, engine === "simplified" ? users.length : USERS_SHOWN)) {
        for (const tab of ["events", "identity", "properties"]) {
          const address = `/users/${encodeURIComponent(id)}/${tab}`;
          await open(page, project, address);
          await assertInert(address);
        }
      }
      // The text itself is there to be read.
      await open(page, project, `/users/${encodeURIComponent(`user0${TRIES[0]}`)}/properties`);
      assert.equal(await page.textContent("main h1"), TRIES[0]);
    });

    test("a search, a funnel and an address with such texts", async () => {
      for (const text of TRIES) {
        const part = encodeURIComponent(text);
        for (const address of [`/users?q=${part}`, `/users/${part}/events`, `/users/${encodeURIComponent(`user0${TRIES[0]}`)}/${part}`, `/funnel?step=${part}&step=${part}&days=${part}`]) {
          await page.goto(`${SERVER}${address}#secret=${project.secret}`);
          await page.waitForSelector("main h1");
          await assertInert(address);
        }
      }
      await open(page, project, "/users");
      for (const text of TRIES) {
        await page.evaluate((hash) => (location.hash = hash), text);
        await page.fill("#find", text);
        await page.press("#find", "Enter");
        await assertInert(`search for ${text}`);
      }
      for (const status of [400, 404, 500, 502]) watch.expect(status);
    });

    // In the other models none of these IDs joins another one by a log-in (O-8, L-11).
    test("a preview of a withdrawal names IDs as text", { skip: engine !== "simplified" }, async () => {
      await open(page, project, `/users/${encodeURIComponent(device(engine, `dev0${TRIES[0]}`))}/identity`);
      await page.locator(".act button").first().click();
      await page.waitForSelector(".preview:not([aria-busy])");
      await assertInert("dialog");
    });

    test("the policy is as strict as ever, nothing was logged, and no other server was asked", async () => {
      for (const address of ["/", "/users", "/users/a/events", "/live", "/funnel", "/health"]) {
        const response = await fetch(SERVER + address);
        assert.equal(response.headers.get("content-security-policy"), POLICY, address);
        assert.equal(response.headers.get("referrer-policy"), "no-referrer");
        assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      }
      watch.assertClean();
    });
  });
}
