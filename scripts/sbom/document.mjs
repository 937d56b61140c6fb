/**
 * CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/) of what is shipped. Components are named by their package URL and
 * nothing else. No time, no serial number: two documents of one commit are one document.
 */
import { readFileSync } from "node:fs";
import { readPin } from "../setup/rust.mjs";
import { inRoot } from "../setup/paths.mjs";
import { cratesOf } from "./crates.mjs";
import { packagesOfThePage } from "./packages.mjs";

/** The programs that become WebAssembly: the Worker, and the page's vault. */
const PROGRAMS = ["passport-worker", "passport-device"];

/** @param {Record<string, string>} env from `ensureRust` */
export async function describeProduct(env) {
  const { name, version, description, license } = JSON.parse(readFileSync(inRoot("package.json"), "utf8"));
  const components = new Map();
  const roots = [];
  const std = standardLibrary();
  components.set(std["bom-ref"], { component: std, needs: [] });
  for (const program of PROGRAMS) {
    const crates = await cratesOf(program, env);
    for (const [key, crate] of crates) {
      const made = ofCrate(crate);
      const needs = crate.needs.map((it) => refOf(crates.get(it)));
      if (crate.name === program) needs.push(std["bom-ref"]);
      // What one program ships another may only compile with, and have fewer features of.
      const present = components.get(made["bom-ref"]);
      if (present?.component.scope === "required") made.scope = "required";
      components.set(made["bom-ref"], { component: made, needs: [...new Set([...(present?.needs ?? []), ...needs])] });
      if (crate.name === program && key.startsWith(`${program}@`)) roots.push(made["bom-ref"]);
    }
  }
  const packages = await packagesOfThePage();
  const page = `page:${name}@${version}`;
  const ownPage = { type: "application", "bom-ref": page, name: `${name}-page`, version, scope: "required", licenses: [{ expression: license }] };
  const pageNeeds = [...packages.values()].map(packageRef);
  components.set(page, { component: ownPage, needs: [...pageNeeds, ...roots.filter((ref) => ref.includes("passport-device"))] });
  for (const it of packages.values()) {
    const needs = it.needs.map((other) => packageRef(packages.get(other)));
    components.set(packageRef(it), { component: ofPackage(it), needs });
  }

  const product = { type: "application", "bom-ref": `product:${name}@${version}`, name, version, description, licenses: [{ expression: license }] };
  const sorted = [...components.values()].sort((a, b) => compare(a.component["bom-ref"], b.component["bom-ref"]));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: product },
    components: sorted.map(({ component }) => component),
    dependencies: [
      { ref: product["bom-ref"], dependsOn: [...roots.filter((ref) => ref.includes("passport-worker")), page].sort(compare) },
      ...sorted.map(({ component, needs }) => ({ ref: component["bom-ref"], dependsOn: needs.sort(compare) })),
    ],
  };
}

function ofCrate(crate) {
  const { name, version, licence, sha256, isOwn, isShipped } = crate;
  const component = { type: "library", "bom-ref": refOf(crate), name, version, scope: isShipped ? "required" : "excluded" };
  if (!isOwn) component.hashes = [{ alg: "SHA-256", content: sha256 }];
  component.licenses = [{ expression: licence }];
  // The project's own are in no registry, where somebody else could have their names.
  if (!isOwn) component.purl = refOf(crate);
  return component;
}

function ofPackage(it) {
  return {
    type: "library",
    "bom-ref": packageRef(it),
    name: it.name,
    version: it.version,
    scope: "required",
    hashes: [{ alg: "SHA-512", content: it.sha512 }],
    licenses: [{ expression: it.licence }],
    purl: packageRef(it),
  };
}

/** Built from source together with the Worker; comes compiled for the vault. */
function standardLibrary() {
  const { channel } = readPin(readFileSync(inRoot("rust-toolchain.toml"), "utf8"));
  const purl = `pkg:generic/rust-std@${channel}`;
  const licenses = [{ expression: "MIT OR Apache-2.0" }];
  return { type: "library", "bom-ref": purl, name: "rust-std", version: channel, scope: "required", licenses, purl };
}

/** Versions with build metadata have a `+`, which a package URL spells out. */
const refOf = ({ name, version, isOwn }) => (isOwn ? `crate:${name}@${version}` : `pkg:cargo/${name}@${encodeURIComponent(version)}`);
const packageRef = ({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`;
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
