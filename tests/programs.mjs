// Runs the test programs of the workspace, some at a time, as `cargo test --workspace` does one after the other: most wait more
// than they work. What a program prints is shown as a whole when it has ended. Fails when one of them does, after all have run.
//
//   node tests/programs.mjs [AT_ONCE]   default: two
import { spawn } from "node:child_process";
import { dirname, relative } from "node:path";

const atOnce = Number(process.argv[2] ?? 2);
if (!Number.isInteger(atOnce) || atOnce < 1) throw new Error(`not a number of programs: ${process.argv[2]}`);

/** A browser that is watched for seconds keeps the machine busy by itself. */
const ALONE = ["page"];
/** Those that take longest begin first, so that the end is not one of them alone. */
const LONG = ["reveille", "lifecycle", "real_cli", "catalogue", "warm", "http", "cli", "sandbox", "bridges", "attached", "hub_grants", "live"];

/** Runs a program to its end: `[status, what it printed]`. */
function run(program, args, options, shown) {
    return new Promise((resolve, reject) => {
        const child = spawn(program, args, { stdio: ["ignore", "pipe", shown ? "inherit" : "pipe"], ...options });
        const printed = [];
        for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part) => printed.push(part));
        child.on("error", reject);
        child.on("close", (code, signal) => resolve([signal ?? code, Buffer.concat(printed).toString()]));
    });
}

/** The programs, as cargo has built them: name, path, and the directory of their package, in which cargo runs them too. */
async function build() {
    const [status, printed] = await run("cargo", ["test", "--workspace", "--locked", "--no-run", "--message-format=json-render-diagnostics"], {}, true);
    if (status !== 0) throw new Error("the tests do not compile");
    const artifacts = printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    return artifacts
        .filter(({ reason, profile, executable }) => reason === "compiler-artifact" && profile.test && executable)
        .map(({ target, executable, manifest_path }) => ({ name: target.name, path: executable, dir: dirname(manifest_path) }));
}

const rank = ({ name }) => (LONG.includes(name) ? LONG.indexOf(name) : LONG.length);
const waiting = (await build()).sort((one, other) => rank(one) - rank(other));
if (waiting.length === 0) throw new Error("cargo has built no test program");
const count = waiting.length;
const failed = [];

async function work(programs) {
    for (let next = programs.shift(); next; next = programs.shift()) {
        const name = `${relative(".", next.dir)}: ${next.name}`;
        const began = Date.now();
        const [status, printed] = await run(next.path, [], { cwd: next.dir, env: { ...process.env, CARGO_MANIFEST_DIR: next.dir } }, false);
        process.stdout.write(`\n     Running ${name} (${Math.round((Date.now() - began) / 1000)} s)\n${printed}`);
        if (status === 0) continue;
        failed.push(name);
        console.log(`error: test program failed (${status}): ${name}`);
    }
}
const together = waiting.filter(({ name }) => !ALONE.includes(name));
await work(waiting.filter(({ name }) => ALONE.includes(name)));
await Promise.all(Array.from({ length: atOnce }, () => work(together)));
console.log(`\n${count} test programs, ${failed.length} failed${failed.map((name) => `\n    ${name}`).join("")}`);
if (failed.length > 0) process.exitCode = 1;
