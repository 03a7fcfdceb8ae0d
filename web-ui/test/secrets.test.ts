import { describe, expect, it } from "vitest";
import { type EffectiveEnv, nameProblem, signInOf, sourceText, storedRows } from "../app/secrets";

describe("stored variables", () => {
  it("stand by name; of one name that of the agent first, and the other does not count", () => {
    const rows = storedRows({ default: ["GH_TOKEN", "A_KEY"], channels: { eng: ["GH_TOKEN"], ops: ["X"] } }, "eng");
    expect(rows).toEqual([
      { name: "A_KEY", layer: "all", shadowed: false },
      { name: "GH_TOKEN", layer: "agent", shadowed: false },
      { name: "GH_TOKEN", layer: "all", shadowed: true },
    ]);
    expect(storedRows({ default: [], channels: {} }, "eng")).toEqual([]);
  });

  it("have a name that a variable can have, and that the daemon takes", () => {
    for (const name of ["GH_TOKEN", "_x", "a1", "GIT_AUTHOR_NAME", "IS_SANDBOX", "PATHS"]) expect(nameProblem(name), name).toBeUndefined();
    for (const name of ["", "1A", "A-B", "A B", "ä", "x".repeat(257)]) expect(nameProblem(name), name).toBeDefined();
    for (const name of ["PATH", "path", "NODE_OPTIONS", "LD_PRELOAD", "REVEILLE_TOKEN", "GIT_SSH", "https_proxy", "MY_PROXY"]) {
      expect(nameProblem(name), name).toContain("[claude.env]");
    }
    for (const name of ["ANTHROPIC_API_KEY", "claude_code_oauth_token"]) expect(nameProblem(name), name).toContain("signs Claude Code in");
  });

  it("come from somewhere, in words", () => {
    expect(sourceText("grant:github")).toBe("the connection github");
    expect(sourceText("channel")).toBe("stored for this agent");
    expect(sourceText("new")).toBe("new");
  });
});

describe("the sign-in that counts", () => {
  const none = { defaultSet: false, channels: [] };
  const env = (...entries: EffectiveEnv["env"]): EffectiveEnv => ({ env: entries });

  it("is the first one that is not overridden", () => {
    const both = env(
      { name: "CLAUDE_CODE_OAUTH_TOKEN", source: "channel" },
      { name: "ANTHROPIC_API_KEY", source: "default", overridden: true },
    );
    expect(signInOf(both, { defaultSet: true, channels: ["eng"] }, null, "eng")).toEqual({ text: "Its own token", tone: "good", counts: "agent" });
    expect(signInOf(env({ name: "ANTHROPIC_API_KEY", source: "configuration" }), none, null, "eng")?.text).toBe("ANTHROPIC_API_KEY of the configuration");
    expect(signInOf(env({ name: "ANTHROPIC_API_KEY", source: "default", shielded: true }), none, null, "eng")).toMatchObject({ counts: "all", more: expect.stringContaining("outside") });
  });

  it("is told also where no variable tells it, and where there is none", () => {
    const of = (source: "login" | "not_needed" | "none") => signInOf(env(), none, { source, agents: [] }, "eng");
    expect(of("login")?.tone).toBe("waiting");
    expect(of("not_needed")?.tone).toBe("good");
    expect(of("none")?.tone).toBe("bad");
    expect(signInOf(env(), none, { source: "stored", agents: [], problem: "damaged" }, "eng")).toMatchObject({ tone: "bad", more: "damaged" });
    // What is kept back does not count, and that is said.
    expect(signInOf(env(), { defaultSet: false, channels: ["eng"] }, null, "eng")?.text).toContain("kept back");
    expect(signInOf(undefined, none, null, "eng")).toBeUndefined();
  });
});
