/** The compiled daemon at `REVEILLE_E2E_BIN` with the scripted stand-in for Claude Code, which can be killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext } from "playwright-core";

export const PROGRAM = process.env.REVEILLE_E2E_BIN;
const DIST = fileURLToPath(new URL("../../target/ui/dist", import.meta.url));
const START_MS = 60_000;

interface Told {
  url: string;
  pid: number;
}

export class Compiled {
  private dir = "";
  private child: ChildProcess | undefined;
  private port = 0;
  private gates = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  log(): string {
    return readFileSync(join(this.dir, "log"), "utf8");
  }

  /** On the same state directory as before, at the same address. */
  async start(): Promise<void> {
    this.dir ||= mkdtempSync(join(tmpdir(), "rvp"));
    const log = openSync(join(this.dir, "log"), "a");
    const env = {
      PATH: process.env.PATH, HOME: this.dir, LANG: "C.UTF-8", REVEILLE_SANDBOX__MODE: "none", REVEILLE_CLAUDE__PROGRAM: "stand-in",
      REVEILLE_SERVER__DRAIN: "2s",
    };
    const child = spawn(PROGRAM ?? "", ["serve", "--state-dir", join(this.dir, "s"), "--bind", `127.0.0.1:${this.port}`], { env, cwd: this.dir, stdio: ["ignore", log, log] });
    this.child = child;
    const end = Date.now() + START_MS;
    while (Date.now() < end) {
      const told = this.told();
      if (told && told.pid === child.pid && (await healthy(told.url))) {
        this.port = Number(new URL(told.url).port);
        return;
      }
      if (child.exitCode !== null) break;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`the daemon did not start:\n${this.log().slice(-4_000)}`);
  }

  private told(): Told | undefined {
    try {
      return JSON.parse(readFileSync(join(this.dir, "s/daemon.json"), "utf8")) as Told;
    } catch {
      return undefined;
    }
  }

  /** As a crash does (SIGKILL), or as a person does (SIGTERM). */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await gone;
    this.child = undefined;
  }

  async remove(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A directive of the stand-in at which a turn stays until it is let go: no timer ends it before somebody has looked at it. */
  gate(): { held: string; open: () => void } {
    const file = join(this.dir, `gate-${++this.gates}`);
    return { held: `[[exec while ! test -e ${file}; do sleep 0.05; done]]`, open: () => writeFileSync(file, "") };
  }

  /** As its operator. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const authorization = `Bearer ${readFileSync(join(this.dir, "s/token"), "utf8").trim()}`;
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
    return JSON.parse(answer) as T;
  }

  async signInLink(): Promise<string> {
    return (await this.ask<{ url: string }>("POST", "/api/sign-in-links", {})).url;
  }

  /** With `REVEILLE_E2E_PAGE=dist` the page is what was built last, not what the daemon was compiled with. */
  async overlay(context: BrowserContext): Promise<void> {
    if (process.env.REVEILLE_E2E_PAGE !== "dist") return;
    const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json" };
    const policy = (await fetch(this.url)).headers.get("content-security-policy") ?? "";
    await context.route(/^http:\/\/[^/]+\/(assets\/.*|licences\.json|favicon\.svg)?$/, (route) => {
      const path = new URL(route.request().url()).pathname;
      const file = path === "/" ? "/index.html" : path;
      return route.fulfill({ body: readFileSync(DIST + file), headers: { "content-type": types[extname(file)] ?? "", "content-security-policy": policy } });
    });
  }
}

async function healthy(url: string): Promise<boolean> {
  try {
    return (await fetch(new URL("/health", url))).ok;
  } catch {
    return false;
  }
}
