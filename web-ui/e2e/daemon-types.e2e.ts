/** The API's types are those of the daemon at `REVEILLE_E2E_URL`. `npm ci --prefix types` comes first. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const link = process.env.REVEILLE_E2E_URL;

it.runIf(link)("the types of the API are current", () => {
  const script = fileURLToPath(new URL("../types/generate.mjs", import.meta.url));
  const document = new URL("api/openapi.json", link).href;
  expect(execFileSync(process.execPath, [script, document, "--check"], { encoding: "utf8" })).toBe("");
});
