/**
 * The page's device program in this process: the WebAssembly that the browser runs, called as the vault's worker calls it.
 */
import { readFileSync } from "node:fs";
import { builtDevice } from "../../scripts/setup/device.mjs";

const { script, wasm } = builtDevice();
export const program = await import(script);
const module = new WebAssembly.Module(readFileSync(wasm));
/** The program's memory, to be measured and searched. */
export const { memory } = program.initSync({ module });

/** What the program threw, or null. @param {() => unknown} work */
export function refusal(work) {
  try {
    work();
    return null;
  } catch (thrown) {
    if (typeof thrown !== "string") throw thrown;
    return JSON.parse(thrown);
  }
}

/** scrypt with a fresh salt: the key, and the salt and cost as JSON. */
export function stretchedAnew(passphrase) {
  const kdf = program.fresh_kdf();
  return { kdf, key: program.stretch(passphrase, kdf) };
}

/** A page's vault. Arguments and results are those of `public/src/vault/types.ts`. */
export class Vault {
  device = new program.Device();

  call(name, args, ...rest) {
    const answer = this.device[name](typeof args === "string" ? args : JSON.stringify(args), ...rest);
    return typeof answer === "string" && /^[{[]/.test(answer) ? JSON.parse(answer) : answer;
  }

  register({ origin = "https://passport.example", username = "alice", password }) {
    const { kdf, key } = stretchedAnew(password);
    return this.call("register", { origin, username, kdf: JSON.parse(kdf) }, key, nowS());
  }

  /** A vault with an owner key and nothing else. */
  static unlocked(password = "a password for tests only") {
    const vault = new Vault();
    return Object.assign(vault, { account: vault.register({ password }) });
  }
}

export const nowS = () => Math.floor(Date.now() / 1000);
