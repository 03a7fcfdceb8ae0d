import { describe, expect, it } from "vitest";
import type { BridgeHealth, Health } from "../app/api";
import type { Check, DayFigures, Statistics } from "../app/system/api";
import { chartsOf, exact, ticksOf } from "../app/system/figures";
import { healthLines, troublePart, troubles } from "../app/system/health";
import { bridgeKind, bridgeState, bridgeTitle, capabilityWords, checksByLevel, effectWord, isIncluded, isOver, newTokenOf, NO_TOKEN, reportText, scopesOf, scopeWords } from "../app/system/words";

const WELL: Health = {
  status: "ok", version: "0.1.0", dependencies: { ok: true, missing: [] }, sandbox: { mode: "bubblewrap", confined: true, detail: "Turns see their work and nothing else." },
  credential: { source: "login", agents: [] }, undelivered: 0, dead_deliveries: 0, vaults: [{ name: "default", kind: "embedded", state: "ready" }],
};
const told = (health: Partial<Health>) => troubles({ ...WELL, ...health }).map(({ name, part }) => `${name} ${part ?? "health"}`);

describe("health", () => {
  it("that is well has no troubles", () => {
    expect(told({})).toEqual([]);
    expect(healthLines(WELL).map(({ name, standing }) => `${name} ${standing}`)).toEqual(["Daemon good", "Claude Code good", "Sign-in at Claude good", "Sandbox good", "Vaults good", "Deliveries good"]);
    expect(troubles(undefined)).toEqual([]);
    // What a stranger is told.
    expect(troubles({ status: "ok" })).toEqual([]);
  });

  it("tells each trouble, and where more of it is told", () => {
    expect(told({ dependencies: { ok: false, missing: ["claude", "bwrap"] } })).toEqual(["Claude Code health", "Sandbox health"]);
    expect(told({ vaults: [{ name: "team", kind: "parachute", state: "unavailable", reason: "No answer." }] })).toEqual(["Vault team vaults"]);
    expect(told({ undelivered: 2 })).toEqual(["Deliveries undelivered"]);
    expect(told({ undelivered: null })).toEqual(["Deliveries doctor"]);
    expect(told({ credential: { source: "none", agents: [], problem: "it is no JSON" } })).toEqual(["Sign-in at Claude health"]);
    expect(told({ status: "degraded" })).toEqual(["Daemon doctor"]);
    expect(told({ status: "degraded", undelivered: 1 })).toEqual(["Deliveries undelivered"]);
    expect(troublePart(troubles({ ...WELL, undelivered: 1 }))).toBe("undelivered");
    expect(troublePart([])).toBe("health");
  });

  it("tells of bridges: who waits for somebody, who tries again, and what was given up", () => {
    const bridge = (name: string, kind: string, state: string, more: Partial<BridgeHealth> = {}): BridgeHealth => ({ name, kind, state, ...more });
    const lines = (...bridges: BridgeHealth[]) => healthLines({ ...WELL, bridges }).flatMap(({ name, standing, text, part }) => (part === "bridges" ? [`${standing} ${name}: ${text}`] : []));
    expect(lines()).toEqual([]);
    expect(lines(bridge("phone", "telegram", "up"), bridge("webhook/ci", "webhook", "starting"))).toEqual(["good Bridges: 2 bridges, all at work."]);
    expect(
      lines(
        bridge("phone", "telegram", "refused", { error: "Telegram does not accept the token" }), bridge("tg", "telegram", "retrying", { error: "no route." }), bridge("webhook/ci", "webhook", "retrying"),
        bridge("telegram/old", "telegram", "removed", { waiting: 1, undelivered: 1 }), bridge("ui", "http-ui", "up"), bridge("busy", "telegram", "up", { undelivered: 1 }),
      ),
    ).toEqual([
      "bad Bridge phone: It waits for somebody: Telegram does not accept the token.",
      "bad Bridge tg: It does not work now, and tries again by itself: no route.",
      "look Webhook ci: It does not work now, and tries again by itself: it gave no reason.",
      "look Bridge old: It is removed, and 2 messages that it did not deliver are kept.",
      "look Bridge busy: It has given up 1 message, which is kept.",
    ]);
    expect(troublePart(troubles({ ...WELL, status: "degraded", bridges: [bridge("phone", "telegram", "refused")] }))).toBe("bridges");
    expect(["up", "refused", "odd"].map((state) => bridgeState(state)[0])).toEqual(["Works", "Waits for you", "odd"]);
    expect([bridgeKind("http-ui"), bridgeKind("fax"), bridgeTitle({ name: "telegram/x", kind: "telegram" })]).toEqual(["Pages", "fax", "Bridge x"]);
  });

  it("tells what one may want to know, which is no trouble", () => {
    const look = healthLines({ ...WELL, sandbox: { mode: "none", confined: false, detail: "" }, credential: { source: "none", agents: ["eng"] }, dead_deliveries: 1 });
    expect(look.filter(({ standing }) => standing === "look").map(({ name, text }) => `${name}: ${text}`)).toEqual([
      "Sign-in at Claude: The daemon sees no login and no key; it may still be signed in. eng has one of its own.",
      "Sandbox: Agents are not confined.",
      "Webhooks: 1 delivery of triggers given up.",
    ]);
  });
});

