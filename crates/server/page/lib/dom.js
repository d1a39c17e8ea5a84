// Elements, icons and announcements. All data on this page comes from untrusted senders, so it is only ever
// set as text: nothing here builds HTML from a string.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

/** Sets attributes, listeners (`onclick`) and custom properties (`--c`), and appends children. */
export function fill(made, attributes = {}, ...children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    // Through the CSSOM, because the content security policy forbids style attributes.
    else if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(4).filter((child) => child != null && child !== false && child !== ""));
  return made;
}

/** An element with attributes and children. Strings become text. */
export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

/** The same for SVG. */
export const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

const GLYPHS = {
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  done: "M2.5 8.5l3.5 3.5 7.5-8",
  look: "M8 1.8L15 14H1zM8 6v4M8 11.8v.4",
  cross: "M3 3l10 10M13 3L3 13",
};

export function glyph(name, kind = name) {
  const attributes = { class: `i ${kind}`, viewBox: "0 0 16 16", "aria-hidden": "true" };
  return s("svg", attributes, s("path", { d: GLYPHS[name] }));
}

/** The mark of the product: two lanes that become one. */
export const mark = () =>
  s("svg", { class: "mark", viewBox: "6 0 22 32", "aria-hidden": "true" },
    s("path", { class: "mark-user", d: "M9 3v26" }),
    s("path", { class: "mark-device", d: "M24 3v5c0 8-15 5-15 15" }));

/** Says something to screen readers. */
export function announce(text) {
  at("said").textContent = text;
}

const COPIED_MS = 1_500;

export function copyButton(text, what = text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers have no clipboard for a page that came over plain HTTP from another machine.
      announce("The browser does not let this page copy.");
      return;
    }
    button.replaceChildren(glyph("done"));
    announce("Copied");
    setTimeout(() => button.replaceChildren(glyph("copy")), COPIED_MS);
  };
  const label = { "aria-label": `Copy ${what}`, title: "Copy" };
  const button = h("button", { class: "icon", type: "button", ...label, onclick: copy }, glyph("copy"));
  return button;
}

/** The heading of a view: the sentence that answers it. It gets the focus when the view is opened. */
export const say = (...words) => h("h1", { class: "say", tabindex: "-1" }, words);

/** A sentence instead of a list that is empty. */
export const none = (text, ...more) => h("div", { class: "none", role: "status" }, h("p", {}, text), more);

/** Calls `action` once whenever `element` comes near the visible part of the page. */
export function whenNear(element, action, margin = "800px") {
  const watcher = new IntersectionObserver((seen) => {
    if (seen.some((each) => each.isIntersecting)) action();
  }, { rootMargin: margin });
  watcher.observe(element);
  return watcher;
}
