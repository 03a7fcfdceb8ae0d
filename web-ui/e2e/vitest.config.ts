import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LIMIT, patience } from "./slow.ts";

export default defineConfig({
  test: {
    include: ["e2e/**/*.e2e.ts"],
    environment: "node",
    // Each has a browser of its own; more of them than processors only wait for each other.
    maxWorkers: 2,
    // For what hangs: a busy machine is no reason to fail.
    testTimeout: 300_000 * patience,
    hookTimeout: 180_000 * patience,
    // As long as everything else waits for the page.
    expect: { poll: { timeout: LIMIT * patience } },
    reporters: ["default", fileURLToPath(new URL("failures.ts", import.meta.url))],
  },
});
