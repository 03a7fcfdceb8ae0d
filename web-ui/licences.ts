/** Lists the packages whose code is in the bundle, with their licences, in `licences.json` beside the page. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

interface Package {
  name: string;
  version: string;
  license?: string;
}

export function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle(_, bundle) {
      const roots = new Set<string>();
      for (const file of Object.values(bundle)) {
        for (const id of file.type === "chunk" ? file.moduleIds : []) {
          const root = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replace(/^\0/, ""))?.[0];
          if (root) roots.add(root);
        }
      }
      const list = [...roots].map(about).sort((a, b) => a.name.localeCompare(b.name));
      this.emitFile({ type: "asset", fileName: "licences.json", source: JSON.stringify(list) });
    },
  };
}

/** A package without a licence stops the build: it must not be shipped. */
function about(root: string): { name: string; version: string; licence: string; text: string } {
  const { name, version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Package;
  const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
  if (!license || !file || !existsSync(join(root, file))) throw new Error(`${name} tells no licence`);
  return { name, version, licence: license, text: readFileSync(join(root, file), "utf8") };
}
