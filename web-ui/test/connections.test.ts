import { describe, expect, it } from "vitest";
import { askedFor, connectionsOf, givesText, type Grant, kindText, rolesOf, statusOf, wantOf, wantProblem } from "../app/connections";

const GRANT: Grant = { holder: "eng", agent: "eng", key: "env:github", kind: "service", target: "github", status: "pending" };

describe("connections", () => {
  it("of an agent are those that are kept for it, and those that it wants and that are not kept yet", () => {
    const role: Grant = { ...GRANT, holder: "role--eng" };
    delete role.agent;
    const wanted = [{ ...GRANT }, { key: "vault:x:read", kind: "vault", target: "x", status: "pending" }];
    expect(connectionsOf("eng", [GRANT, { ...GRANT, holder: "ops", agent: "ops" }, role], wanted)).toEqual([GRANT, { ...wanted[1], holder: "" }]);
    expect([...rolesOf([GRANT, role])]).toEqual([["role--eng", [role]]]);
    expect(rolesOf(undefined).size).toBe(0);
  });

  it("are told in words", () => {
    const gives = (more: Partial<Grant>) => givesText({ ...GRANT, ...more });
    expect(gives({ inject: ["env", "mcp"], env: "GITHUB_TOKEN" })).toBe("Its token as GITHUB_TOKEN, and its tools");
    expect(gives({ inject: ["mcp"] })).toBe("Its tools");
    expect(gives({})).toBe("");
    expect(gives({ kind: "vault", access: "read", tags: ["#a", "#b"] })).toBe("To read, only notes with #a or #b");
    expect(gives({ kind: "surface", access: "write", tags: [] })).toBe("To read and write");
    expect(gives({ kind: "vault" })).toBe("");
    expect(gives({ kind: "mcp" })).toBe("Its tools");
    expect(["vault", "mcp", "other"].map(kindText)).toEqual(["Vault", "MCP server", "other"]);
    expect(["pending", "approved", "other"].map((status) => statusOf({ ...GRANT, status }).label)).toEqual(["Waits to be approved", "Approved", "other"]);
  });

  it("are asked for as a definition writes them", () => {
    expect([wantOf("mcp-url", " https://a.org/mcp ", "read"), wantOf("mcp", "linear", "read"), wantOf("env", "github", "read"), wantOf("vault", "lib", "read"), wantOf("surface", "site", "write")]).toEqual([
      "mcp:https://a.org/mcp", "mcp:linear", "env:github", "vault:lib:read", "surface:site:write",
    ]);
    expect(wantProblem("mcp-url", "https://a.org/mcp", "read", [])).toBeUndefined();
    for (const [kind, target] of [["mcp-url", "a.org"], ["mcp-url", "javascript:alert(1)"], ["env", ""], ["env", "a b"], ["env", "known"]] as const) {
      expect(wantProblem(kind, target, "read", ["env:known"]), target).toBeDefined();
    }
  });

  it("ask only for what their kind takes", () => {
    const asked = ["service", "mcp", "vault", "surface"].map((kind) => [askedFor(kind).token, askedFor(kind).url]);
    expect(asked).toEqual([["required", undefined], ["optional", undefined], ["optional", "optional"], ["required", "required"]]);
  });
});
