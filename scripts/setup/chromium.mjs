/** The browser that the tests of the pages drive: Chromium as the system has it, or Debian's package. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { SetupError, install, probe, step } from "./process.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const REMEDY = "Install Chromium (Debian: apt-get install chromium fonts-liberation), or name one: CHROMIUM=/path/to/it npm test";

/**
 * The path of a Chromium. Where none is found and this is root on a Debian, its package is installed.
 * @returns {Promise<string>}
 */
export async function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  if (process.getuid?.() === 0 && (await probe("apt-get", ["--version"])) !== null) {
    await step("Installing Chromium from Debian's packages (about 1 minute, once)", async () => {
      const env = { DEBIAN_FRONTEND: "noninteractive" };
      await install(REMEDY, "apt-get", ["update", "-q"], { env });
      await install(REMEDY, "apt-get", ["install", "-y", "-q", "--no-install-recommends", "chromium", "fonts-liberation"], { env });
    });
  }
  const installed = findChromium();
  if (!installed) throw new SetupError("Chromium is missing: the tests of the pages drive it.", REMEDY);
  return installed;
}

/** The first Chromium on the path, or the one that `CHROMIUM` names. */
export function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram) ?? null;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
