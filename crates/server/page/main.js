// Which view is shown: each has an address, so back, forward and links work.

import { Problem, part, project, signedIn, signIn, signOut, watchTrouble } from "./lib/api.js";
import { at, h, mark, say } from "./lib/dom.js";
import { capital, sentence, visible } from "./lib/words.js";

/** The view of each address. The first one is shown as soon as it is there; the others are loaded after it. */
const VIEWS = new Map(Object.entries({
  users: async () => (await import("./views/users.js")).users,
  live: async () => (await import("./views/live.js")).live,
  funnel: async () => (await import("./views/funnel.js")).funnel,
  health: async () => (await import("./views/health.js")).health,
}));
const user = async () => (await import("./views/user.js")).user;
const signInView = async () => (await import("./views/signin.js")).signInView;
/** So long after the first view the others are loaded. */
const REST_MS = 500;
const TITLES = { users: "Users", live: "Live", funnel: "Funnel", health: "Health" };

/** Ends what the view that is shown has started. */
let leave = new AbortController();

/** Opens an address of this page. */
function go(path) {
  history.pushState(null, "", path);
  return show();
}

function parts() {
  const [first = "", ...rest] = location.pathname.split("/").filter(Boolean);
  return [first || "users", ...rest.map(decode)];
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function frame(view, title) {
  document.body.dataset.view = view;
  document.title = `${title} · idmerge`;
  for (const link of at("tabs").children) {
    const isHere = link.pathname === `/${view}`;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  at("trouble").textContent = "";
  if (at("dialog").open) at("dialog").close();
  const [view, id, tab = "events"] = parts();
  if (signedIn()) showProject();
  const query = new URLSearchParams(location.search);
  const context = { signal, go, reload: show };
  try {
    if (!signedIn()) {
      frame("signin", "Sign in");
      return place((await part(signInView))(show), signal);
    }
    if (view === "users" && id !== undefined) {
      frame("users", visible(id));
      // The sentence that a view opens with needs figures, so the view comes when it has them.
      return place(await (await part(user))(id, tab, context), signal);
    }
    const load = VIEWS.get(view);
    frame(view, load ? TITLES[view] : "Nothing here");
    const made = load ? await (await part(load))(query, context) : say("There is no such page here.");
    return place(made, signal);
  } catch (error) {
    return fail(error, signal);
  } finally {
    loadRest();
  }
}

/** What was not shown yet is there before it is asked for. What cannot be loaded now is said when it is shown. */
function loadRest() {
  if (loadRest.ran) return;
  loadRest.ran = true;
  setTimeout(async () => {
    const { TABS } = await import("./views/user.js").catch(() => ({ TABS: new Map() }));
    for (const load of [...VIEWS.values(), ...TABS.values()]) load().catch(() => {});
  }, REST_MS);
}

function place(made, signal) {
  if (signal.aborted) return;
  at("main").replaceChildren(made);
  if (show.ran) at("main").querySelector("h1")?.focus({ preventScroll: true });
  show.ran = true;
  scrollTo(0, 0);
}

async function fail(error, signal) {
  if (signal.aborted || error.name === "AbortError") return;
  if (error.status === 401 || error.status === 403) {
    signOut();
    frame("signin", "Sign in");
    place((await part(signInView))(show, "This secret was changed. Sign in again."), signal);
    return;
  }
  const isOfPage = !(error instanceof Problem) || error.isOfPage;
  const again = h("button", { type: "button", onclick: () => (isOfPage ? location.reload() : show()) }, "Try again");
  const words = error instanceof Problem ? sentence(error.message) : "This page made a mistake; the console of the browser has it.";
  place(h("div", {}, say("That did not work."), h("p", { class: "sub problem" }, words), h("p", { class: "tools" }, again)), signal);
  if (!(error instanceof Problem)) throw error;
}

async function showProject() {
  try {
    const { token, model } = await project();
    at("project").replaceChildren(h("b", {}, visible(token)), h("span", {}, ` · ${capital(model)}`));
  } catch {
    // The view itself says what is wrong.
  }
}

/** `#secret=…` signs in: `idmerge demo` prints such an address. The secret does not stay in it. */
function takeSecret() {
  const given = new URLSearchParams(location.hash.slice(1)).get("secret");
  if (!given) return;
  signIn(given, null);
  history.replaceState(null, "", location.pathname + location.search);
}

at("brand").prepend(mark());
at("sign-out").addEventListener("click", () => {
  signOut();
  at("project").replaceChildren();
  show();
});
at("jump").addEventListener("submit", (sent) => {
  sent.preventDefault();
  const words = at("jump-words").value;
  at("jump-words").value = "";
  go(`/users?q=${encodeURIComponent(words)}`);
});
document.addEventListener("keydown", (pressed) => {
  if (pressed.key !== "/" || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
  if (/INPUT|SELECT|TEXTAREA/.test(document.activeElement?.tagName ?? "")) return;
  const field = at("find") ?? at("jump-words");
  if (!field.checkVisibility()) return;
  pressed.preventDefault();
  field.focus();
});
document.addEventListener("click", (clicked) => {
  const link = clicked.target.closest?.("a[href]");
  const isPlain = clicked.button === 0 && !clicked.ctrlKey && !clicked.metaKey && !clicked.shiftKey && !clicked.altKey;
  if (!link || !isPlain || link.origin !== location.origin || link.target) return;
  if (link.hash && link.pathname === location.pathname) {
    clicked.preventDefault();
    document.querySelector(link.hash)?.focus();
    return;
  }
  if (link.pathname.endsWith(".json")) return;
  clicked.preventDefault();
  go(link.pathname + link.search);
});
addEventListener("popstate", show);
watchTrouble((words) => {
  at("trouble").textContent = words;
  // The first view waits for its figures.
  if (words && !at("main").children.length) at("main").append(say("Waiting for the server."));
});
takeSecret();
show();
