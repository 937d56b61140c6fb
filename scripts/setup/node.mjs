/**
 * The npm packages, and a Node.js that can run them.
 *
 * wrangler and vitest need a newer Node.js than the one that starts these
 * scripts may be, so one comes as a locked platform package.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { SetupError, install, probe, step } from "./process.mjs";
import { inRoot } from "./paths.mjs";

/** Oldest Node.js that can run these scripts: they use nothing newer. */
const OLDEST_SCRIPTS = [20, 0];
/** Oldest Node.js that wrangler and vitest accept. */
const OLDEST_TOOLS = [22, 12];
/** Says which lock file `node_modules` was installed from. */
const STAMP = inRoot("node_modules", ".passport-lock");

/**
 * Installs the locked packages unless they are there already.
 * @returns {Promise<string>} the Node.js to run tools with
 */
export async function ensureNode() {
  if (!atLeast(process.versions.node, OLDEST_SCRIPTS)) {
    throw new SetupError(
      `Node.js ${process.versions.node} is too old: these scripts need ${OLDEST_SCRIPTS[0]} or newer.`,
      "Install a current one from https://nodejs.org or your distribution.",
    );
  }
  await ensurePackages();
  return findNode();
}

async function ensurePackages() {
  const wanted = fingerprint();
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;
  // Under `npm run`, npm tells where it is; its own file can be run by any Node.js.
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  if ((await probe(command, [...before, "--version"])) === null) {
    throw new SetupError("npm is missing.", "It comes with Node.js from https://nodejs.org (Debian: apt-get install npm).");
  }
  await step("Installing npm packages (about half a minute, once)", () =>
    install(
      "npm fetches the packages of package-lock.json from its registry: check the network and run this again.",
      command,
      [...before, "ci", "--no-audit", "--no-fund"],
      { cwd: inRoot() },
    ),
  );
  writeFileSync(STAMP, wanted);
}

function fingerprint() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json", ".npmrc"]) hash.update(readFileSync(inRoot(file)));
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

async function findNode() {
  const packaged = packagedNode();
  // It can be there and still not run, on a system with another C library.
  if (packaged && (await probe(packaged, ["--version"])) !== null) return packaged;
  if (atLeast(process.versions.node, OLDEST_TOOLS)) return process.execPath;
  throw new SetupError(
    `Node.js ${process.versions.node} is too old for wrangler, and npm has no packaged one for ${process.platform}-${process.arch}.`,
    `Install Node.js ${OLDEST_TOOLS.join(".")} or newer from https://nodejs.org.`,
  );
}

function packagedNode() {
  const windows = process.platform === "win32";
  const name = `node-${windows ? "win" : process.platform}-${process.arch}`;
  const file = inRoot("node_modules", name, "bin", windows ? "node.exe" : "node");
  return existsSync(file) ? file : null;
}

/** @param {string} version @param {number[]} oldest major and minor */
function atLeast(version, [major, minor]) {
  const [ourMajor, ourMinor] = version.split(".").map(Number);
  return ourMajor > major || (ourMajor === major && ourMinor >= minor);
}
