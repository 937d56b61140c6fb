/**
 * `npm start`: everything a fresh clone needs, then the server on this machine.
 * `PORT` chooses another port than 8787.
 */
import { SetupError, main, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { buildWorker } from "./setup/build.mjs";
import { buildPage } from "./setup/page.mjs";
import { applyMigrations } from "./setup/d1.mjs";
import { requireFreePort, startDevServer } from "./setup/dev-server.mjs";
import { DEV_STATE } from "./setup/paths.mjs";
import { ensureVars } from "./setup/vars.mjs";

const DEFAULT_PORT = 8787;
/** How often to look whether whoever started this is still there, in milliseconds. */
const PARENT_LOOK_MS = 500;

// npm runs this through a shell, which dies of a signal without passing it on.
const parent = process.ppid;

await main(async () => {
  const port = readPort(process.env.PORT);
  await requireFreePort(port);
  const kit = await prepare();
  ensureVars();
  const worker = await buildWorker(kit);
  await buildPage(kit);
  await applyMigrations(kit.node, DEV_STATE);
  await requireFreePort(port);
  if (process.ppid !== parent) return 1;

  const server = startDevServer({ node: kit.node, port, worker, state: DEV_STATE });
  let asked = false;
  const stop = () => {
    asked = true;
    void server.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  setInterval(() => process.ppid !== parent && stop(), PARENT_LOOK_MS).unref();
  try {
    const answer = await server.ready();
    await greet(server.url, port, answer);
  } catch (error) {
    await server.stop();
    if (!asked) throw error;
  }
  const code = await server.exited;
  await server.stop();
  if (asked) say("✓ Stopped.");
  return asked ? 0 : (code ?? 1);
});

function readPort(text) {
  if (!text) return DEFAULT_PORT;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new SetupError(`PORT=${text} is not a port.`, "Give a number from 1 to 65535.");
}

async function greet(url, port, answer) {
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    say(`\n✗ The server runs but is not healthy: ${problem.detail ?? `status ${answer.status}`}`);
    return;
  }
  const demo = port === DEFAULT_PORT ? "npm run demo" : `PASSPORT_URL=${url} npm run demo`;
  say(`\n✓ Passport is ready on ${url}  (Ctrl-C stops it)`);
  say(`  Open it in a browser: ${url}`);
  say(`  See it sign: \`${demo}\` in another terminal. The API: ${url}/openapi.json\n`);
}
