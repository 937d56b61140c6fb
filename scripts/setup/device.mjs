/**
 * Building the device program for the page's vault: the crate to WASM, then
 * wasm-bindgen for the web and wasm-opt.
 *
 * Its panics abort: the page's worker ends with the program, and a new one begins.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compilerInputs, fingerprint } from "./fingerprint.mjs";
import { DEVICE_TARGET, ROOT, inRoot } from "./paths.mjs";
import { run, step } from "./process.mjs";
import { remapFlags } from "./remap.mjs";

/** Where the page imports it from. */
const OUT = inRoot("public", "src", "generated", "device");
/** What a build reads, besides the files that the compiler names itself. */
const INPUTS = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "package-lock.json", "frost-wasm-core", "bunker-core", "device", "scripts/setup/remap.mjs"];
/** What every browser that runs the page has, and what the compiler's output needs. */
const FEATURES = [
  "--enable-bulk-memory",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-nontrapping-float-to-int",
  "--enable-reference-types",
  "--enable-sign-ext",
];

/**
 * @typedef {object} BuiltDevice
 * @property {string} script wasm-bindgen's module
 * @property {string} wasm
 * @property {string} wasmSha256 lowercase hex
 */

/**
 * Builds it, unless its inputs are those of the last time.
 * @param {import("./prepare.mjs").Kit} kit
 * @returns {Promise<BuiltDevice>}
 */
export async function buildDevice(kit) {
  const stamp = join(OUT, "built-from.json");
  const last = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")) : null;
  if (last && existsSync(files().wasm)) {
    const there = builtDevice();
    if (last.wasmSha256 === there.wasmSha256 && last.inputs === inputs(last.sources)) return there;
  }
  // Taken before the build: a file changed during it makes the next build run again.
  const before = inputs(last?.sources ?? []);
  await step("Building the page's vault (about 1 minute the first time)", () => build(kit));
  const sources = compilerInputs(join(DEVICE_TARGET, "wasm32-unknown-unknown", "release"));
  const same = JSON.stringify(sources) === JSON.stringify(last?.sources ?? null);
  const result = builtDevice();
  writeFileSync(stamp, JSON.stringify({ inputs: same ? before : inputs(sources), sources, wasmSha256: result.wasmSha256 }));
  return result;
}

/**
 * Where it is; fails when it was never built.
 * @returns {BuiltDevice}
 */
export function builtDevice() {
  const { script, wasm } = files();
  if (!existsSync(wasm)) throw new Error("The page's vault is not built: run `npm run build`.");
  return { script, wasm, wasmSha256: createHash("sha256").update(readFileSync(wasm)).digest("hex") };
}

async function build({ env, node, tools }) {
  const cargo = ["build", "--locked", "-p", "passport-device", "--release", "--target", "wasm32-unknown-unknown", "--lib"];
  const RUSTFLAGS = (await remapFlags(env, DEVICE_TARGET)).join(" ");
  await run("cargo", cargo, { cwd: ROOT, env: { ...env, CARGO_TARGET_DIR: DEVICE_TARGET, RUSTFLAGS } });
  const compiled = join(DEVICE_TARGET, "wasm32-unknown-unknown", "release", "passport_device.wasm");
  mkdirSync(OUT, { recursive: true });
  await run(tools.wasmBindgen, ["--target", "web", "--out-dir", OUT, compiled], { cwd: ROOT, env });
  const { wasm } = files();
  const wasmOpt = inRoot("node_modules", "binaryen", "bin", "wasm-opt");
  await run(node, [wasmOpt, wasm, "--output", wasm, "-Os", "--strip-debug", "--strip-producers", ...FEATURES], { cwd: ROOT, env });
}

const files = () => ({ script: join(OUT, "passport_device.js"), wasm: join(OUT, "passport_device_bg.wasm") });

const inputs = (extra) => fingerprint(INPUTS, { extra });
