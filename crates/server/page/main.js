// Which view is shown: each has an address, so back, forward and links work.

import { Problem, project, signedIn, signIn, signOut, watchTrouble } from "./lib/api.js";
import { at, h, mark, say } from "./lib/dom.js";
import { capital, visible } from "./lib/words.js";
import { funnel } from "./views/funnel.js";
import { health } from "./views/health.js";
import { live } from "./views/live.js";
import { signInView } from "./views/signin.js";
import { user } from "./views/user.js";
import { users } from "./views/users.js";

const VIEWS = new Map(Object.entries({ users, live, funnel, health }));
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
  if (!signedIn()) {
    frame("signin", "Sign in");
    return place(signInView(show), signal);
  }
  showProject();
  const query = new URLSearchParams(location.search);
  const context = { signal, go, reload: show };
  try {
    if (view === "users" && id !== undefined) {
      frame("users", visible(id));
      // The sentence that a view opens with needs figures, so the view comes when it has them.
      return place(await user(id, tab, context), signal);
    }
    const make = VIEWS.get(view);
    frame(view, make ? TITLES[view] : "Nothing here");
    const made = make ? await make(query, context) : say("There is no such page here.");
    return place(made, signal);
  } catch (error) {
    return fail(error, signal);
  }
}

function place(made, signal) {
  if (signal.aborted) return;
  at("main").replaceChildren(made);
  if (show.ran) at("main").querySelector("h1")?.focus({ preventScroll: true });
  show.ran = true;
  scrollTo(0, 0);
}

function fail(error, signal) {
  if (signal.aborted || error.name === "AbortError") return;
  if (error.status === 401 || error.status === 403) {
    signOut();
    frame("signin", "Sign in");
    place(signInView(show, "This secret was changed. Sign in again."), signal);
    return;
  }
  const again = h("button", { type: "button", onclick: show }, "Try again");
  const words = error instanceof Problem ? error.message : "This page made a mistake; the console of the browser has it.";
  place(h("div", {}, say("That did not work."), h("p", { class: "sub problem" }, words), h("p", {}, again)), signal);
  if (!(error instanceof Problem)) throw error;
}

async function showProject() {
  try {
    const { token, model } = await project();
    at("project").replaceChildren(h("b", {}, visible(token)), ` · ${capital(model)}`);
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
