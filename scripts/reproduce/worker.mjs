/** Builds the product's Worker in the clone that this file is in. Run by `reproduce.mjs`. */
import { main } from "../setup/process.mjs";
import { prepare } from "../setup/prepare.mjs";
import { buildWorker } from "../setup/build.mjs";

await main(async () => {
  await buildWorker(await prepare());
});
