// Light, dark, or as the system says. `first.js` has set what was chosen before.

const ORDER = ["auto", "light", "dark"];

/** "auto", "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

/** Go to the next one, and keep it. */
export function nextTheme() {
  const chosen = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("headway.theme", chosen);
  } catch {
    // Not kept, but used.
  }
}
