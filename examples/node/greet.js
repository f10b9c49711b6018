// node greet.js [--greeting=TEXT] [-nTIMES] -- NAME...
const { parseArgs } = require("node:util");
const { appendFileSync } = require("node:fs");

const { values, positionals } = parseArgs({
  options: { greeting: { type: "string" }, times: { type: "string", short: "n" } },
  allowPositionals: true,
});
for (let i = 0; i < Number(values.times); i++) {
  for (const name of positionals) console.log(`${values.greeting}, ${name}!`);
}
appendFileSync(process.env.HEADWAY_REPORT, JSON.stringify({ result: positionals }) + "\n");
