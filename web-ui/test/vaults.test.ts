import { describe, expect, it } from "vitest";
import type { Health, VaultHealth } from "../app/api";
import { vaultTroubles } from "../app/vaults";

const WELL: VaultHealth = { name: "default", kind: "embedded", state: "ready", deliveries: { state: "closed" } };
const SINCE = "2026-01-05T10:00:00Z";

function told(...vaults: VaultHealth[]) {
  const health: Health = { status: "degraded", version: "0", sandbox: { mode: "none", confined: true }, dependencies: { ok: true, missing: [] }, vaults };
  return vaultTroubles(health);
}

describe("vaults", () => {
  it("that are well are not spoken of, nor are those that nobody may know of", () => {
    expect(told(WELL, { ...WELL, name: "second", deliveries: null })).toEqual([]);
    expect(vaultTroubles(undefined)).toEqual([]);
    const { vaults: _, ...open } = { vaults: 0, status: "ok" as const, version: "0", sandbox: { mode: "none", confined: true }, dependencies: { ok: true, missing: [] } };
    expect(vaultTroubles(open)).toEqual([]);
  });

  it("that are away or damaged are told with what is kept", () => {
    expect(
      told(
        { ...WELL, state: "degraded", since: SINCE, reason: "notes can be read, but not written: the disk is full" },
        { name: "away", kind: "parachute", state: "unavailable", since: SINCE, reason: "It refused the token. Give it another one." },
      ),
    ).toEqual([
      {
        name: "default", title: "The vault default (built in) works only in part", since: SINCE,
        reason: "notes can be read, but not written: the disk is full.", kept: "What was accepted is kept.",
      },
      {
        name: "away", title: "The vault away (Parachute) cannot be used", since: SINCE,
        reason: "It refused the token. Give it another one.", kept: "What was accepted is kept; it is tried again, and goes on by itself.",
      },
    ]);
  });

  it("that take no replies are told alike, whether it is tried just now or later", () => {
    const [open, probing] = (["open", "probing"] as const).map((state) => told({ ...WELL, deliveries: { state, last_error: "no route" } }));
    expect(open).toEqual([
      {
        name: "default", title: "The vault default (built in) takes no replies now", reason: "no route.",
        kept: "Replies are kept and tried again: `reveille undelivered list` shows them.",
      },
    ]);
    expect(probing).toEqual(open);
  });

  it("that are away and hold replies up take one line, also when little is known of them", () => {
    const [one, ...more] = told({ name: "x", kind: "new" as VaultHealth["kind"], state: "unavailable", deliveries: { state: "open" } });
    expect(more).toEqual([]);
    expect(one).toEqual({
      name: "x", title: "The vault x (new) cannot be used", reason: "",
      kept: "What was accepted is kept; it is tried again, and goes on by itself. Replies to it are kept, too: `reveille undelivered list` shows them.",
    });
  });
});
