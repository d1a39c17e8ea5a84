// Follows the README's steps for a page with the SDK, as a newcomer would.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";

import { ENGINES, Project, SERVER, browser, device, here, until } from "./support.mjs";

/** The code blocks of a language in the section with this heading. */
async function blocks(heading, language) {
  const readme = await readFile(path.join(here, "../../README.md"), "utf8");
  const [, part] = readme.split(`\n## ${heading}\n`);
  return [...part.split("\n## ")[0].matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text);
}

/** The text with its placeholders replaced. Fails if one of them is missing. */
function replaced(text, changes) {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    assert(changed.includes(from), `the README does not contain ${from}`);
    return changed.replaceAll(from, to);
  }, text);
}

for (const engine of ENGINES) {
  test(`the README's page, ${engine}`, async (t) => {
    const project = new Project(`readme-${engine}`);
    const [html] = await blocks("A server", "html");
    const page = replaced(html, { "'shop'": `'${project.token}'`, "http://127.0.0.1:8080": SERVER });
    const shop = http.createServer(async (request, response) => {
      const isPage = request.url === "/";
      response.setHeader("content-type", isPage ? "text/html" : "text/javascript");
      const file = request.url.startsWith("/node_modules/mixpanel-browser/") && !request.url.includes("..");
      if (!isPage && !file) response.statusCode = 404;
      response.end(isPage ? page : file ? await readFile(path.join(here, request.url)) : "");
    });
    await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
    t.after(() => shop.closeAllConnections() ?? shop.close());
    const chromium = await browser();
    t.after(() => chromium.close());

    const visitor = await chromium.newPage();
    await visitor.goto(`http://localhost:${shop.address().port}`);
    await visitor.click("button");
    const id = device(engine, await visitor.evaluate(() => mixpanel.get_property("$device_id")));

    // The curl commands of the README.
    const [, , asked] = await blocks("A server", "sh");
    const addresses = [...asked.matchAll(/127\.0\.0\.1:8080(\S+)/g)].map(([, address]) => address);
    assert.equal(addresses.length, 2);
    const names = async () => (await project.json(addresses[1])).events.map(({ event }) => event.event).toReversed();
    await until(async () => (await names()).includes("Log In"));
    assert.deepEqual((await names()).filter((name) => name !== "$identify"), ["Page View", "Log In"]);
    const { distinct_id: canonical, members } = await project.json(addresses[0]);
    assert.equal(canonical, "ben");
    assert.deepEqual(members.toSorted(), ["ben", id].toSorted());

    // What the README promises about the server's own page.
    const own = await chromium.newPage();
    await own.goto(SERVER);
    await own.fill("#secret", project.secret);
    await own.press("#secret", "Enter");
    await own.click(".people a:has-text('ben')");
    await own.waitForSelector(".events.anon");
    assert.deepEqual(await own.locator(".events.anon .name").allTextContents(), ["Page View"]);
    await own.click("nav >> text=Identity");
    await own.waitForSelector(".lanes .spine", { state: "attached" });
    assert.match(await own.textContent(".lanes"), /It is ben’s\..*2 IDs, one person/s);
    await own.goto(`${SERVER}/funnel?step=Page+View&step=Log+In`);
    await own.waitForSelector(".steps");
    assert.match(await own.textContent("main h1"), /with ID merge 100 % go all the way, without it 0\.0 %/);
  });
}
