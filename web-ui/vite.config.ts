import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { licences } from "./licences.ts";

/** Writes `NAME.br` and `NAME.gz` next to each built file, for the crate to embed and serve as they are. */
function precompress(): Plugin {
  let outDir = "";
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(outDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        const brotli = brotliCompressSync(bytes);
        if (/\.(js|css)$/.test(path)) console.log(`${entry.name}: ${(brotli.length / 1000).toFixed(1)} kB with brotli`);
        writeFileSync(`${path}.br`, brotli);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  // Relative, so that the page works below any mount path.
  base: "./",
  plugins: [licences(), precompress()],
  build: {
    target: "es2022",
    // A data: URL would not pass the page's content security policy.
    assetsInlineLimit: 0,
    // What the first page is made of is asked for at once; the polyfill would be a script in the page.
    modulePreload: { polyfill: false },
    // Not `dist/`: a `dist/` here is a ready-built page that the crate embeds without node.
    outDir: "../target/ui/dist",
    emptyOutDir: true,
  },
});
