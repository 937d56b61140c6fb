/** The pinned Rust toolchain, its components and the WASM target, through rustup. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { SetupError, install, probe, run, step } from "./process.mjs";
import { inRoot } from "./paths.mjs";

/**
 * @typedef {object} Pin what `rust-toolchain.toml` asks for
 * @property {string} channel a full version, such as `1.95.0`
 * @property {string[]} components
 * @property {string[]} targets
 */

/**
 * Makes sure that the pinned toolchain is there.
 * @returns {Promise<Record<string, string>>} environment for every cargo call
 */
export async function ensureRust() {
  const pin = readPin(readFileSync(inRoot("rust-toolchain.toml"), "utf8"));
  const env = { PATH: `${process.env.PATH}${delimiter}${cargoBin()}` };
  await requirePrograms(env);
  const toolchain = (await findToolchain(pin, env)) ?? (await installToolchain(pin, env));
  await ensureParts(pin, toolchain, env);
  return { ...env, RUSTUP_TOOLCHAIN: toolchain };
}

/**
 * Reads the flat keys of `rust-toolchain.toml`.
 * @param {string} toml
 * @returns {Pin}
 */
export function readPin(toml) {
  const channel = /^channel\s*=\s*"([^"]+)"/m.exec(toml)?.[1];
  if (!channel) throw new SetupError("rust-toolchain.toml names no channel.", "Restore it from git.");
  const list = (key) =>
    [...(new RegExp(`^${key}\\s*=\\s*\\[([^\\]]*)\\]`, "m").exec(toml)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(
      (match) => match[1],
    );
  return { channel, components: list("components"), targets: list("targets") };
}

function cargoBin() {
  return join(process.env.CARGO_HOME || join(homedir(), ".cargo"), "bin");
}

async function requirePrograms(env) {
  if ((await probe("rustup", ["--version"], { env })) === null) {
    throw new SetupError(
      "rustup is missing: it provides the Rust compiler.",
      "Install it as described on https://rustup.rs (Debian: apt-get install rustup), then run this command again.",
    );
  }
  if (process.platform !== "win32" && (await probe("cc", ["--version"])) === null) {
    throw new SetupError(
      "A C compiler is missing: Rust links with it.",
      "Debian: apt-get install build-essential. macOS: xcode-select --install.",
    );
  }
}

/** An installed toolchain of exactly the pinned version, under whatever name. */
async function findToolchain(pin, env) {
  const names = (await run("rustup", ["toolchain", "list"], { env }))
    .split("\n")
    .map((line) => line.split(" ")[0])
    .filter((name) => name && !name.startsWith("no"));
  const named = names.find((name) => name === pin.channel || name.startsWith(`${pin.channel}-`));
  if (named) return named;
  for (const name of names) {
    const version = await probe("rustup", ["run", name, "rustc", "--version"], { env });
    if (version?.startsWith(`rustc ${pin.channel} `)) return name;
  }
  return null;
}

async function installToolchain(pin, env) {
  const args = ["toolchain", "install", pin.channel, "--profile", "minimal", "--no-self-update"];
  if (pin.components.length) args.push("--component", pin.components.join(","));
  if (pin.targets.length) args.push("--target", pin.targets.join(","));
  await viaRustup(`Installing Rust ${pin.channel} (about 1 minute, once)`, args, env);
  return pin.channel;
}

async function ensureParts(pin, toolchain, env) {
  const listed = await run("rustup", ["component", "list", "--toolchain", toolchain, "--installed"], { env });
  const installed = listed.split("\n");
  const has = (part) => installed.some((name) => name === part || name.startsWith(`${part}-`));
  const components = pin.components.filter((name) => !has(name));
  const targets = pin.targets.filter((name) => !installed.includes(`rust-std-${name}`));
  if (components.length) {
    const args = ["component", "add", "--toolchain", toolchain, ...components];
    await viaRustup(`Adding ${components.join(", ")} to Rust ${toolchain}`, args, env);
  }
  if (targets.length) {
    const args = ["target", "add", "--toolchain", toolchain, ...targets];
    await viaRustup(`Adding the target ${targets.join(", ")} to Rust ${toolchain}`, args, env);
  }
}

function viaRustup(title, args, env) {
  const remedy = `When the toolchain server can be reached, run:\n  rustup ${args.join(" ")}`;
  return step(title, () => install(remedy, "rustup", args, { env: { ...env, RUST_BACKTRACE: "0" } }));
}
