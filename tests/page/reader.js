// What the modules of the page expect of a browser, for Node: the language of the document.

globalThis.document = { documentElement: { lang: "en", dataset: {} } };

// Node 18 has none.
globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail }) {
    super(type);
    this.detail = detail;
  }
};

/** Read the page in this language. */
export function readIn(language) {
  document.documentElement.lang = language;
}
