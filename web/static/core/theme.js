// Light, dark, or as the system is set. `first.js` has applied what was chosen before.

const ORDER = ["auto", "light", "dark"];

/** "auto", "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

/** Choose the next theme, and keep it. */
export function nextTheme() {
  const chosen = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("headway.theme", chosen);
  } catch {
    // Storage may be forbidden: the choice holds until the page is closed.
  }
}
