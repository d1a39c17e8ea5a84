// Shared by all suites: the server that `cargo xtask e2e` has started, and requests to it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const SERVER = wanted("IDMERGE_URL");
export const OUT = process.env.IDMERGE_OUT ?? ".";
export const ENGINES = ["simplified", "original"];
/** The engines of the suites of SDKs. */
export const ALL_ENGINES = [...ENGINES, "legacy"];

export function wanted(name) {
  const value = process.env[name];
  assert(value, `${name} is not set: run \`cargo xtask e2e\``);
  return value;
}

/** A project in the configuration that `cargo xtask e2e` writes. Its credentials follow from its name. */
export class Project {
  constructor(token) {
    this.token = token;
    this.secret = `secret-of-${token}`;
    this.account = { user: `account-of-${token}`, secret: `password-of-${token}` };
  }

  async ask(where) {
    const response = await fetch(SERVER + where, {
      headers: { Authorization: `Basic ${btoa(`${this.secret}:`)}` },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${where}: ${response.status} ${text}`);
    return text;
  }

  async json(where) {
    return JSON.parse(await this.ask(where));
  }

  identity(id, explain = false) {
    return this.json(`/v1/ids/${encodeURIComponent(id)}?explain=${explain}`);
  }

  /** The profile properties of the user with this ID. */
  async profile(id) {
    return (await this.json(`/v1/users/${encodeURIComponent(id)}/profile`)).properties;
  }

  /** All events of a user, newest first, fetched page by page. */
  async feed(id) {
    const all = [];
    for (let after = ""; after !== null; ) {
      const query = after && `&after=${encodeURIComponent(after)}`;
      const { events, next } = await this.json(`/v1/users/${encodeURIComponent(id)}/events?limit=7${query}`);
      all.push(...events);
      after = next;
    }
    return all;
  }

  /** All events of the last days, resolved. */
  async exported() {
    const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    const text = await this.ask(`/api/2.0/export?from_date=${day(3)}&to_date=${day(-1)}`);
    return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Fails unless these IDs are a whole cluster, and the first is the canonical ID. */
  async assertCluster(members) {
    const [canonical] = members;
    for (const member of members) {
      const identity = await this.identity(member);
      assert.equal(identity.distinct_id, canonical, `${member} resolves to another ID`);
      assert.deepEqual(identity.members.toSorted(), members.toSorted());
    }
  }
}

/** Asks again until the condition holds, because SDKs decide when they send. */
export async function until(question, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not so after ${seconds} s: ${question}`);
    await sleep(100);
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A device ID as a member of a cluster: with the prefix in Simplified (S-10), bare in Original (O-1). */
export const device = (engine, id) => (engine === "simplified" ? `$device:${id}` : id);

/** The folder of these scripts. */
export const here = path.dirname(fileURLToPath(import.meta.url));

/** A shop on an origin of its own, whose pages load this version of the library. */
export async function shop() {
  const library = (name, file = "dist/mixpanel.umd.js") => path.join(here, "node_modules", name, file);
  const files = {
    "/new.js": library("mixpanel-browser"),
    "/old.js": library("mixpanel-browser-old"),
    "/segment.js": library("@segment/analytics-next", "dist/umd/index.js"),
    "/rudderstack.js": library("@rudderstack/analytics-js", "dist/npm/modern/bundled/umd/index.js"),
  };
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://shop");
    const found = /^\/(new|old|segment|rudderstack)\/(.*)$/.exec(pathname);
    if (files[pathname]) {
      response.setHeader("content-type", "text/javascript");
      response.end(await readFile(files[pathname]));
    } else if (found) {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(`<!doctype html><title>${found[2]}</title><link rel="icon" href="data:,"><script src="/${found[1]}.js"></script>`);
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A browser that makes no requests of its own. */
export async function browser() {
  const { chromium } = await import("playwright-core");
  return chromium.launch({
    executablePath: wanted("CHROMIUM"),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// mixpanel-browser and rudder-sdk-js send nothing for a browser that they take for a robot.
const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/** A page with a browser profile of its own, and what goes wrong on it. */
export async function newPage(chromium) {
  const context = await chromium.newContext({ userAgent: USER_AGENT });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  return { context, page, problems };
}
