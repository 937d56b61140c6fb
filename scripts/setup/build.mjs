/**
 * Building the Worker: the crate to WASM with unwinding panics, then wasm-bindgen,
 * wasm-opt and the JavaScript shim, by worker-build.
 *
 * Unwinding needs a standard library built with it. `RUSTC_BOOTSTRAP` lets the
 * pinned stable compiler do that; a nightly would be whatever is installed.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { run, step } from "./process.mjs";
import { ROOT, WORKER_TARGET, inRoot } from "./paths.mjs";

/**
 * The flavours of the Worker and where each is built. `fault-injection` can be
 * told to fail at named places; it is for tests and never deployed.
 */
export const FLAVOURS = {
  product: { outDir: "build", features: [] },
  "fault-injection": { outDir: "target/worker-fault-injection", features: ["fault-injection"] },
};

/** What a build reads, besides the files that the compiler names itself. */
const INPUTS = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "package-lock.json", "src", "frost-wasm-core", "bunker-core"];
/** Not read by a build, though inside those folders. */
const SKIPPED = new Set(["tests", "benches", "target"]);

/**
 * @typedef {object} Built
 * @property {string} entry the module that wrangler starts from
 * @property {string} wasm
 * @property {string} wasmSha256 lowercase hex, shown by `/version`
 */

/**
 * Builds one flavour, unless its inputs are those of the last time.
 * @param {import("./prepare.mjs").Kit} kit
 * @param {keyof typeof FLAVOURS} [flavour]
 * @returns {Promise<Built>}
 */
export async function buildWorker(kit, flavour = "product") {
  const { outDir, features } = FLAVOURS[flavour];
  const stamp = stampFile(flavour);
  const last = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")) : null;
  if (last && existsSync(inRoot(outDir, "index_bg.wasm"))) {
    const there = built(flavour);
    // The stamp may be another clone's, when they share cargo's target folder.
    if (last.wasmSha256 === there.wasmSha256 && last.inputs === fingerprint(last.sources)) return there;
  }
  // Taken before the build: a file changed during it makes the next build run again.
  const before = fingerprint(last?.sources ?? []);
  const args = ["--release", "--out-dir", outDir, "."];
  if (features.length) args.push("--features", features.join(","));
  await step(`Building the Worker, ${flavour} flavour (about 2 minutes the first time)`, () =>
    run(kit.tools.workerBuild, args, { cwd: ROOT, env: buildEnv(kit) }),
  );
  await stripNames(inRoot(outDir, "index_bg.wasm"), kit);
  const sources = compilerInputs();
  const same = JSON.stringify(sources) === JSON.stringify(last?.sources ?? null);
  mkdirSync(dirname(stamp), { recursive: true });
  const result = built(flavour);
  writeFileSync(stamp, JSON.stringify({ inputs: same ? before : fingerprint(sources), sources, wasmSha256: result.wasmSha256 }));
  return result;
}

/**
 * Where a flavour is; fails when it was never built.
 * @param {keyof typeof FLAVOURS} flavour
 * @returns {Built}
 */
export function built(flavour) {
  const folder = inRoot(FLAVOURS[flavour].outDir);
  const wasm = join(folder, "index_bg.wasm");
  if (!existsSync(wasm)) throw new Error(`The Worker's ${flavour} flavour is not built: run \`npm run build\`.`);
  return {
    entry: join(folder, "index.js"),
    wasm,
    wasmSha256: createHash("sha256").update(readFileSync(wasm)).digest("hex"),
  };
}

/** Drops the names of functions, a quarter of the file: worker-build needs them, the platform does not. */
function stripNames(wasm, kit) {
  const wasmOpt = buildEnv(kit).WASM_OPT_BIN;
  return run(wasmOpt, [wasm, "--output", wasm, "--strip-debug", "--all-features"], { cwd: ROOT, env: kit.env });
}

function buildEnv({ env, tools }) {
  return {
    ...env,
    CARGO_TARGET_DIR: WORKER_TARGET,
    RUST_BACKTRACE: "0",
    RUSTC_BOOTSTRAP: "1",
    CARGO_UNSTABLE_BUILD_STD: "std,panic_unwind",
    RUSTFLAGS: "-Cpanic=unwind",
    WASM_BINDGEN_BIN: tools.wasmBindgen,
    WASM_OPT_BIN: inRoot("node_modules", ".bin", "wasm-opt"),
    ESBUILD_BIN: inRoot("node_modules", ".bin", "esbuild"),
  };
}

const stampFile = (flavour) => join(WORKER_TARGET, `passport-${flavour}.json`);

/** The files that rustc says it read for the last build, such as `include_str!` ones. */
function compilerInputs() {
  const folder = join(WORKER_TARGET, "wasm32-unknown-unknown", "release");
  const files = new Set();
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".d"))) {
    const text = readFileSync(join(folder, name), "utf8").replace(/^[^:]*: ?/, "");
    for (const file of text.split(/(?<!\\)\s+/).filter(Boolean)) {
      const path = relative(ROOT, resolve(ROOT, file.replaceAll("\\ ", " ")));
      if (!path.startsWith("..")) files.add(path);
    }
  }
  return [...files].sort();
}

/** One hash over names and contents of everything that a build reads. */
function fingerprint(extra) {
  const hash = createHash("sha256");
  const files = new Set(extra);
  for (const input of INPUTS) if (existsSync(inRoot(input))) collect(input, files);
  for (const file of [...files].sort()) {
    hash.update(`${file}\0`);
    hash.update(existsSync(inRoot(file)) ? readFileSync(inRoot(file)) : "absent");
  }
  return hash.digest("hex");
}

function collect(path, files) {
  const entries = readdirSync(inRoot(dirname(path)), { withFileTypes: true });
  const own = entries.find((entry) => entry.name === path.split("/").at(-1));
  if (own?.isFile()) files.add(path);
  if (!own?.isDirectory()) return;
  for (const entry of readdirSync(inRoot(path), { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) collect(inner, files);
    else files.add(inner);
  }
}
