import { beforeEach, describe, expect, it, vi } from "vitest";
import { api, type ApiError, request } from "../app/api";
import { asked, cancel, heldToken, refusalText, show, startStepUp } from "../app/step-up";

const answer = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status });
const NEEDED = { error: "step_up_required", message: "This needs the PIN.", reason: "token" };
let sent: { path: string; token: string | undefined }[];
let replies: Response[];

beforeEach(() => {
  sent = [];
  replies = [];
  vi.useFakeTimers({ now: 1_000_000 });
  vi.stubGlobal("fetch", (url: string, { headers }: { headers: Record<string, string> }) => {
    sent.push({ path: new URL(url).pathname, token: headers["x-step-up-token"] });
    return Promise.resolve(replies.shift() ?? answer(200, { ok: true }));
  });
  startStepUp();
  // A token of another test is too old by then.
  vi.setSystemTime(Date.now() + 1e9 + Math.floor(performance.now()) * 1e6);
});

const granted = (token: string, ms = 300_000): Response => answer(200, { stepUpToken: token, expires_at: new Date(Date.now() + ms).toISOString() });
const tick = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await Promise.resolve();
};

describe("step-up", () => {
  it("asks once for all that need it, does them again, and shows the token at once while it is good", async () => {
    replies = [answer(403, NEEDED), answer(403, NEEDED)];
    const both = Promise.all([request("POST", "one"), request("POST", "two")]);
    await tick();
    expect(asked.value).toEqual({ reason: "token" });
    replies = [granted("t1", 60_000)];
    await show("1234");
    await both;
    await request("POST", "three");
    expect([asked.value, heldToken()]).toEqual([undefined, "t1"]);
    expect(sent.slice(3)).toEqual([{ path: "/one", token: "t1" }, { path: "/two", token: "t1" }, { path: "/three", token: "t1" }]);
    vi.setSystemTime(Date.now() + 56_000);
    expect(heldToken()).toBeUndefined();
  });

  it("drops a token that is not taken any more, and asks again", async () => {
    replies = [granted("t2")];
    await show("1234");
    replies = [answer(403, NEEDED)];
    const work = request("POST", "one").catch((error: ApiError) => error.code);
    await tick();
    expect([asked.value, heldToken()]).toEqual([{ reason: "token" }, undefined]);
    cancel();
    expect(await work).toBe("step_up_required");
    expect(sent).toHaveLength(2);
  });

  it("does not ask for another refusal, and keeps the question when the PIN is wrong", async () => {
    replies = [answer(403, { error: "insufficient_scope", message: "No." })];
    await expect(request("POST", "one")).rejects.toMatchObject({ code: "insufficient_scope" });
    expect(asked.value).toBeUndefined();
    replies = [answer(403, { ...NEEDED, reason: "setup" })];
    const work = request("POST", "two").catch((error: ApiError) => error.code);
    await tick();
    expect(asked.value).toEqual({ reason: "setup" });
    replies = [answer(403, { error: "invalid_pin", message: "Wrong." })];
    const wrong = await api.stepUp("9").catch((error: ApiError) => error);
    expect([refusalText(wrong as ApiError), asked.value]).toEqual(["This is not the PIN.", { reason: "setup" }]);
    cancel();
    await work;
  });
});
