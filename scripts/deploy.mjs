/**
 * `npm run deploy`: builds, checks the production configuration, and calls
 * wrangler. `npm run deploy -- --dry-run` does everything but upload, needs no
 * account, and says what a real run would refuse.
 */
import { SetupError, main, run, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { buildWorker } from "./setup/build.mjs";
import { buildPage } from "./setup/page.mjs";
import { kib, measureBundle } from "./setup/bundle.mjs";
import { ROOT, inRoot } from "./setup/paths.mjs";
import { WRANGLER, WRANGLER_ENV } from "./setup/wrangler.mjs";
import { configurationFaults, reminders, secretFaults } from "./deploy/checks.mjs";

const ENV_ARGS = ["--env", "production"];

await main(async () => {
  const dryRun = readArguments(process.argv.slice(2));
  const kit = await prepare();
  const config = JSON.parse(await run(kit.node, [inRoot("scripts/deploy/read-config.mjs")], { cwd: ROOT }));
  const faults = configurationFaults(config);
  let present = null;
  if (!dryRun) {
    refuse(faults);
    present = await presentSecrets(kit);
    refuse(secretFaults(present, config.vars));
  }
  const worker = await buildWorker(kit);
  await buildPage(kit);
  const args = [...ENV_ARGS, "--var", `WASM_SHA256:${worker.wasmSha256}`];
  const size = await measureBundle(kit, args);
  say(`✓ Bundle: ${kib(size.raw_bytes)} raw, ${kib(size.gzip_bytes)} gzipped; WASM sha256 ${worker.wasmSha256}`);
  const reminded = reminders(config, present);
  if (reminded.length) say(`To remember:\n${list(reminded)}`);
  if (dryRun) {
    say(faults.length ? `✗ Not ready to deploy:\n${list(faults)}` : "✓ The configuration is ready. Secrets were not looked at: that needs the account.");
    return;
  }
  await wrangler(kit, ["d1", "migrations", "apply", "DB", "--remote", ...ENV_ARGS]);
  await wrangler(kit, ["deploy", ...args]);
});

function readArguments(args) {
  const unknown = args.find((arg) => arg !== "--dry-run");
  if (unknown !== undefined) throw new SetupError(`Unknown argument ${unknown}.`, "npm run deploy [-- --dry-run]");
  return args.includes("--dry-run");
}

function refuse(faults) {
  if (faults.length) throw new SetupError("Not deployed: the production configuration is not ready.", list(faults));
}

function list(faults) {
  return faults.map((fault) => `- ${fault}`).join("\n");
}

async function presentSecrets(kit) {
  const listed = await run(kit.node, [WRANGLER, "secret", "list", ...ENV_ARGS], { cwd: ROOT, env: WRANGLER_ENV });
  return JSON.parse(listed).map(({ name }) => name);
}

function wrangler(kit, args) {
  return run(kit.node, [WRANGLER, ...args], { cwd: ROOT, env: WRANGLER_ENV, show: true });
}
