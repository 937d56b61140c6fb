/** The list of what is shipped: whole, reproducible, and with nothing in it of the machine that made it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { beforeAll, expect, test } from "vitest";
import { checksums } from "../../scripts/sbom/crates.mjs";
import { describeProduct } from "../../scripts/sbom/document.mjs";
import { importsIn } from "../../scripts/sbom/packages.mjs";
import { ensureRust } from "../../scripts/setup/rust.mjs";
import { ROOT, inRoot } from "../../scripts/setup/paths.mjs";

let document, again;
beforeAll(async () => {
  const env = await ensureRust();
  document = await describeProduct(env);
  again = await describeProduct(env);
});

const named = (name) => document.components.filter((it) => it.name === name);
const refs = (of) => of.map((it) => it["bom-ref"] ?? it.ref);

test("it is CycloneDX 1.5, in which every name leads to a component", () => {
  expect(document).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 });
  const known = new Set([...refs(document.components), document.metadata.component["bom-ref"]]);
  expect(known.size).toBe(document.components.length + 1);
  expect(new Set(refs(document.dependencies))).toEqual(known);
  for (const { ref, dependsOn } of document.dependencies) {
    expect(new Set(dependsOn).size, ref).toBe(dependsOn.length);
    for (const it of dependsOn) expect(known).toContain(it);
  }
  for (const it of document.components) {
    expect(it).toMatchObject({ type: expect.stringMatching(/^(library|application)$/), name: expect.any(String), version: expect.any(String) });
    expect(it.licenses[0].expression, it.name).toMatch(/^[A-Za-z0-9.+() -]+$/);
    expect(["required", "excluded"]).toContain(it.scope);
  }
});

test("whoever makes it again gets the same bytes, in an order that does not depend on the tools", () => {
  expect(JSON.stringify(again)).toBe(JSON.stringify(document));
  for (const list of [refs(document.components), ...document.dependencies.map((it) => it.dependsOn)]) {
    expect(list).toEqual([...list].sort());
  }
  expect(JSON.stringify(document)).not.toMatch(/timestamp|serialNumber/);
});

test("it names no registry, no address and no folder of this machine", () => {
  const text = JSON.stringify(document);
  expect(text).not.toMatch(/:\/\/|registry|crates\.io|npmjs|github/i);
  for (const folder of [ROOT, homedir()]) expect(text).not.toContain(folder);
});

test("what comes from a registry has its package URL and the checksum of the lock file, and what is our own has neither", () => {
  const lock = checksums(readFileSync(inRoot("Cargo.lock"), "utf8"));
  const packages = JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8")).packages;
  for (const { name, version, purl, hashes } of document.components) {
    const [, kind] = /^pkg:(\w+)\//.exec(purl) ?? [];
    if (kind === "cargo") expect(hashes).toEqual([{ alg: "SHA-256", content: lock.get(`${name}@${version}`) }]);
    else if (kind === "npm") {
      const [{ alg, content }] = hashes;
      expect([alg, `sha512-${Buffer.from(content, "hex").toString("base64")}`]).toEqual(["SHA-512", packages[`node_modules/${name}`].integrity]);
    } else expect(hashes).toBeUndefined();
    if (kind) expect(decodeURIComponent(purl)).toContain(`/${name}@${version}`);
  }
  for (const own of ["passport-worker", "passport-device", "bunker-core", "frost-wasm-core", "operations-core", "passport-hsm"]) {
    expect(named(own)).toEqual([expect.not.objectContaining({ purl: expect.anything() })]);
  }
});

test("it has what runs, and says of what only compiles that it does not", () => {
  for (const name of ["k256", "frost-core", "worker", "wasm-bindgen", "serde_json", "rust-std", "svelte", "clsx", "esm-env", "openapi-fetch", "uqr"]) {
    expect(named(name).map((it) => it.scope), name).toContain("required");
  }
  for (const name of ["serde_derive", "syn", "wasm-bindgen-macro"]) {
    expect(new Set(named(name).map((it) => it.scope)), name).toEqual(new Set(["excluded"]));
  }
});

test("it has the crates that each program asks for alone, and not what others of the workspace add", async () => {
  const { PATH, RUSTUP_TOOLCHAIN } = await ensureRust();
  const wanted = ["passport-worker", "passport-device"].flatMap((program) => {
    const args = ["tree", "--locked", "-p", program, "--target", "wasm32-unknown-unknown", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    const text = execFileSync("cargo", args, { cwd: ROOT, encoding: "utf8", env: { ...process.env, PATH, RUSTUP_TOOLCHAIN } });
    return [...text.matchAll(/^(\S+) v(\S+)/gm)].map(([, name, version]) => `${name}@${version}`);
  });
  const crates = document.components.filter(({ purl, "bom-ref": ref }) => purl?.startsWith("pkg:cargo/") || ref.startsWith("crate:"));
  expect(crates.map(({ name, version }) => `${name}@${version}`).sort()).toEqual([...new Set(wanted)].sort());
});

test("tools, tests and their judges are not in it", () => {
  const others = ["proptest", "criterion", "secp256k1", "nostr", "ureq", "clap", "passport-cli", "vitest", "wrangler", "vite", "typescript", "nostr-tools", "acorn"];
  for (const name of others) expect(named(name), name).toEqual([]);
});

test("a page's import counts in each of its forms, and one of types or of its own files does not", () => {
  const source = `
    import { a } from "named";
    import {
      type B,
      b,
    } from "@scope/lines";
    import c from "default/inner";
    import "effect";
    export { d } from "again";
    const e = () => import("later");
    import type { F } from "types";
    import type G from "types";
    import h from "./own"; import("../own");
    // from "a comment"
  `;
  expect(importsIn(source).sort()).toEqual(["@scope/lines", "again", "default/inner", "effect", "later", "named"]);
});
