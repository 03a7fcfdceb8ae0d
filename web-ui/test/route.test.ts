import { describe, expect, it } from "vitest";
import { hashOf, parseRoute, secretIn, signInCode } from "../app/route";

describe("routes", () => {
  it("come back from the URL, whatever the name", () => {
    for (const name of ["eng", "a b", "50%", "x/y", "#?&", "עזר", ".."]) {
      expect(parseRoute(hashOf({ view: "agent", name }))).toEqual({ view: "agent", name });
      expect(parseRoute(hashOf({ view: "new", name }))).toEqual({ view: "new", name });
      expect(parseRoute(hashOf({ view: "role", name }))).toEqual({ view: "role", name });
    }
    expect(parseRoute(hashOf({ view: "new" }))).toEqual({ view: "new" });
  });

  it("lead to the parts of an agent's page, and to a message", () => {
    for (const name of ["eng", "x/jobs", "a/message/b"]) {
      for (const tab of ["jobs", "connections", "definition"] as const)
        expect(parseRoute(hashOf({ view: "agent", name, tab }))).toEqual({ view: "agent", name, tab });
      expect(parseRoute(hashOf({ view: "agent", name, message: "m/1" }))).toEqual({ view: "agent", name, message: "m/1" });
    }
    expect(parseRoute("#/agent/eng/other")).toEqual({ view: "agent", name: "eng/other" });
  });

  it("lead to rooms, and to places in them", () => {
    for (const view of ["agents", "threads", "notes", "jobs", "system", "about"] as const) {
      expect(parseRoute(hashOf({ view }))).toEqual({ view });
      expect(parseRoute(hashOf({ view, path: ["a/b", "50%"] }))).toEqual({ view, path: ["a/b", "50%"] });
    }
  });

  it("say when they lead nowhere", () => {
    for (const hash of ["#/unknown/x", "#/systems"]) {
      expect(parseRoute(hash)).toEqual({ view: "nowhere", address: hash });
      expect(hashOf(parseRoute(hash))).toBe(hash);
    }
  });

  it("fall back to home", () => {
    for (const hash of ["", "#", "#/", "#/agent", "#/agent/", "#/role"]) expect(parseRoute(hash)).toEqual({ view: "home" });
    expect(parseRoute("#/agent/%E0%A4%A")).toEqual({ view: "agent", name: "%E0%A4%A" });
  });
});

describe("signInCode", () => {
  it("is found in a link, a fragment or alone", () => {
    for (const text of ["http://127.0.0.1:1941/#sign-in=aB-3_x", "#sign-in=aB-3_x", "  aB-3_x\n", "open http://h/#sign-in=aB-3_x now"])
      expect(signInCode(text)).toBe("aB-3_x");
  });

  it("is not seen in other text", () => {
    for (const text of ["", "http://127.0.0.1:1941/", "not a code", "#sign-in="]) expect(signInCode(text)).toBeUndefined();
  });
});

describe("secretIn", () => {
  it("tells tokens from codes and links", () => {
    for (const text of ["pvt_aB-3_x", " Bearer pvt_aB-3_x\n"]) expect(secretIn(text)).toEqual({ token: "pvt_aB-3_x" });
    expect(secretIn("eyJh.eyJz.c2ln")).toEqual({ token: "eyJh.eyJz.c2ln" });
    expect(secretIn("http://127.0.0.1:1941/#sign-in=aB-3_x")).toEqual({ code: "aB-3_x" });
    expect(secretIn("aB-3_x")).toEqual({ code: "aB-3_x" });
    for (const text of ["", "what is this", "pvt_ two words"]) expect(secretIn(text)).toBeUndefined();
  });
});
