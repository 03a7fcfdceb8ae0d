import { beforeEach, describe, expect, it, vi } from "vitest";
import { bearer, comeBy, type Minted } from "../app/access";
import { request } from "../app/api";
import { hub, lookForHub } from "../app/hub";

const NOW = 1_000_000;
let shown: (string | undefined)[];
let refused: Set<string>;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  shown = [];
  refused = new Set();
  comeBy({ kind: "cookie" });
  vi.stubGlobal("fetch", (_: string, { headers }: { headers: Record<string, string> }) => {
    shown.push(headers.authorization);
    const ok = !refused.has(headers.authorization ?? "");
    return Promise.resolve(new Response(JSON.stringify(ok ? { ok } : { error: "unauthorized", message: "No." }), { status: ok ? 200 : 401 }));
  });
});

function byHub(life = 600_000): () => number {
  let minted = 0;
  comeBy({ kind: "hub", mint: () => Promise.resolve<Minted>({ token: `t${++minted}`, until: Date.now() + life }) });
  return () => minted;
}

describe("what requests show", () => {
  it("is nothing where the cookie lets in, and a pasted token where there is one", async () => {
    await request("GET", "a");
    comeBy({ kind: "token", token: "pvt_x" });
    await request("GET", "b");
    expect(shown).toEqual([undefined, "Bearer pvt_x"]);
  });

  it("is a token of the hub, shared, kept until shortly before its end", async () => {
    const minted = byHub();
    await Promise.all([request("GET", "a"), request("GET", "b")]);
    expect([shown, minted()]).toEqual([["Bearer t1", "Bearer t1"], 1]);
    vi.setSystemTime(NOW + 569_000);
    await request("GET", "c");
    vi.setSystemTime(NOW + 571_000);
    await request("GET", "d");
    expect(shown.slice(2)).toEqual(["Bearer t1", "Bearer t2"]);
  });

  it("is another token of the hub when one was refused, once", async () => {
    byHub();
    refused.add("Bearer t1");
    await request("GET", "a");
    expect(shown).toEqual(["Bearer t1", "Bearer t2"]);
    for (const token of ["t2", "t3"]) refused.add(`Bearer ${token}`);
    await expect(request("GET", "b")).rejects.toMatchObject({ status: 401 });
    expect(shown.slice(2)).toEqual(["Bearer t2", "Bearer t3"]);
  });

  it("is not another one in place of a token that was pasted", async () => {
    comeBy({ kind: "token", token: "pvt_x" });
    refused.add("Bearer pvt_x");
    await expect(request("GET", "a")).rejects.toMatchObject({ status: 401 });
    expect(shown).toEqual(["Bearer pvt_x"]);
  });

  it("is forgotten by who leaves", async () => {
    byHub();
    await request("GET", "a");
    comeBy({ kind: "cookie" });
    await request("GET", "b");
    expect(shown).toEqual(["Bearer t1", undefined]);
  });
});

describe("the hub", () => {
  const at = (answers: Record<string, [number, unknown]>): void => {
    hub.value = { origin: location.origin, sign_in_url: "/login", token_url: `${location.origin}/admin/module-token/mine` };
    vi.stubGlobal("fetch", (url: URL) => {
      const [status, body] = answers[new URL(url).pathname] ?? [404, { error: "not_found" }];
      return Promise.resolve(new Response(typeof body === "string" ? body : JSON.stringify(body), { status }));
    });
  };

  it("is asked where the daemon says, and an old one where it always was", async () => {
    at({ "/admin/module-token/mine": [200, { token: "new", expires_at: new Date(NOW + 100_000).toISOString() }] });
    await lookForHub();
    expect(await bearer()).toBe("new");
    at({ "/admin/agent-token": [200, { token: "old" }] });
    await lookForHub();
    expect(await bearer()).toBe("old");
  });

  it.each([
    [401, {}, "hub_sign_in"], [403, {}, "hub_not_admin"], [423, {}, "hub_locked"], [404, {}, "hub_unknown"], [500, {}, "hub_unknown"],
    [200, "<!doctype html>", "hub_unknown"], [200, { token: 7 }, "hub_unknown"],
  ])("that answers %i with %j gives no token: %s", async (status, body, code) => {
    at({ "/admin/module-token/mine": [status, body] });
    await lookForHub();
    await expect(bearer()).rejects.toMatchObject({ code });
  });

  it("elsewhere is not asked: the browser would not show who asks", async () => {
    at({});
    hub.value = { origin: "https://hub.example", sign_in_url: "https://hub.example/admin", token_url: "https://hub.example/admin/module-token/reveille" };
    expect(await lookForHub()).toBe(false);
    expect(await bearer()).toBeUndefined();
  });
});
