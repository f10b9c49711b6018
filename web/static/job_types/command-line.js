// Command lines as a POSIX shell reads them, so that they can be copied.

/**
 * Quote a word so that a shell reads it back.
 * @param {string} word
 */
export function quoted(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * The curl command that sends this body to `POST /jobs`.
 * @param {string} origin
 * @param {object} body
 */
export function curlCommand(origin, body) {
  return `curl -sS ${origin}/jobs \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
}
