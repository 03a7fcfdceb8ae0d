// What `cargo package` would pack of each crate that is published: whole, with its licences, and nothing large.
// tests/run calls it. It builds the page into web-ui/dist for the time that it looks, as a release does.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Not for others. */
const OWN = ["reveille-tests", "reveille-fuzz"];
/** Bytes of a file, and of all files of a crate, beyond which somebody should have a look. */
const FILE_MAX = 1 << 20;
const CRATE_MAX = 6 << 20;
const MADE_BY_CARGO = [".cargo_vcs_info.json", "Cargo.toml.orig", "Cargo.lock"];
const UNWANTED = [/(^|\/)node_modules\//, /(^|\/)target\//, /\.(db|log|map)$/, /(^|\/)\.env/];

const wrong = [];
const run = (program, args, options = {}) =>
    execFileSync(program, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 64 << 20, ...options });

/** Files that the sources take into the program: they must come along. Those of tests need not. */
function taken(dir, listed) {
    for (const name of listed.filter((name) => name.endsWith(".rs"))) {
        const source = readFileSync(join(dir, name), "utf8").split("#[cfg(test)]\nmod tests {")[0];
        for (const [, file] of source.matchAll(/include_(?:str|bytes)!\("([^"]+)"\)/g)) {
            const path = normalize(join(dirname(name), file));
            if (!/(^|\/)tests(\/|\.rs$)/.test(name) && !listed.includes(path)) {
                wrong.push(`${name} takes ${path}, which is not packed`);
            }
        }
    }
}

function check(crate, version) {
    const dir = dirname(crate.manifest_path);
    const say = (text) => wrong.push(`${crate.name}: ${text}`);
    for (const field of ["description", "license", "repository"]) {
        if (!crate[field]) {
            say(`no ${field}`);
        }
    }
    if (crate.version !== version) {
        say(`version ${crate.version}, the workspace has ${version}`);
    }
    const listed = run("cargo", ["package", "--list", "--allow-dirty", "--offline", "-p", crate.name]).trim().split("\n");
    for (const name of ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "src/lib.rs"]) {
        if (!listed.includes(name)) {
            say(`${name} is not packed`);
        }
    }
    let all = 0;
    for (const name of listed.filter((name) => !MADE_BY_CARGO.includes(name))) {
        const path = name === "README.md" && !existsSync(join(dir, name)) ? join(ROOT, name) : join(dir, name);
        const size = statSync(path).size;
        all += size;
        if (size > FILE_MAX) {
            say(`${name} has ${size} bytes`);
        }
        if (UNWANTED.some((pattern) => pattern.test(name))) {
            say(`${name} is packed`);
        }
    }
    if (all > CRATE_MAX) {
        say(`${all} bytes in all`);
    }
    taken(dir, listed);
    if (crate.name === "reveille-web-ui" && !listed.includes("dist/index.html")) {
        say("the built page, dist/index.html, is not packed");
    }
    console.log(`${crate.name}: ${listed.length} files, ${Math.ceil(all / 1024)} KiB`);
}

const dist = join(ROOT, "web-ui/dist");
const made = !existsSync(dist);
try {
    if (made) {
        run("npm", ["run", "--silent", "build", "--", "--logLevel", "warn", "--outDir", dist], {
            cwd: join(ROOT, "web-ui"),
            stdio: ["ignore", "inherit", "inherit"],
        });
    }
    const metadata = JSON.parse(run("cargo", ["metadata", "--no-deps", "--format-version", "1", "--offline"]));
    const crates = metadata.packages.filter((crate) => !OWN.includes(crate.name));
    const version = crates.find((crate) => crate.name === "reveille").version;
    for (const crate of crates) {
        check(crate, version);
    }
    const log = readFileSync(join(ROOT, "CHANGELOG.md"), "utf8");
    if (!log.includes(`## [${version}]`) && !log.includes("## [Unreleased]")) {
        wrong.push(`CHANGELOG.md says nothing of ${version}`);
    }
} finally {
    if (made) {
        rmSync(dist, { recursive: true, force: true });
    }
}
if (wrong.length > 0) {
    console.error(wrong.map((text) => `wrong: ${text}`).join("\n"));
    console.error(`see ${relative(process.cwd(), fileURLToPath(import.meta.url))}`);
    process.exit(1);
}
