/**
 * `npm run demo`: against a running server (`npm start`, or PASSPORT_URL), makes
 * an account with the command-line client and uses it with an unmodified app
 * library.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SetupError, main, run, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { buildCli, quickstart } from "./setup/cli.mjs";
import { ROOT, inRoot } from "./setup/paths.mjs";

await main(async () => {
  const url = (process.env.PASSPORT_URL || "http://127.0.0.1:8787").replace(/\/$/, "");
  await requireServer(url);
  const kit = await prepare();
  const program = await buildCli(kit);
  const folder = mkdtempSync(join(tmpdir(), "passport-demo-"));
  try {
    say(`\n1. Make an account, split a new key, and grant one app access (passport quickstart --server ${url})`);
    const account = await quickstart(program, url, folder);
    say(`   npub        ${account.npub}`);
    say(`   bunker URL  ${account.bunker_url.replace(/secret=[^&]*/, "secret=…")}`);
    await run(kit.node, [inRoot("scripts/demo/app.mjs")], {
      cwd: ROOT,
      env: { BUNKER_URL: account.bunker_url, EXPECTED_PUBKEY: account.pubkey },
      show: true,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function requireServer(url) {
  const answer = await fetch(`${url}/healthz`).catch(() => null);
  if (!answer?.ok) {
    throw new SetupError(
      answer ? `${url} answers, but is not healthy (status ${answer.status}).` : `Nothing answers at ${url}.`,
      "Start the server in another terminal with `npm start`, or set PASSPORT_URL to where it is.",
    );
  }
}
