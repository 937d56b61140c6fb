/** `npm run bench`: set-up and release builds, then bench/signing.mjs. It starts and ends its own servers. */
import { main, run, step } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { buildWorker } from "./setup/build.mjs";
import { measureBundle } from "./setup/bundle.mjs";
import { buildCli } from "./setup/cli.mjs";
import { ROOT, inRoot } from "./setup/paths.mjs";

await main(async () => {
  const kit = await prepare();
  await buildWorker(kit);
  await buildCli(kit);
  const bundle = await measureBundle(kit, ["--env", "production"]);
  await step("Measuring (about 1 minute)", () =>
    run(kit.node, [inRoot("bench/signing.mjs")], {
      cwd: ROOT,
      env: { PASSPORT_BUNDLE: JSON.stringify(bundle) },
      show: true,
    }),
  );
});
