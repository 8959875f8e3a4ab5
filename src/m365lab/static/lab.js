// Copies values, and reloads the page when mail came or went. Everything works without it.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

// Only pages that list mail: nobody wants a form or a message to reload below the cursor.
if (document.querySelector(".tabs, .messages, .empty")) {
  let known = null;
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch("/lab/changes").catch(() => null);
    if (!answer || !answer.ok) return;
    const now = await answer.text();
    if (known !== null && known !== now) location.reload();
    known = now;
  }, 2000);
}
