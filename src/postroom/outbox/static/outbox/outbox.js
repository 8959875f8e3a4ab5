// Ticks all messages of the page.
"use strict";

document.querySelector("[data-tick-all]")?.addEventListener("change", (event) => {
  for (const box of document.querySelectorAll("input[name=id]")) box.checked = event.target.checked;
});
