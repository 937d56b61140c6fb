/**
 * The vault's worker: holds the device program, whose memory has the owner key and the shares, and hands it each call.
 * Passwords and passphrases go from the call to a worker of their own and nowhere else.
 */
import {
  Device,
  fresh_kdf,
  initSync,
  kit_kdf,
  password_problem,
  secret_kind,
} from "../generated/device/passport_device.js";
import wasmUrl from "../generated/device/passport_device_bg.wasm?url";
import type { Answer, Call } from "./messages";
import type { Stretched, Stretching } from "./stretching";
import type { Kdf, Vault } from "./types";

/** What is used of the worker's global scope. */
type Scope = { onmessage: ((event: MessageEvent<Call>) => void) | null; postMessage(answer: Answer): void };
const scope = globalThis as unknown as Scope;

type Report = (estimateMs: number) => void;
type Failed = { code: string; message: string };

/** What the worker is asked: everything but locking, which ends it. */
type Method = Exclude<keyof Vault, "lock">;
/** The arguments of a call as they arrive: one object, with bytes as hex. */
type Args<M extends Method> = M extends "checkPassword"
  ? { password: string; username?: string }
  : M extends "sealForPasskey"
    ? { prf: string }
    : M extends "unlockWithPasskey"
      ? { prf: string; owner_pubkey: string; owner_blob: string }
      : Parameters<Vault[M]>[0];
/** `json` is all of the arguments, for those that go to the device program as they are. */
type Handler<M extends Method> = (
  device: Device,
  args: Args<M>,
  json: string,
  report: Report,
) => Awaited<ReturnType<Vault[M]>> | ReturnType<Vault[M]>;

const NO_MEMORY: Failed = {
  code: "too_costly",
  message:
    "This device did not have enough memory for it. Close other tabs and programs and try again, or use another device.",
};
const BROKEN: Failed = {
  code: "vault_failed",
  message: "Something went wrong where this page keeps your keys, and it was locked. Unlock it and try again.",
};
const MISSING: Failed = {
  code: "vault_unavailable",
  message: "A part of this page could not be loaded. Check your connection and reload the page.",
};

/** An answer that is no result. */
class Refused extends Error {
  constructor(readonly failed: Failed) {
    super(failed.message);
  }
}

let loaded: Promise<{ module: WebAssembly.Module; device: Device }> | null = null;

function load(): Promise<{ module: WebAssembly.Module; device: Device }> {
  loaded ??= (async () => {
    const response = await fetch(wasmUrl);
    if (!response.ok) throw new Refused(MISSING);
    const module = await WebAssembly.compile(await response.arrayBuffer());
    initSync({ module });
    return { module, device: new Device() };
  })();
  loaded.catch(() => {
    loaded = null;
  });
  return loaded;
}

const nowS = (): number => Math.floor(Date.now() / 1000);

/** Runs scrypt elsewhere, and hands on what came out for as long as it is needed. */
async function stretched<T>(
  of: Stretching["of"],
  log_n: number,
  report: Report,
  use: (key: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const key = await scrypt(of, log_n, report);
  try {
    return await use(key);
  } finally {
    key.fill(0);
  }
}

async function scrypt(of: Stretching["of"], log_n: number, report: Report): Promise<Uint8Array> {
  const { module } = await load();
  const worker = new Worker(new URL("./stretch.worker.ts", import.meta.url), { type: "module", name: "stretch" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Stretched>) => {
        if ("estimate_ms" in data) report(data.estimate_ms);
        else if ("stretched" in data) resolve(data.stretched);
        else if ("thrown" in data) reject(data.thrown);
        else reject(new Refused(NO_MEMORY));
      };
      worker.onerror = () => reject(new Refused(MISSING));
      const work: Stretching = { module, of, log_n };
      worker.postMessage(work);
    });
  } finally {
    worker.terminate();
  }
}

