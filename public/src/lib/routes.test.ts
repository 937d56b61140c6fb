import { describe, expect, test } from "vitest";
import { href, match } from "./routes";

describe("the paths of the pages", () => {
  test("each leads to its page and back", () => {
    expect(match("/")).toEqual({ name: "home", params: {} });
    expect(match("/sign-in/")).toEqual({ name: "signIn", params: {} });
    expect(match(href("identity", { group: "ab12" }))).toEqual({ name: "identity", params: { group: "ab12" } });
    expect(match(href("approve", { request: "ff" }))).toEqual({ name: "approve", params: { request: "ff" } });
  });

  test("a fixed word goes before a parameter", () => {
    expect(match("/identity/new")?.name).toBe("newIdentity");
    expect(match("/apps/new")?.name).toBe("newApp");
  });

  test("what a parameter holds can't lead elsewhere", () => {
    const path = href("app", { connection: "../security?x#y" });
    expect(path).toBe("/apps/..%2Fsecurity%3Fx%23y");
    expect(match(path)).toEqual({ name: "app", params: { connection: "../security?x#y" } });
  });

  test.each(["/nothing", "/apps/a/b", "/identity//", "/apps/%E0%A4%A", "/keys", "/auth/token"])("%s is no page", (path) => {
    expect(match(path)).toBeNull();
  });
});
