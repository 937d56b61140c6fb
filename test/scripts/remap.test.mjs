/** What is shipped says nothing of the machine that built it, so the same commit gives the same bytes elsewhere. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { expect, test } from "vitest";
import { built } from "../../scripts/setup/build.mjs";
import { builtDevice } from "../../scripts/setup/device.mjs";
import { ROOT } from "../../scripts/setup/paths.mjs";

test.each([
  ["the Worker", () => built("product").wasm],
  ["the page's vault", () => builtDevice().wasm],
])("%s names no folder of this machine", (_, file) => {
  const content = readFileSync(file()).toString("latin1");
  // A home of `/` would be everywhere.
  const folders = [ROOT, homedir(), process.env.CARGO_HOME].filter((folder) => folder && folder.length > 1);
  expect(folders.filter((folder) => content.includes(`${folder}/`))).toEqual([]);
  expect(content).toContain("/cargo/");
});
