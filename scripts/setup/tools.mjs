/**
 * The two Rust programs that turn the crate into a Worker: worker-build and
 * wasm-bindgen (with its test runner). Neither is a library, so cargo builds
 * each once per version into a folder that all clones share.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SetupError, install, step } from "./process.mjs";
import { TOOLS, inRoot } from "./paths.mjs";

/** Goes together with the `worker` crate of the same version. */
const WORKER_BUILD = "0.8.7";

/**
 * @typedef {object} Tools paths of the programs
 * @property {string} workerBuild
 * @property {string} wasmBindgen
 * @property {string} wasmTestRunner
 */

/**
 * @param {Record<string, string>} rustEnv from `ensureRust`
 * @returns {Promise<Tools>}
 */
export async function ensureTools(rustEnv) {
  const bindgen = lockedVersion("wasm-bindgen");
  // worker-build's own lock file is good; wasm-bindgen-cli's does not resolve.
  const builder = await ensureTool("worker-build", WORKER_BUILD, ["--locked"], rustEnv);
  const cli = await ensureTool("wasm-bindgen-cli", bindgen, [], rustEnv);
  return {
    workerBuild: join(builder, program("worker-build")),
    wasmBindgen: join(cli, program("wasm-bindgen")),
    wasmTestRunner: join(cli, program("wasm-bindgen-test-runner")),
  };
}

/**
 * The version of a crate in `Cargo.lock`.
 * @param {string} crate
 */
export function lockedVersion(crate) {
  const lock = readFileSync(inRoot("Cargo.lock"), "utf8");
  const versions = [...lock.matchAll(new RegExp(`^name = "${crate}"\\nversion = "([^"]+)"`, "gm"))].map((m) => m[1]);
  if (versions.length !== 1) {
    throw new SetupError(
      `Cargo.lock holds ${versions.length} versions of ${crate}; exactly one is needed.`,
      `Restore Cargo.lock from git, or see \`cargo tree -i ${crate}\`.`,
    );
  }
  return versions[0];
}

/** The folder with the programs of one tool; builds it when it is not there. */
async function ensureTool(name, version, flags, rustEnv) {
  const home = join(TOOLS, `${name}-${version}`);
  if (!existsSync(join(home, "bin"))) {
    await step(`Building ${name} ${version} (1 to 2 minutes, once)`, () => build(name, version, flags, home, rustEnv));
  }
  return join(home, "bin");
}

/** Builds aside and moves into place, so that a broken build or two at once leave nothing half done. */
async function build(name, version, flags, home, rustEnv) {
  mkdirSync(TOOLS, { recursive: true });
  const aside = mkdtempSync(join(TOOLS, `.${name}-`));
  try {
    // Unoptimised: they work on one small file, and building them is what takes the time.
    const args = ["install", `${name}@${version}`, ...flags, "--debug", "--root", join(aside, "root"), "--no-track"];
    const remedy = `cargo fetches and builds ${name} from its registry: check the network and run this again.`;
    await install(remedy, "cargo", args, {
      cwd: inRoot(),
      env: {
        ...rustEnv,
        CARGO_TARGET_DIR: join(aside, "target"),
        CARGO_PROFILE_DEV_DEBUG: "0",
        CARGO_INCREMENTAL: "0",
        RUST_BACKTRACE: "0",
        RUSTFLAGS: undefined,
        CARGO_BUILD_TARGET: undefined,
      },
    });
    try {
      renameSync(join(aside, "root"), home);
    } catch (error) {
      if (!existsSync(join(home, "bin"))) throw error; // else another run was first
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

const program = (name) => (process.platform === "win32" ? `${name}.exe` : name);
