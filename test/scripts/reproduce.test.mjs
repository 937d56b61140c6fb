/** Building twice: of what is committed, in folders of their own, and a difference shows. The builds here are pretended. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PARTS, buildTwice } from "../../scripts/reproduce/twice.mjs";

let repository, folder, commit;
const git = (...args) => execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@t.test", ...args], { cwd: repository, encoding: "utf8" }).trim();

beforeEach(() => {
  [repository, folder] = [mkdtempSync(join(tmpdir(), "repository-")), mkdtempSync(join(tmpdir(), "reproduce-"))];
  git("init", "--quiet");
  writeFileSync(join(repository, "source"), "committed");
  git("add", "source");
  git("commit", "--quiet", "-m", "one");
  commit = git("rev-parse", "HEAD");
});
afterEach(() => [repository, folder].forEach((it) => rmSync(it, { recursive: true, force: true })));

/** Builds that write what a function makes of the clone. */
function pretend(make) {
  return async (clone, which) => {
    mkdirSync(join(clone, "build"));
    for (const part of PARTS) writeFileSync(join(clone, "build", part), make(clone, which, part));
  };
}
const twice = (build) => buildTwice({ commit, folder, build, repository });
const source = (clone) => readFileSync(join(clone, "source"), "utf8");

test("what does not depend on the place comes out alike, each part with its own hash", async () => {
  const [first, second] = await twice(pretend((clone, _, part) => `${source(clone)} ${part}`));
  expect(first).toEqual(second);
  expect(new Set(Object.values(first)).size).toBe(PARTS.length);
  for (const hash of Object.values(first)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
});

test("a path in one part shows there, and both results are kept to be looked at", async () => {
  const [first, second] = await twice(pretend((clone, _, part) => (part === "index.js" ? clone : "same")));
  expect(first["index.js"]).not.toBe(second["index.js"]);
  expect(first["index_bg.wasm"]).toBe(second["index_bg.wasm"]);
  expect(readdirSync(folder).sort()).toEqual(["first", "second"]);
  const [a, b] = ["first", "second"].map((it) => readFileSync(join(folder, it, "index.js"), "utf8"));
  expect(a.length).not.toBe(b.length);
});

test("it is the commit that is built, whatever lies about, and no clone sees the other", async () => {
  writeFileSync(join(repository, "source"), "changed");
  writeFileSync(join(repository, "new"), "");
  const seen = [];
  await twice(
    pretend((clone) => {
      seen.push([source(clone), existsSync(join(clone, "new")), existsSync(join(clone, "..", "a")) && !clone.endsWith("a")]);
      return "";
    }),
  );
  expect(new Set(seen.map(String))).toEqual(new Set(["committed,false,false"]));
});

test("a build that fails is no result", async () => {
  await expect(twice(async () => { throw new Error("no"); })).rejects.toThrow("no");
  await expect(twice(async () => {})).rejects.toThrow();
});
