/** Says last which tests failed and why, so that the end of a log is enough. */
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestModule } from "vitest/node";

type Why = NonNullable<ReturnType<TestModule["errors"]>[number]>;

/** Of each message and each difference. */
const LINES = 8;

export default class Failures implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const failed = modules.flatMap((module) => [...module.children.allTests("failed")].map((test) => ({ name: `${module.relativeModuleId} > ${test.fullName}`, errors: test.result().errors ?? [] })));
    const broken = modules.flatMap((module) => [
      ...module.errors().map((error) => ({ name: module.relativeModuleId, errors: [error] })),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors().map((error) => ({ name: `${module.relativeModuleId} > ${suite.fullName}`, errors: [error] }))),
    ]);
    const all = [...broken, ...failed];
    if (all.length === 0) return;
    const told = all.map(({ name, errors }) => [`FAILED ${name}`, ...errors.map(why)].join("\n"));
    process.stderr.write(`\n${told.join("\n")}\n${all.length} failed\n`);
  }
}

/** What was expected, what was there, and on which line of the tests. */
function why({ message, stacks = [], diff }: Why): string {
  const words = [message, String(diff ?? "")].map((text) => stripVTControlCharacters(text).split("\n").slice(0, LINES).join("\n").trim()).filter(Boolean);
  const at = stacks.find(({ file }) => file.endsWith(".e2e.ts")) ?? stacks[0];
  return [...words, ...(at ? [`at ${at.file}:${at.line}:${at.column}`] : [])].join("\n").replace(/^/gm, "  ");
}
