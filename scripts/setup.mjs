/** `npm run setup`: installs what is missing, and nothing else. */
import { main, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { ensureVars } from "./setup/vars.mjs";

await main(async () => {
  await prepare();
  ensureVars();
  say("✓ Everything is set up.");
});
