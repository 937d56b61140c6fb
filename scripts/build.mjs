/** `npm run build`: builds the Worker into `build/`. */
import { main, say } from "./setup/process.mjs";
import { prepare } from "./setup/prepare.mjs";
import { FLAVOURS, buildWorker } from "./setup/build.mjs";

await main(async () => {
  const kit = await prepare();
  const { wasmSha256 } = await buildWorker(kit);
  say(`✓ ${FLAVOURS.product.outDir}/index_bg.wasm  sha256 ${wasmSha256}`);
});
