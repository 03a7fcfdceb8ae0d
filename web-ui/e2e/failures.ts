/** Says last which tests failed and why, so that the end of a log is enough. */
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestModule } from "vitest/node";

type Why = Parameters<NonNullable<Reporter["onTestRunEnd"]>>[1][number];

interface Failed {
  name: string;
  errors: readonly Why[];
}

/** Of each message and each difference. */
const LINES = 8;

export default class Failures implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly Why[]): void {
    const all = [...(unhandled.length > 0 ? [{ name: "outside of all tests", errors: unhandled }] : []), ...modules.flatMap(failedOf)];
    if (all.length === 0) return;
    const told = all.map(({ name, errors }) => [`FAILED ${name}`, ...errors.map(why)].join("\n"));
    process.stderr.write(`\n${told.join("\n")}\n${all.length} failed\n`);
  }
}

/** A file that cannot be read, a group that could not begin or end, tests. */
function failedOf(module: TestModule): Failed[] {
  const file = module.relativeModuleId;
  return [
    { name: file, errors: module.errors() },
    ...[...module.children.allSuites()].map((suite) => ({ name: `${file} > ${suite.fullName}`, errors: suite.errors() })),
    ...[...module.children.allTests("failed")].map((test) => ({ name: `${file} > ${test.fullName}`, errors: test.result().errors ?? [] })),
  ].filter(({ errors }) => errors.length > 0);
}

/** What was expected, what was there, and on which line of the tests. */
function why({ message, stacks = [], diff }: Why): string {
  const words = [message, String(diff ?? "")].map((text) => stripVTControlCharacters(text).split("\n").slice(0, LINES).join("\n").trim()).filter(Boolean);
  const at = stacks.find(({ file }) => file.endsWith(".e2e.ts")) ?? stacks[0];
  return [...words, ...(at ? [`at ${at.file}:${at.line}:${at.column}`] : [])].join("\n").replace(/^/gm, "  ");
}