describe("tokens", () => {
  it("have scopes, of which one may include another", () => {
    const draft = { ...NO_TOKEN, label: " laptop ", daemon: ["send", "write"] as const, vaults: { default: "read", old: "" }, tags: "a, b" };
    expect(isIncluded("send", draft.daemon)).toBe(true);
    expect(isIncluded("admin", draft.daemon)).toBe(false);
    expect(scopesOf(draft)).toEqual(["reveille:write", "vault:default:read"]);
    // What agents do is not limited to tags.
    expect(newTokenOf(draft, 0)).toEqual({ scopes: ["reveille:write", "vault:default:read"], label: "laptop", expires_at: "1970-01-31T00:00:00.000Z" });
    expect(newTokenOf({ ...draft, daemon: [], label: "", days: "" }, 0)).toEqual({ scopes: ["vault:default:read"], tags: ["a", "b"] });
    expect(["reveille:admin", "reveille:send", "vault:my:notes:write", "odd"].map(scopeWords)).toEqual(["Everything", "Sends messages", "Reads and writes the vault my:notes", "odd"]);
    expect([undefined, null, "2027-01-01T00:00:00Z"].map((expires_at) => isOver({ id: "t", scopes: [], created_at: "", ...(expires_at === undefined ? {} : { expires_at }) }, Date.parse("2027-01-01T00:00:00Z")))).toEqual([false, false, true]);
  });
});

describe("the doctor", () => {
  it("is told by how checks went, what failed first, none left out", () => {
    // Another version may know more levels.
    const check = (name: string, level: string): Check => ({ check: name, level: level as Check["level"], detail: "so", mend: "do `this`" });
    const groups = checksByLevel([check("a", "ok"), check("b", "error"), check("c", "warning"), check("d", "odd"), check("e", "error")]);
    expect(groups.map(({ title, checks }) => `${title}: ${checks.map((one) => one.check).join()}`)).toEqual(["Failed: b,e", "Warnings: c", "In order: a", "Left out: d"]);
    expect(reportText([check("a", "ok"), check("b", "error")])).toBe("ok  a: so\nerror  b: so\n    do `this`");
  });
});

it("what is undelivered and what vaults can are told in words", () => {
  expect(["reply", "callback", "file", "unknown", "news"].map(effectWord)).toEqual(["Reply", "Answer to another agent", "File of a reply", "Something of another version", "news"]);
  expect(capabilityWords(undefined)).toEqual({ can: [], cannot: [] });
});

const day = (date: string, more: Partial<DayFigures> = {}): DayFigures => ({
  day: date, turns: { ok: 0, error: 0, cancelled: 0, interrupted: 0 }, failures: 0, duration_ms: null, wait_ms: null, cost_usd: 0, input_tokens: 0, output_tokens: 0, ...more,
});
const DAYS: Statistics = {
  zone: "UTC", agents: [],
  days: [day("2026-11-24"), day("2026-11-25", { turns: { ok: 12, error: 2, cancelled: 1, interrupted: 0 }, failures: 2, duration_ms: { p50: 42_000, p95: 301_000 }, wait_ms: { p50: 20, p95: 1_500 }, cost_usd: 1.5 }), day("2026-11-26", { turns: { ok: 5, error: 0, cancelled: 0, interrupted: 0 }, cost_usd: 0.25 })],
};

describe("figures", () => {
  it("say what they come to", () => {
    expect(chartsOf(DAYS).map(({ gist }) => gist.replace(/\p{L}{3},? (\d+ \p{L}+|\p{L}+ \d+)/u, "DAY"))).toEqual([
      "20 turns, the most on DAY: 15.", "2 of 20 turns failed or were interrupted, 10 %; the most on DAY: 2.",
      "DAY: half up to 42 s, 19 of 20 up to 5 min 01 s.", "DAY: half under 0.1 s, 19 of 20 up to 1.5 s.",
      "$1.75 in 3 days, the most on DAY: $1.50.",
    ]);
    expect(chartsOf({ ...DAYS, days: [day("2026-11-24")] }).map(({ gist }) => gist)).toEqual([
      "No turns in these days.", "No turns in these days.", "No turns in these days.", "No turns in these days.", "Nothing was spent in these days.",
    ]);
  });

  it("stand on a scale of round steps, with room for the highest", () => {
    const tops = chartsOf(DAYS).map(({ ticks, text }) => ticks.map(text).join(" "));
    expect(tops).toEqual(["0 5 10 15", "0 1 2", "0 2 min 4 min 6 min", "0 0.5 s 1 s 1.5 s", "$0 $0.50 $1.00 $1.50"]);
    expect(ticksOf(0, (roughly) => roughly)).toEqual([0, 1]);
  });

  it("are exact in the table", () => {
    const [, , took, , spent] = chartsOf(DAYS);
    expect([took && exact(took, 301_000), took && exact(took, null), spent && exact(spent, 0.0123)]).toEqual(["5 min 01 s", "none", "$0.0123"]);
  });
});
