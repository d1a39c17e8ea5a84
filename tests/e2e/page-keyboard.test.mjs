// Uses the server's own page without a mouse: everything can be reached, what is focused can be seen, back and forward
// find what was there, and axe finds nothing on the way.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { populate } from "./page-people.mjs";
import { Sender, Watch, open, violations } from "./page.mjs";
import { ALL_ENGINES, Project, browser } from "./support.mjs";

const STEPS_MAX = 400;
const WIDTHS = [1280, 390];
/** Of each model, somebody with several IDs, and how many profiles a merge has hidden. */
const PEOPLE = { simplified: ["mara@example.com", 0], original: ["noor", 1], legacy: ["lea@example.com", 1] };

let chromium;
before(async () => {
  chromium = await browser();
});
after(() => chromium?.close());

/** What can be focused and is shown, each with a number. A dialog that is open takes the place of the page. */
const number = () => {
  for (const one of document.querySelectorAll("[data-number]")) delete one.dataset.number;
  const within = document.querySelector("dialog[open]") ?? document;
  const all = [...within.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
  const shown = all.filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility({ checkVisibilityCSS: true }));
  shown.forEach((one, at) => (one.dataset.number = at));
  return shown.length;
};

/** The number of the element that has the focus, and what is wrong with how it is shown. */
const focused = () => {
  const one = document.activeElement;
  if (!one || one === document.body || one.dataset.number === undefined) return { at: null };
  const style = getComputedStyle(one);
  const { left, top, width, height } = one.getBoundingClientRect();
  const problems = [];
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) problems.push("has no outline");
  if (top < 0 || top + height > innerHeight + 1 && height < innerHeight) problems.push(`is outside of the window: ${top} to ${top + height}`);
  const above = document.elementFromPoint(left + Math.min(width / 2, 20), top + Math.min(height / 2, 10));
  if (above && !one.contains(above) && !above.contains(one)) problems.push(`is covered by ${above.outerHTML.slice(0, 80)}`);
  return { at: Number(one.dataset.number), problems: problems.map((text) => `${one.outerHTML.slice(0, 120)} ${text}`) };
};

for (const engine of ALL_ENGINES) {
  describe(`the page by keyboard, ${engine}`, () => {
    const project = new Project(`page-keyboard-${engine}`);
    const [id, hidden] = PEOPLE[engine];
    const address = (tab) => `/users/${encodeURIComponent(id)}/${tab}`;
    let page;
    let watch;
    before(async () => {
      await populate(new Sender(project), engine);
      page = await chromium.newPage({ bypassCSP: true, reducedMotion: "reduce" });
      watch = new Watch(page);
    });

    const press = async (...keys) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    const active = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.id);
    const tabTo = async (selector) => {
      for (let step = 0; step < STEPS_MAX; step += 1) {
        await press("Tab");
        if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
      }
      assert.fail(`${selector} is not reached`);
    };
    const assertAccessible = async (where) => {
      // What is half under the bar would be small.
      await page.evaluate(() => scrollTo(0, 0));
      assert.deepEqual((await violations(page)).map((text) => `${where}: ${text}`), []);
    };
    /** Goes through everything with Tab, and back with Shift and Tab. */
    const walk = async (where) => {
      const count = await page.evaluate(number);
      for (const key of ["Tab", "Shift+Tab"]) {
        const reached = new Set();
        const problems = new Set();
        for (let step = 0; step < STEPS_MAX && reached.size < count; step += 1) {
          await press(key);
          const { at, problems: wrong = [] } = await page.evaluate(focused);
          if (at !== null) reached.add(at);
          for (const text of wrong) problems.add(text);
        }
        const missing = await page.evaluate((seen) => [...document.querySelectorAll("[data-number]")]
          .filter((one) => !seen.includes(Number(one.dataset.number))).map((one) => one.outerHTML.slice(0, 120)), [...reached]);
        assert.deepEqual(missing, [], `${where}, ${key}: not reached`);
        assert.deepEqual([...problems], [], `${where}, ${key}`);
      }
      await assertAccessible(where);
    };

    for (const width of WIDTHS) {
      test(`hidden profiles, ${width} px`, async () => {
        await page.setViewportSize({ width, height: 900 });
        await open(page, project, address("properties"));
        assert.equal(await page.locator(".hidden-profiles > details").count(), hidden);
        if (hidden) {
          await tabTo(".hidden-profiles summary");
          await press("Enter");
          assert(await page.locator(".hidden-profiles .props").isVisible());
        }
        await walk("properties");
      });

      test(`filters, ${width} px`, async () => {
        await page.setViewportSize({ width, height: 900 });
        await open(page, project, address("events"));
        const names = () => page.locator(".events .name").allTextContents();
        await page.waitForSelector(".events summary");
        await tabTo("#by-name");
        await page.keyboard.type("Page View");
        await press("Enter");
        await page.waitForFunction(() => location.search === "?event=Page+View" && !document.querySelector("[aria-busy]"));
        assert.deepEqual([...new Set(await names())], ["Page View"]);
        // Another tab and back: the filter is as it was, and so it is after a reload.
        await tabTo(".under a[href$=properties]");
        await press("Enter");
        await page.waitForFunction(() => location.pathname.endsWith("/properties") && document.querySelector(".props, .none"));
        await page.goBack();
        await page.waitForSelector("#by-name");
        assert.equal(await page.inputValue("#by-name"), "Page View");
        await page.goForward();
        await page.waitForFunction(() => location.pathname.endsWith("/properties") && document.querySelector(".props, .none"));
        await page.goBack();
        await page.waitForSelector("#by-name");
        await page.reload();
        await page.waitForSelector(".events summary");
        assert.equal(await page.inputValue("#by-name"), "Page View");
        assert.deepEqual([...new Set(await names())], ["Page View"]);
        await page.goto(`${page.url().split("?")[0]}?event=No+such+event`);
        await page.waitForSelector(".none button");
        await walk("no event is like that");
        await tabTo(".none button");
        await press("Enter");
        await page.waitForSelector(".events summary");
        assert.equal(await active(), "by-name");
        assert.equal(new URL(page.url()).search, "");
        await assertAccessible("events");
      });

      test(`withdrawal, ${width} px`, async () => {
        await page.setViewportSize({ width, height: 900 });
        await open(page, project, address("identity"));
        await walk("identity");
        await tabTo(".act button");
        const name = await active();
        assert.match(name, /^Withdraw claim /);
        await press("Enter");
        await page.waitForSelector(".preview:not([aria-busy])");
        assert.equal(await active(), "who");
        await walk("dialog");
        await press("Escape");
        assert.equal(await page.locator("dialog[open]").count(), 0);
        assert.equal(await active(), name);
        await press("Enter");
        await page.waitForSelector(".preview:not([aria-busy])");
        await page.keyboard.type("Grace");
        await press("Tab");
        await page.keyboard.type("a mistake");
        await press("Enter");
        const again = page.locator("button", { hasText: "Let it count again" });
        await again.waitFor();
        assert(await again.evaluate((one) => one === document.activeElement));
        await walk("a withdrawn claim");
        await again.focus();
        await press("Enter");
        await again.waitFor({ state: "detached" });
        assert.equal(await active(), name);
      });
    }

    test("the page made no other requests and logged no errors", () => watch.assertClean());
  });
}