/** Two runs in one call: the first is half of it, as far as anybody can tell. */
const halves = (report: Report): [Report, Report] => {
  let first = 0;
  return [
    (ms) => {
      first = ms;
      report(2 * ms);
    },
    (ms) => {
      if (!first) report(ms);
    },
  ];
};

function withKey<T>(
  passphrase: string,
  kdf: string,
  report: Report,
  use: (key: Uint8Array) => T | Promise<T>,
): Promise<T> {
  return stretched({ passphrase, kdf }, (JSON.parse(kdf) as Kdf).log_n, report, use);
}

/** Refuses a password that is being chosen. */
function strong(password: string, username?: string): void {
  const problem = password_problem(password, username);
  if (problem) throw new Refused({ code: "weak_password", message: problem });
}

const parsed = <T>(json: string): T => JSON.parse(json) as T;
const signed =
  <T>(sign: (device: Device, json: string, now: number) => string) =>
  (device: Device, _args: unknown, json: string): T =>
    parsed(sign(device, json, nowS()));

const HANDLERS: { [M in Method]: Handler<M> } = {
  checkPassword: (_device, { password, username }) => {
    const reason = password_problem(password, username);
    return reason ? { ok: false, reason } : { ok: true };
  },
  register: (device, { origin, username, password }, _json, report) => {
    strong(password, username);
    const kdf = fresh_kdf();
    const args = JSON.stringify({ origin, username, kdf: parsed(kdf) });
    return withKey(password, kdf, report, (key) => parsed(device.register(args, key, nowS())));
  },
  loginSecret: (device, { password, kdf }, _json, report) => {
    const text = JSON.stringify(kdf);
    return withKey(password, text, report, (key) => device.login_secret(text, key));
  },
  unlock: (device, _args, json) => device.unlock(json),
  isUnlocked: (device) => device.unlocked() ?? null,
  changePassword: (device, { password }, _json, report) => {
    device.require_unlocked();
    strong(password);
    const kdf = fresh_kdf();
    return withKey(password, kdf, report, (key) => parsed(device.change_password(kdf, key)));
  },
  recover: (device, { origin, kit, passphrase, challenge, password }, _json, report) => {
    strong(password);
    const [first, second] = halves(report);
    return withKey(passphrase, kit_kdf(kit), first, (kitKey) => {
      // A wrong passphrase is told before the second half begins.
      device.open_kit(kit, kitKey);
      const kdf = fresh_kdf();
      const args = JSON.stringify({ origin, challenge, kit, kdf: parsed(kdf) });
      return withKey(password, kdf, second, (key) => parsed(device.recover(args, kitKey, key, nowS())));
    });
  },
  openKit: (device, { kit, passphrase }, _json, report) =>
    withKey(passphrase, kit_kdf(kit), report, (key) => parsed(device.open_kit(kit, key))),
  sealForPasskey: (device, { prf }) => device.seal_for_passkey(prf),
  unlockWithPasskey: (device, { prf, owner_pubkey, owner_blob }) =>
    device.unlock_with_passkey(JSON.stringify({ owner_pubkey, owner_blob }), prf),
  readSecret: (device, { text, password }, _json, report) => {
    const { log_n } = parsed<{ log_n?: number }>(secret_kind(text));
    // An encrypted key without a password is refused there.
    if (log_n === undefined || !password) return parsed(device.draft(text));
    return stretched({ password, key: text }, log_n, report, (key) => parsed(device.draft_encrypted(text, key)));
  },
  prepareIdentity: signed((device, json, now) => device.prepare_identity(json, now)),
  beginKeygen: (device, _args, json) => parsed(device.begin_keygen(json)),
  takeCeremony: (device, _args, json) => parsed(device.take_ceremony(json)),
  finishKeygen: (device) => parsed(device.finish_keygen(nowS())),
  beginRenewal: (device, { kit: given, ...rest }, _json, report) => {
    if (!given) return parsed(device.begin_renewal(JSON.stringify({ ...rest, kit: null })));
    device.require_unlocked();
    const { kit, passphrase } = given;
    const args = JSON.stringify({ ...rest, kit });
    return withKey(passphrase, kit_kdf(kit), report, (key) => parsed(device.begin_renewal(args, key)));
  },
  joinRenewal: (device, _args, json) => parsed(device.join_renewal(json)),
  reshare: signed((device, json, now) => device.reshare(json, now)),
  newShares: (device) => parsed(device.new_shares()),
  kept: (device) => device.kept(),
  endCeremony: (device) => device.end_ceremony(),
  makeKit: (device, { passphrase }, _json, report) => {
    device.require_unlocked();
    strong(passphrase);
    const kdf = fresh_kdf();
    return withKey(passphrase, kdf, report, (key) => parsed(device.make_kit(kdf, key)));
  },
  checkKit: (device, { passphrase, ...given }, _json, report) => {
    device.require_unlocked();
    const args = JSON.stringify(given);
    return withKey(passphrase, kit_kdf(given.kit), report, (key) => device.check_kit(args, key));
  },
  renewKit: (device, { passphrase, newPassphrase, ...given }, _json, report) => {
    device.require_unlocked();
    strong(newPassphrase);
    const [first, second] = halves(report);
    const args = JSON.stringify(given);
    return withKey(passphrase, kit_kdf(given.kit), first, (key) => {
      device.check_kit(args, key);
      const kdf = fresh_kdf();
      return withKey(newPassphrase, kdf, second, (anew) => parsed(device.renew_kit(args, key, kdf, anew)));
    });
  },
  grant: signed((device, json, now) => device.grant(json, now)),
  edit: signed((device, json, now) => device.edit(json, now)),
  pause: signed((device, json, now) => device.pause(json, now)),
  resume: signed((device, json, now) => device.resume(json, now)),
  revoke: signed((device, json, now) => device.revoke(json, now)),
  approve: signed((device, json, now) => device.approve(json, now)),
  deny: signed((device, json, now) => device.deny(json, now)),
  deleteGroup: signed((device, json, now) => device.delete_group(json, now)),
  exportBegin: signed((device, json, now) => device.export_begin(json, now)),
  exportCancel: signed((device, json, now) => device.export_cancel(json, now)),
  exportFinish: (device, _args, json) => parsed(device.export_finish(json)),
  contribute: (device, _args, json) => parsed(device.contribute(json, Date.now())),
  leaveWithKit: (device, { shares, kit, passphrase }, _json, report) => {
    device.require_unlocked();
    const args = JSON.stringify({ shares, kit });
    return withKey(passphrase, kit_kdf(kit), report, (key) => parsed(device.leave_with_kit(args, key)));
  },
  exportFinishWithKit: (device, { passphrase, ...given }, _json, report) => {
    device.require_unlocked();
    return withKey(passphrase, kit_kdf(given.kit), report, (key) =>
      parsed(device.export_finish_with_kit(JSON.stringify(given), key)),
    );
  },
  verifyChain: (device, _args, json) => parsed(device.verify_chain(json)),
};

async function answered({ id, method, args }: Call): Promise<Answer> {
  try {
    const { device } = await load();
    const handler = HANDLERS[method as Method] as Handler<"isUnlocked">;
    const report: Report = (estimate_ms) => scope.postMessage({ id, estimate_ms });
    const value = await handler(device, parsed(args), args, report);
    return { id, value };
  } catch (thrown) {
    // The device program throws text; whatever else comes is a fault in it or in this file.
    if (typeof thrown === "string") return { id, error: JSON.parse(thrown) as Failed };
    if (thrown instanceof Refused) return { id, error: thrown.failed };
    return { id, broken: thrown instanceof TypeError && !loaded ? MISSING : BROKEN };
  }
}

scope.onmessage = async ({ data }) => scope.postMessage(await answered(data));
