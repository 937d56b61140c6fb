/**
 * The Worker's secrets on this machine: `.dev.vars`, made with fresh random
 * values. What is there is never changed; names that are missing are added.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { DEV_VARS } from "./paths.mjs";
import { say } from "./process.mjs";

/** Every secret of the Worker: 32 random bytes each, as lowercase hex. Production sets the same names. */
export const SECRET_NAMES = [
  "ROUTING_KEY",
  "TOKEN_KEY",
  "JWT_SIGNING_KEY",
  "BUNKER_RECEIVING_KEY",
  "COSIGNER_RECEIVING_KEY",
  "HSM_SIMULATOR_BUNKER_KEK",
  "HSM_SIMULATOR_COSIGNER_KEK",
];

/** Those that a deployment may do without, and a developer has. */
const OPTIONAL_NAMES = ["METRICS_TOKEN", "OPERATOR_SETUP_TOKEN"];

/** Readable and writable by the owner alone. */
const PRIVATE_MODE = 0o600;

/** Makes or completes a file of secrets. @param {string} [file] */
export function ensureVars(file = DEV_VARS) {
  const present = existsSync(file) ? readFileSync(file, "utf8") : null;
  const names = [...SECRET_NAMES, ...OPTIONAL_NAMES];
  const missing = names.filter((name) => !new RegExp(`^\\s*(export\\s+)?${name}\\s*=`, "m").test(present ?? ""));
  if (missing.length) {
    const head = present ?? "# Secrets of this machine's development server. Never commit this file.\n";
    const lines = missing.map((name) => `${name}=${randomBytes(32).toString("hex")}\n`);
    const joint = head.endsWith("\n") ? "" : "\n";
    writeFileSync(file, head + joint + lines.join(""), { mode: PRIVATE_MODE });
    if (file === DEV_VARS) say(`✓ ${present === null ? "Made" : "Completed"} .dev.vars with fresh secrets: ${missing.join(", ")}`);
  }
  chmodSync(file, PRIVATE_MODE);
}
