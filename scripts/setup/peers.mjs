/**
 * The peers that the HSM adapters are tested against: moto, our own small servers, and the clients of AWS, Google and
 * Azure that prove those servers. They are Python packages, pinned by version and hash, in an environment of their own
 * among the tools. Nothing of a deployment needs them.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SetupError, install, probe, step } from "./process.mjs";
import { TOOLS, inRoot } from "./paths.mjs";

const REQUIREMENTS = inRoot("hsm", "tests", "peers", "requirements.txt");
/** The oldest Python that the list of packages is complete for. */
const PYTHON_AT_LEAST = [3, 11];
const REMEDY = `Install Python ${PYTHON_AT_LEAST.join(".")} or newer with its venv module (Debian: apt-get install python3 python3-venv), or name one: PYTHON=/path/to/python3`;

/**
 * The path of a Python that has the peers' packages.
 * @returns {Promise<string>}
 */
export async function ensurePeers() {
  const { python, version } = await ensurePython();
  const hash = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 12);
  const home = join(TOOLS, `peers-${hash}-python-${version}`);
  if (!existsSync(program(home))) {
    await step("Installing the HSM adapters' peers: moto and the providers' own clients (about 1 minute, once)", () =>
      build(python, home),
    );
  }
  return program(home);
}

/** A Python that can make environments. Where none is and this is root on a Debian, its packages are installed. */
async function ensurePython() {
  const name = process.env.PYTHON || "python3";
  const found = await findPython(name);
  if (found) return found;
  if (!process.env.PYTHON && process.getuid?.() === 0 && (await probe("apt-get", ["--version"])) !== null) {
    await step("Installing Python from Debian's packages (about 1 minute, once)", async () => {
      const env = { DEBIAN_FRONTEND: "noninteractive" };
      await install(REMEDY, "apt-get", ["update", "-q"], { env });
      await install(REMEDY, "apt-get", ["install", "-y", "-q", "--no-install-recommends", "python3", "python3-venv"], { env });
    });
  }
  const installed = await findPython(name);
  if (!installed) throw new SetupError("Python is missing: the peers of the HSM adapters are written in it.", REMEDY);
  return installed;
}

/** @returns {Promise<{python: string, version: string} | null>} null also for a Python that is too old or can't make environments */
async function findPython(python) {
  const ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])";
  const version = (await probe(python, ["-c", ask]))?.trim();
  if (!version) return null;
  const [major, minor] = version.split(".").map(Number);
  const isNewEnough = major > PYTHON_AT_LEAST[0] || (major === PYTHON_AT_LEAST[0] && minor >= PYTHON_AT_LEAST[1]);
  return isNewEnough ? { python, version } : null;
}

/** Builds aside and moves into place. What is moved is used only through its Python, which finds itself anywhere. */
async function build(python, home) {
  mkdirSync(TOOLS, { recursive: true });
  const aside = mkdtempSync(join(TOOLS, ".peers-"));
  try {
    await install(REMEDY, python, ["-m", "venv", aside]);
    const remedy = "pip fetches the packages from their registry: check the network and run this again.";
    const args = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:", "-r", REQUIREMENTS];
    await install(remedy, program(aside), args, { env: { PIP_DISABLE_PIP_VERSION_CHECK: "1" } });
    try {
      renameSync(aside, home);
    } catch (error) {
      if (!existsSync(program(home))) throw error; // else another run was first
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

const program = (home) => (process.platform === "win32" ? join(home, "Scripts", "python.exe") : join(home, "bin", "python"));
