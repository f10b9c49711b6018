// What the modules of the page expect of a browser, for Node: the language of the document.

globalThis.document = /** @type {any} */ ({ documentElement: { lang: "en", dataset: {} } });

/** Read the page in this language. */
export function readIn(language) {
  document.documentElement.lang = language;
}
