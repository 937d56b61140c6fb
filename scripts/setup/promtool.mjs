/** Prometheus' `promtool`, which tests the alerts: the system's, or the one of Debian's package, unpacked and not installed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { TOOLS } from "./paths.mjs";
import { SetupError, install, probe, step } from "./process.mjs";

const REMEDY = "Install Prometheus (Debian: apt-get install prometheus), or name its tool: PROMTOOL=/path/to/promtool npm test";
const HOME = join(TOOLS, "promtool");
const PROGRAM = join(HOME, "usr", "bin", "promtool");

/**
 * The path of a promtool. Where none is found, Debian's package is downloaded into the folder of tools.
 * @returns {Promise<string>}
 */
export async function ensurePromtool() {
  const found = findPromtool();
  if (found) return found;
  if ((await probe("apt-get", ["--version"])) === null || (await probe("dpkg", ["--version"])) === null) {
    throw new SetupError("promtool is missing: the alerts are tested with it.", REMEDY);
  }
  await step("Unpacking promtool from Debian's packages (about 1 minute, once)", unpack);
  return PROGRAM;
}

function findPromtool() {
  if (process.env.PROMTOOL) return process.env.PROMTOOL;
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return [...folders.map((folder) => join(folder, "promtool")), PROGRAM].find((file) => existsSync(file)) ?? null;
}

/** Unpacks aside and moves into place, so that two at once leave nothing half done. */
async function unpack() {
  mkdirSync(TOOLS, { recursive: true });
  const aside = mkdtempSync(join(TOOLS, ".promtool-"));
  try {
    const download = ["download", "-q", "prometheus"];
    if ((await probe("apt-get", download, { cwd: aside })) === null) {
      // A fresh machine has no lists of packages yet. Only root may fetch them.
      if (process.getuid?.() === 0) await install(REMEDY, "apt-get", ["update", "-q"]);
      await install(REMEDY, "apt-get", download, { cwd: aside });
    }
    const archive = readdirSync(aside).find((name) => name.endsWith(".deb"));
    await install(REMEDY, "dpkg", ["-x", join(aside, archive), join(aside, "root")]);
    try {
      renameSync(join(aside, "root"), HOME);
    } catch (error) {
      if (!existsSync(PROGRAM)) throw error; // else another run was first
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
