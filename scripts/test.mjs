/**
 * `npm test`: every check of the project, in the order in which they are quick
 * to fail. `npm test -- --only=e2e` runs one stage with what it needs
 * (`--only=cargo,wasm` several); further arguments go to vitest.
 */
import { CommandError, SetupError, main, run, say, seconds } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { FLAVOURS, buildWorker } from "./setup/build.mjs";
import { ensureChromium } from "./setup/chromium.mjs";
import { buildPage } from "./setup/page.mjs";
import { ensurePeers } from "./setup/peers.mjs";
import { ROOT, inRoot } from "./setup/paths.mjs";
import { ensurePromtool } from "./setup/promtool.mjs";

/** The test runner of everything that is not Rust. */
const VITEST = "node_modules/vitest/vitest.mjs";

/** @typedef {{name: string, what: string, needs?: string[], work: (kit: import("./setup/prepare.mjs").Kit, rest: string[]) => Promise<unknown>}} Stage */

/** @type {Stage[]} */
const STAGES = [
  { name: "fmt", what: "Rust formatting", work: (kit) => cargo(kit, ["fmt", "--all", "--check"]) },
  {
    name: "clippy",
    what: "Rust lints",
    work: (kit) => cargo(kit, ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
  },
  { name: "cargo", what: "Rust tests", work: (kit) => cargo(kit, ["test", "--locked", "--workspace"]) },
  { name: "wasm", what: "Threshold core's tests as WebAssembly", work: wasmTests },
  { name: "hsm", what: "HSM adapters against their peers", work: hsmTests },
  {
    name: "alerts",
    what: "Alerts for operators",
    work: async (kit) => node(kit, ["ops/check.mjs"], { PROMTOOL: await ensurePromtool() }),
  },
  {
    name: "cli",
    what: "Command-line client",
    // As the Rust tests build it: asked for alone it has other features, and all its crates are built again.
    work: (kit) => cargo(kit, ["test", "--locked", "--workspace", "--no-run"]),
  },
  {
    name: "build",
    what: "Worker, both flavours",
    work: async (kit) => {
      for (const flavour of Object.keys(FLAVOURS)) await buildWorker(kit, flavour);
    },
  },
  {
    name: "page",
    what: "Web pages: build, types, units",
    work: async (kit) => {
      await buildPage(kit);
      await node(kit, ["node_modules/svelte-check/bin/svelte-check", "--workspace", "public", "--fail-on-warnings"]);
      await node(kit, [VITEST, "run", "--root", "public"]);
    },
  },
  { name: "e2e", what: "Server with real clients and a real browser", needs: ["cli", "build", "page"], work: endToEnd },
];

await main(async () => {
  const { stages, rest } = choose(process.argv.slice(2));
  const began = performance.now();
  const kit = await prepare();
  const summary = [`${seconds(performance.now() - began).padStart(8)}  ✓ set-up`];
  for (const [n, stage] of stages.entries()) {
    say(`\n━━ ${n + 1}/${stages.length} ${stage.what} (${stage.name})`);
    const stageBegan = performance.now();
    try {
      await stage.work(kit, rest);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      summary.push(`${seconds(performance.now() - stageBegan).padStart(8)}  ✗ ${stage.name}: ${stage.what}`);
      say(`\n${summary.join("\n")}\n`);
      throw error;
    }
    summary.push(`${seconds(performance.now() - stageBegan).padStart(8)}  ✓ ${stage.name}: ${stage.what}`);
  }
  say(`\n${summary.join("\n")}\n${seconds(performance.now() - began).padStart(8)}  in all`);
});

function choose(args) {
  const only = args.filter((arg) => arg.startsWith("--only=")).flatMap((arg) => arg.slice("--only=".length).split(","));
  const rest = args.filter((arg) => !arg.startsWith("--only="));
  const unknown = only.find((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    throw new SetupError(`There is no stage "${unknown}".`, `The stages: ${STAGES.map((stage) => stage.name).join(", ")}.`);
  }
  if (!only.length) return { stages: STAGES, rest };
  const wanted = new Set(only.flatMap((name) => [name, ...(STAGES.find((stage) => stage.name === name).needs ?? [])]));
  return { stages: STAGES.filter((stage) => wanted.has(stage.name)), rest };
}

function cargo(kit, args, env = {}) {
  return run("cargo", args, { cwd: ROOT, env: { ...kit.env, ...env }, show: true });
}

function wasmTests(kit) {
  return cargo(kit, ["test", "--locked", "-p", "frost-wasm-core", "--test", "wasm", "--target", "wasm32-unknown-unknown"], {
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: kit.tools.wasmTestRunner,
  });
}

async function hsmTests(kit) {
  // The whole workspace is named for the same reason as for the command-line client; of it only these are run.
  const tests = ["--test", "sigv4", "--test", "contract"];
  const env = { PASSPORT_PEERS_PYTHON: await ensurePeers() };
  await cargo(kit, ["test", "--locked", "--workspace", ...tests, "--", "--include-ignored", "--nocapture"], env);
}

async function endToEnd(kit, rest) {
  await node(kit, [VITEST, "run", ...rest], { CHROMIUM: await ensureChromium() });
  await node(kit, ["test/support/secret-scan.mjs"]);
}

/** Runs a program of node_modules. */
function node(kit, [program, ...args], env = {}) {
  return run(kit.node, [inRoot(program), ...args], { cwd: ROOT, env: { ...kit.env, ...env }, show: true });
}
