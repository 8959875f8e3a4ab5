// The console's own behaviour: theme, copying, dialogs, one-time links. Everything else works without it.
"use strict";

const THEMES = ["", "light", "dark"];

function switchTheme(button) {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme || "") + 1) % THEMES.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  document.cookie = `theme=${next}; path=/; max-age=${next ? 31536000 : 0}; samesite=lax`;
  button.querySelector("[data-theme-name]").textContent = next || "automatic";
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = "value" in source ? source.value : source.textContent;
  try {
    await navigator.clipboard.writeText(text.trim());
  } catch {
    // No clipboard over plain http from another machine: select it, so that the person's own copy key works.
    getSelection().selectAllChildren(source);
    button.querySelector("[data-copy-label]").textContent = "Selected: press Ctrl+C";
    return;
  }
  button.querySelector("[data-copy-label]").textContent = "Copied";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("themeSwitch" in button.dataset) switchTheme(button);
  if (button.dataset.copy) copy(button);
  if (button.dataset.dialog) document.getElementById(button.dataset.dialog).showModal();
  if ("close" in button.dataset) button.closest("dialog").close();
  if ("dismiss" in button.dataset) button.closest(".toast").remove();
});

// A form that is being sent is not sent twice.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented || "hxPost" in event.target.dataset) return;
  setTimeout(() => { button.setAttribute("aria-busy", "true"); button.disabled = true; });
});
// Coming back by the browser's history shows the page as it was left: make its buttons work again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
});

// After a form came back with faults, start at the first field that has one.
document.querySelector("[aria-invalid]")?.focus();

// The one-time code of a sign-in link stands after "#", where no server and no log sees it.
const code = document.querySelector("[data-from-fragment]");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
