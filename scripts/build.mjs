/** `npm run build`: builds the Worker into `build/` and the pages into `public/dist/`. */
import { main, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { FLAVOURS, buildWorker } from "./setup/build.mjs";
import { buildPage } from "./setup/page.mjs";

await main(async () => {
  const kit = await prepare();
  const { wasmSha256 } = await buildWorker(kit);
  await buildPage(kit);
  say(`✓ ${FLAVOURS.product.outDir}/index_bg.wasm  sha256 ${wasmSha256}`);
});
