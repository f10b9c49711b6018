// Before the first paint: the theme and the language that were chosen. Not a module, so that
// nothing is shown in the wrong colours first. What is not chosen follows the browser.
(() => {
  const root = document.documentElement;
  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // storage may be forbidden; the page works without
    }
  };
  const theme = stored("headway.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const language = stored("headway.language") ?? navigator.language ?? "en";
  root.lang = language.toLowerCase().startsWith("ko") ? "ko" : "en";
})();
