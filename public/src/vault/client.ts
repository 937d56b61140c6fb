/** The page's side: calls go to the worker one by one, answers come back by number. */
import type { Answer, Call } from "./messages";
import { ticking } from "./progress";
import { type Progress, type Vault, VaultError } from "./types";

/** What the client needs of a `Worker`. */
export type WorkerLike = Pick<Worker, "postMessage" | "terminate" | "onmessage" | "onerror" | "onmessageerror">;

type Waiting = {
  resolve: (value: never) => void;
  reject: (reason: VaultError) => void;
  progress: Progress | undefined;
  stop: ((done: boolean) => void) | undefined;
};

const UNAVAILABLE = new VaultError(
  "vault_unavailable",
  "The part of this page that keeps your keys did not start. Reload the page; if that does not help, use a newer browser.",
);

/** A vault whose worker is started when it is first needed, and again after it broke down. */
export function createVault(start: () => WorkerLike): Vault {
  let worker: WorkerLike | null = null;
  let last = 0;
  const waiting = new Map<number, Waiting>();

  function settle(id: number, end: (call: Waiting) => void, done: boolean): void {
    const call = waiting.get(id);
    if (!call) return;
    waiting.delete(id);
    call.stop?.(done);
    end(call);
  }

  /** Ends the worker, and with it everything that the vault held. */
  function end(reason: VaultError): void {
    worker?.terminate();
    worker = null;
    for (const id of [...waiting.keys()]) settle(id, (call) => call.reject(reason), false);
  }

  function hear(answer: Answer): void {
    const { id } = answer;
    if ("estimate_ms" in answer) {
      const call = waiting.get(id);
      if (call?.progress) {
        call.stop?.(false);
        call.stop = ticking(call.progress, answer.estimate_ms);
      }
    } else if ("value" in answer) {
      settle(id, (call) => call.resolve(answer.value as never), true);
    } else if ("error" in answer) {
      const error = new VaultError(answer.error.code, answer.error.message);
      settle(id, (call) => call.reject(error), false);
    } else {
      end(new VaultError(answer.broken.code, answer.broken.message));
    }
  }

  function running(): WorkerLike {
    if (worker) return worker;
    const started = start();
    started.onmessage = (event) => {
      if (worker === started) hear(event.data as Answer);
    };
    const fail = (): void => {
      if (worker === started) end(UNAVAILABLE);
    };
    started.onerror = fail;
    started.onmessageerror = fail;
    worker = started;
    return started;
  }

  function call<T>(method: keyof Vault, args: unknown, progress?: Progress): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject, progress, stop: undefined });
      const message: Call = { id, method, args: JSON.stringify(args) };
      try {
        running().postMessage(message);
      } catch {
        end(UNAVAILABLE);
      }
    });
  }

  return {
    checkPassword: (password, username) => call("checkPassword", { password, username }),
    register: (args, progress) => call("register", args, progress),
    loginSecret: (args, progress) => call("loginSecret", args, progress),
    unlock: (args) => call("unlock", args),
    isUnlocked: async () => (worker ? call("isUnlocked", {}) : null),
    // The worker's memory goes with it.
    lock: async () => end(new VaultError("locked", "The vault was locked meanwhile. Unlock it and try again.")),
    changePassword: (args, progress) => call("changePassword", args, progress),
    recover: (args, progress) => call("recover", args, progress),
    openKit: (args, progress) => call("openKit", args, progress),
    sealForPasskey: (prf) => call("sealForPasskey", { prf: hex(prf) }),
    unlockWithPasskey: (args) => call("unlockWithPasskey", { ...args, prf: hex(args.prf) }),
    readSecret: (args, progress) => call("readSecret", args, progress),
    prepareIdentity: (args) => call("prepareIdentity", args),
    beginKeygen: (args) => call("beginKeygen", args),
    takeCeremony: (args) => call("takeCeremony", args),
    finishKeygen: () => call("finishKeygen", {}),
    beginRenewal: (args, progress) => call("beginRenewal", args, progress),
    joinRenewal: (args) => call("joinRenewal", args),
    reshare: (args) => call("reshare", args),
    newShares: () => call("newShares", {}),
    kept: () => call("kept", {}),
    endCeremony: async () => (worker ? call("endCeremony", {}) : undefined),
    makeKit: (args, progress) => call("makeKit", args, progress),
    checkKit: (args, progress) => call("checkKit", args, progress),
    renewKit: (args, progress) => call("renewKit", args, progress),
    grant: (args) => call("grant", args),
    edit: (args) => call("edit", args),
    pause: (args) => call("pause", args),
    resume: (args) => call("resume", args),
    revoke: (args) => call("revoke", args),
    approve: (args) => call("approve", args),
    deny: (args) => call("deny", args),
    deleteGroup: (args) => call("deleteGroup", args),
    exportBegin: (args) => call("exportBegin", args),
    exportCancel: (args) => call("exportCancel", args),
    exportFinish: (args) => call("exportFinish", args),
    contribute: (args) => call("contribute", args),
    leaveWithKit: (args, progress) => call("leaveWithKit", args, progress),
    exportFinishWithKit: (args, progress) => call("exportFinishWithKit", args, progress),
    verifyChain: (args) => call("verifyChain", args),
  };
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
