// Sets the theme and the language that were chosen, before the first paint: not a module, so that
// nothing is shown in the wrong colours first. Without a choice they follow the browser.
(() => {
  const root = document.documentElement;
  const stored = (/** @type {string} */ name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const theme = stored("headway.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const language = stored("headway.language") ?? navigator.language ?? "en";
  root.lang = language.toLowerCase().startsWith("ko") ? "ko" : "en";
})();
