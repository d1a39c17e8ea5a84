// Sign in: the secret is checked once, and kept for this tab.

import { project as askProject, signIn, signOut } from "../lib/api.js";
import { h, mark, say } from "../lib/dom.js";

const UNKNOWN = "No project here has this secret. It was printed when the server first started, and stands in data/idmerge.toml.";

export function signInView(done, reason = "") {
  const secret = h("input", {
    id: "secret", type: "password", autocomplete: "current-password", spellcheck: "false", required: true,
    "aria-describedby": "secret-help secret-problem",
  });
  const show = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const wasHidden = secret.type === "password";
    secret.type = wasHidden ? "text" : "password";
    show.setAttribute("aria-pressed", String(wasHidden));
    show.textContent = wasHidden ? "Hide" : "Show";
  } }, "Show");
  const problem = h("p", { class: "problem", id: "secret-problem", role: "alert" }, reason);
  const project = h("input", { id: "of-project", autocomplete: "off", spellcheck: "false" });
  const projectField = h("div", { class: "field", hidden: true },
    h("label", { for: "of-project" }, "Project (its token)"), project);
  const button = h("button", { class: "go" }, "Sign in");
  const submit = async (sent) => {
    sent.preventDefault();
    button.disabled = true;
    signIn(secret.value, project.value.trim() || null);
    try {
      await askProject();
      done();
    } catch (error) {
      signOut();
      problem.textContent = words(error);
      // A service account of several projects must name one.
      if (error.message.includes("project_id")) {
        projectField.hidden = false;
        project.focus();
      } else {
        secret.setAttribute("aria-invalid", "true");
        secret.select();
      }
    } finally {
      button.disabled = false;
    }
  };
  return h("div", { class: "signin" }, mark(), say("Who is who?"),
    h("p", { class: "sub" }, "idmerge keeps the answer on this machine. The secret of a project opens it."),
    h("form", { onsubmit: submit },
      h("label", { for: "secret" }, "Secret"),
      h("div", { class: "with" }, secret, show), problem, projectField,
      h("p", { class: "soft small", id: "secret-help" },
        "A service account works too, as ", h("code", {}, "name:secret"), ". This tab forgets it when it is closed."),
      button));
}

function words(error) {
  if (error.message.includes("project_id")) return "This account belongs to several projects. Name one.";
  return error.status === 401 || error.status === 403 ? UNKNOWN : error.message;
}
