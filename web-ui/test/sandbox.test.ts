import { describe, expect, it } from "vitest";
import { egressRows, gibibytes, limitRows, listed, reachText, ruleOf, type Sandbox, withRule } from "../app/sandbox";

const SANDBOX: Sandbox = {
  mode: "bubblewrap", confined: true,
  filesystem: { value: "workspace", from: "default" }, network: { value: "restricted", from: "definition" },
  workspace: null, mounts: [], egress: [], read: [],
  shield: { value: false, from: "default" }, lowered: [],
  limits: { memory: 8 * 2 ** 30, processes: 4096, cpu_weight: 50, open_files: 65536, group: "/g", missing: null },
  turns: [],
};

describe("what an agent can reach", () => {
  it("is a sentence, and what it cannot is another", () => {
    expect(reachText(SANDBOX)).toEqual({
      can: "Works in a directory of its own for each conversation, reads the programs of the system, and reaches the model's API.",
      cannot: "It cannot see any other file of this machine, nor reach any other host.",
    });
    const wide = reachText({
      ...SANDBOX, workspace: "/srv/app", filesystem: { value: "full", from: "definition" }, network: { value: "proxied", from: "default" },
      mounts: [{ path: "/srv/data", mode: "rw" }], egress: ["localhost:8080"],
    });
    expect(wide.can).toBe("Works in /srv/app, reads and writes /srv/data, reads all files that the daemon's user can, and reaches every public address and localhost:8080.");
    expect(wide.cannot).toContain("cannot write anywhere else");
    expect(reachText({ ...SANDBOX, network: { value: "open", from: "configuration" } }).can).toContain("the whole network");
    expect(reachText({ ...SANDBOX, egress: ["a", "b", "c", "d", "e"], mounts: [{ path: "/x", mode: "ro" }] }).can).toContain("reads /x, and reaches the model's API and 5 hosts more.");
  });

  it("is listed as people do", () => {
    expect([listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e"])]).toEqual(["", "a", "a and b", "a, b and c", "a, b, c and 2 more"]);
  });

  it("has limits, of which some may not hold", () => {
    expect(limitRows(SANDBOX.limits).every(({ holds }) => holds)).toBe(true);
    const none = limitRows({ ...SANDBOX.limits, memory: null, processes: null, cpu_weight: null });
    expect(none.map(({ holds }) => holds)).toEqual([false, false, false, true]);
    expect([gibibytes(512), gibibytes(1536 * 2 ** 20), gibibytes(2 ** 41)]).toEqual(["512 bytes", "1.5 GiB", "2 TiB"]);
  });
});

describe("what turns tried to reach", () => {
  it("has what was refused first, over all turns", () => {
    const rows = egressRows([
      { turn: "t2", since_at: "2026-01-02T00:00:00Z", connections: [
        { host: "api.anthropic.com", port: 443, decision: "allowed", count: 9 },
        { host: "pypi.org", port: 443, decision: "refused", count: 2 },
      ] },
      { turn: "t1", since_at: "2026-01-01T00:00:00Z", connections: [
        { host: "pypi.org", port: 443, decision: "refused", count: 1 },
        { host: "db", port: 5432, decision: "refused_address", count: 1 },
        { host: "*", port: 0, decision: "refused", count: 70 },
      ] },
    ]);
    expect(rows.map(({ host, decision, count, rule }) => [host, decision, count, rule])).toEqual([
      ["pypi.org", "refused", 3, "pypi.org"],
      ["*", "refused", 70, undefined],
      ["db", "refused_address", 1, undefined],
      ["api.anthropic.com", "allowed", 9, undefined],
    ]);
    expect(rows[0]?.turns.map(({ turn }) => turn)).toEqual(["t2", "t1"]);
  });

  it("is allowed by a rule of the definition", () => {
    expect([ruleOf("a.org", 443), ruleOf("a.org", 80), ruleOf("a.org", 8443), ruleOf("2001:db8::1", 443), ruleOf("*", 1)]).toEqual(["a.org", "a.org", "a.org:8443", "[2001:db8::1]", undefined]);
    expect([withRule("", "a.org"), withRule("b.org, c.org", "a.org"), withRule("a.org b.org", "a.org")]).toEqual(["a.org", "b.org c.org a.org", "a.org b.org"]);
  });
});
