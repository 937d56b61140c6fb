/** Once before all test files: an empty output folder with migrated storage to copy from. */
import { mkdirSync, rmSync } from "node:fs";
import { applyMigrations } from "../../scripts/setup/d1.mjs";
import { OUTPUT, TEMPLATE_STATE } from "./folders.mjs";

export default async function setup() {
  rmSync(OUTPUT, { recursive: true, force: true });
  mkdirSync(OUTPUT, { recursive: true });
  await applyMigrations(process.execPath, TEMPLATE_STATE);
}
