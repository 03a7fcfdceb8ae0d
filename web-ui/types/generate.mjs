/**
 * Writes `app/api/schema.d.ts` from the daemon's OpenAPI document.
 *
 *     npm run types -- http://127.0.0.1:1941/api/openapi.json
 *     npm run types -- openapi.json --check     # only says whether the file is current
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import openapi, { astToString } from "openapi-typescript";

const OUTPUT = fileURLToPath(new URL("../app/api/schema.d.ts", import.meta.url));

/** Refusals all have one shape, and clients read it in one place: repeated at every route they would be most of the file. */
function withoutRefusals(document) {
  for (const methods of Object.values(document.paths)) {
    for (const { responses = {} } of Object.values(methods)) {
      for (const status of Object.keys(responses)) if (/^[45]/.test(status)) delete responses[status];
    }
  }
  return document;
}

async function generate(document) {
  const nodes = await openapi(withoutRefusals(document), { alphabetize: true, silent: true });
  return `/** Made by \`npm run types\` from the daemon's OpenAPI document. */\n${astToString(nodes)}`;
}

async function read(source) {
  if (!/^https?:/.test(source)) return JSON.parse(await readFile(source, "utf8"));
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(`${source} answered with status ${answer.status}`);
  return answer.json();
}

const [source, check] = process.argv.slice(2);
if (!source) {
  console.error("Name the OpenAPI document: npm run types -- http://127.0.0.1:1941/api/openapi.json");
  process.exit(2);
}
const types = await generate(await read(source));
if (check !== "--check") {
  await writeFile(OUTPUT, types);
} else if ((await readFile(OUTPUT, "utf8")) !== types) {
  console.error(`app/api/schema.d.ts is not what this daemon says. Run: npm run types -- ${source}`);
  process.exit(1);
}
