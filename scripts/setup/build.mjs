/**
 * Building the Worker: the crate to WASM with unwinding panics, then wasm-bindgen,
 * wasm-opt and the JavaScript shim, by worker-build.
 *
 * Unwinding needs a standard library built with it. `RUSTC_BOOTSTRAP` lets the
 * pinned stable compiler do that; a nightly would be whatever is installed.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { compilerInputs, fingerprint } from "./fingerprint.mjs";
import { run, step } from "./process.mjs";
import { ROOT, WORKER_TARGET, inRoot } from "./paths.mjs";
import { remapFlags } from "./remap.mjs";

/**
 * The flavours of the Worker and where each is built. `fault-injection` can be
 * told to fail at named places; it is for tests and never deployed.
 */
export const FLAVOURS = {
  product: { outDir: "build", features: [], flags: [] },
  // Not made small: that takes minutes, and nobody deploys it.
  "fault-injection": { outDir: "target/worker-fault-injection", features: ["fault-injection"], flags: ["--no-opt"] },
};

/** What a build reads, besides the files that the compiler names itself. */
const INPUTS = [
  ...["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "package-lock.json", "scripts/setup/remap.mjs"],
  ...["src", "frost-wasm-core", "bunker-core", "operations-core/Cargo.toml", "hsm/Cargo.toml"],
];

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
  const { outDir, features, flags } = FLAVOURS[flavour];
  const stamp = stampFile(flavour);
  const last = existsSync(stamp) ? JSON.parse(readFileSync(stamp, "utf8")) : null;
  if (last && existsSync(inRoot(outDir, "index_bg.wasm"))) {
    const there = built(flavour);
    // The stamp may be another clone's, when they share cargo's target folder.
    if (last.wasmSha256 === there.wasmSha256 && last.inputs === inputs(last.sources)) return there;
  }
  // Taken before the build: a file changed during it makes the next build run again.
  const before = inputs(last?.sources ?? []);
  const args = ["--release", ...flags, "--out-dir", outDir, "."];
  if (features.length) args.push("--features", features.join(","));
  await step(`Building the Worker, ${flavour} flavour (about 2 minutes the first time)`, async () => {
    const RUSTFLAGS = ["-Cpanic=unwind", ...(await remapFlags(kit.env, WORKER_TARGET))].join(" ");
    return run(kit.tools.workerBuild, args, { cwd: ROOT, env: { ...buildEnv(kit), RUSTFLAGS } });
  });
  await stripNames(inRoot(outDir, "index_bg.wasm"), kit);
  const sources = compilerInputs(join(WORKER_TARGET, "wasm32-unknown-unknown", "release"));
  const same = JSON.stringify(sources) === JSON.stringify(last?.sources ?? null);
  mkdirSync(dirname(stamp), { recursive: true });
  const result = built(flavour);
  writeFileSync(stamp, JSON.stringify({ inputs: same ? before : inputs(sources), sources, wasmSha256: result.wasmSha256 }));
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
    WASM_BINDGEN_BIN: tools.wasmBindgen,
    WASM_OPT_BIN: inRoot("node_modules", ".bin", "wasm-opt"),
    ESBUILD_BIN: inRoot("node_modules", ".bin", "esbuild"),
  };
}

const stampFile = (flavour) => join(WORKER_TARGET, `passport-${flavour}.json`);

const inputs = (extra) => fingerprint(INPUTS, { extra });
