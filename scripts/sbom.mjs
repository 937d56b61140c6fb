/**
 * `npm run sbom`: writes what is shipped to `build/sbom.cdx.json`, as CycloneDX 1.5: the crates of the Worker and of the
 * page's vault, and the npm packages of the page. The same commit gives the same bytes.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { main, say } from "./setup/process.mjs";
import { ensureNode } from "./setup/node.mjs";
import { ensureRust } from "./setup/rust.mjs";
import { inRoot } from "./setup/paths.mjs";
import { describeProduct } from "./sbom/document.mjs";

/** Beside the Worker that it describes. */
const FILE = inRoot("build", "sbom.cdx.json");

await main(async () => {
  await ensureNode();
  const document = await describeProduct(await ensureRust());
  const text = `${JSON.stringify(document, null, 2)}\n`;
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, text);
  const sha256 = createHash("sha256").update(text).digest("hex");
  say(`✓ build/sbom.cdx.json: ${document.components.length} components  sha256 ${sha256}`);
});
