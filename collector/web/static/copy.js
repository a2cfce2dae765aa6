// The copy button of the villagers' page: shows itself only where it works; the code can always be marked by hand.
"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = button.dataset.done;
    });
  });
}
