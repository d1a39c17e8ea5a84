// Requests to the server. The credential is kept for this tab only.

const KEPT_AS = "idmerge";
const TRIES_MS = [1_000, 3_000];

/** A request that failed, with a message for people. */
export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * A module that is loaded when it is needed. A browser does not ask again for one that it could not get, and another
 * version of the server has none of this one, so the whole page has to be loaded anew.
 */
export async function part(load) {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const problem = new Problem("A part of this page could not be loaded. The server may be stopped, or have another version now.", 0);
    problem.isOfPage = true;
    throw problem;
  }
}

let credential = null;

/** The answer of `/v1/project`, as a promise, once it was asked for. */
let openProject = null;

/** The credential of this tab: `{ secret, project }`, or null. */
export function signedIn() {
  if (!credential) {
    try {
      credential = JSON.parse(sessionStorage.getItem(KEPT_AS));
    } catch {
      // Storage can be forbidden. Then a reload asks for the secret again.
    }
  }
  return credential;
}

export function signIn(secret, project) {
  credential = { secret, project };
  openProject = null;
  try {
    sessionStorage.setItem(KEPT_AS, JSON.stringify(credential));
  } catch {
    // See above.
  }
}

export function signOut() {
  credential = null;
  openProject = null;
  try {
    sessionStorage.removeItem(KEPT_AS);
  } catch {
    // See above.
  }
}

function authorization() {
  const { secret } = signedIn() ?? { secret: "" };
  const pair = secret.includes(":") ? secret : `${secret}:`;
  const bytes = new TextEncoder().encode(pair);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

/** An ID as a segment of a path. */
export function inPath(id) {
  try {
    return encodeURIComponent(id);
  } catch {
    throw new Problem("This ID is not valid text: it contains half of a character.", 400);
  }
}

function address(path, query) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value != null && value !== "") parameters.append(key, value);
  }
  const { project } = signedIn() ?? {};
  if (project) parameters.append("project_id", project);
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function send(path, query, options) {
  try {
    return await fetch(address(path, query), {
      ...options,
      headers: { Authorization: authorization(), ...options.headers },
      // Otherwise the browser opens its own login window if the secret is wrong.
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. It may be stopped.", 0);
  }
}

async function problemOf(response) {
  const text = await response.text();
  let said = "";
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string") said = error.trim();
  } catch {
    // A proxy in front of the server may answer with HTML.
  }
  const fallback = `The server answered with status ${response.status} and no message.`;
  return new Problem(said || fallback, response.status);
}

const isPassing = (status) => status === 0 || status === 429 || status === 503;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
let onTrouble = () => {};

/** Calls `listener` with a sentence while the server does not answer, and with "" when it does again. */
export function watchTrouble(listener) {
  onTrouble = listener;
}

/** Asks the server, again if it is stopped or busy for the moment. */
export async function ask(path, query = {}, options = {}) {
  for (let tried = 0; ; tried += 1) {
    try {
      const response = await send(path, query, options);
      if (!response.ok) throw await problemOf(response);
      onTrouble("");
      return await response.json();
    } catch (error) {
      if (!isPassing(error.status) || tried >= TRIES_MS.length) throw error;
      onTrouble(error.status === 0
        ? "The server does not answer. It may be stopped; this page tries again."
        : "The server has too much to do. Trying again in a moment.");
      await wait(TRIES_MS[tried]);
    }
  }
}

/** The project that the credential opens: its token and its model. It is asked for once. */
export function project() {
  openProject ??= ask("/v1/project").catch((error) => {
    openProject = null;
    throw error;
  });
  return openProject;
}

export const post = (path, body) =>
  ask(path, {}, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/**
 * The page of a list after `after`. The server ends a page after some work, so it can have no rows although there
 * are more: such pages are passed over.
 */
export async function pageAfter(after, path, query, rowsOf) {
  for (;;) {
    const page = await ask(path, { ...query, after });
    if (rowsOf(page).length || !page.next) return page;
    after = page.next;
  }
}

/**
 * Runs `action` for the last call only: answers can overtake each other. `action` gets the arguments of the call after
 * a function that tells whether it still is the last one.
 */
export function latestOnly(action) {
  let number = 0;
  return async (...given) => {
    number += 1;
    const mine = number;
    await action(() => mine === number, ...given);
  };
}

/** All pages of a list, up to `max` rows: `[rows, next]`, where `next` is null if there are no more. */
export async function all(path, query, rowsOf, max) {
  const rows = [];
  let next = null;
  do {
    const page = await ask(path, { ...query, after: next });
    rows.push(...rowsOf(page));
    next = page.next;
  } while (next && rows.length < max);
  return [rows, next];
}

/**
 * Reads server-sent events until `signal` aborts or the connection ends. `EventSource` cannot send a credential.
 */
export async function stream(path, query, signal, onEvent) {
  const response = await send(path, query, { signal });
  if (!response.ok) throw await problemOf(response);
  onTrouble("");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = {};
      for (const line of part.split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (fields.data) onEvent(fields.event ?? "message", JSON.parse(fields.data), fields.id);
    }
  }
}
