import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createVault, type WorkerLike } from "./client";
import type { Answer, Call } from "./messages";
import { fraction } from "./progress";
import { VaultError } from "./types";

/** A worker that does nothing by itself. */
class FakeWorker implements WorkerLike {
  calls: Call[] = [];
  ended = false;
  onmessage: WorkerLike["onmessage"] = null;
  onerror: WorkerLike["onerror"] = null;
  onmessageerror: WorkerLike["onmessageerror"] = null;

  postMessage(call: Call): void {
    // As the browser does: what can't be cloned throws.
    this.calls.push(structuredClone(call));
  }

  terminate(): void {
    this.ended = true;
  }

  say(answer: Answer): void {
    this.onmessage?.call(this as never, { data: answer } as MessageEvent);
  }
}

let started: FakeWorker[];
const worker = (at = started.length - 1): FakeWorker => started[at]!;
const vaultOf = () => {
  started = [];
  return createVault(() => {
    started.push(new FakeWorker());
    return worker();
  });
};
const refusal = (promise: Promise<unknown>) => promise.then(() => null, (error: unknown) => error as VaultError);

describe("calls", () => {
  test("go to one worker, and answers come back to whom they belong in any order", async () => {
    const vault = vaultOf();
    const secret = vault.loginSecret({ password: "p", kdf: { salt: "00", log_n: 17, r: 8, p: 1 } });
    const fresh = vault.finishKeygen();
    expect(started).toHaveLength(1);
    const [first, second] = worker().calls;
    expect([first!.method, second!.method]).toEqual(["loginSecret", "finishKeygen"]);
    worker().say({ id: second!.id, value: { npub: "npub1x" } });
    worker().say({ id: first!.id, value: "secret" });
    expect(await fresh).toEqual({ npub: "npub1x" });
    expect(await secret).toBe("secret");
  });

  test("take reactive objects, and bytes as hex", async () => {
    const vault = vaultOf();
    const reactive = new Proxy({ group: "g", seq: 1 }, {});
    void vault.deleteGroup(reactive);
    void vault.sealForPasskey(new Uint8Array([0, 255]));
    expect(worker().calls.map((call) => JSON.parse(call.args))).toEqual([{ group: "g", seq: 1 }, { prf: "00ff" }]);
  });

  test("fail with code and words of the vault", async () => {
    const vault = vaultOf();
    const failed = refusal(vault.unlock({ owner_pubkey: "a", owner_blob: "b" }));
    worker().say({ id: worker().calls[0]!.id, error: { code: "blob_does_not_open", message: "It does not open." } });
    expect(await failed).toBeInstanceOf(VaultError);
    expect(await failed).toMatchObject({ code: "blob_does_not_open", message: "It does not open." });
    expect(worker().ended).toBe(false);
  });
});

describe("a vault that broke down", () => {
  test("fails every call that waits, and starts again with the next", async () => {
    const vault = vaultOf();
    const [one, two] = [refusal(vault.finishKeygen()), refusal(vault.finishKeygen())];
    const broken = worker();
    broken.say({ id: 1, broken: { code: "vault_failed", message: "It broke." } });
    expect(await one).toMatchObject({ code: "vault_failed" });
    expect(await two).toMatchObject({ code: "vault_failed" });
    expect(broken.ended).toBe(true);
    const again = vault.finishKeygen();
    expect(started).toHaveLength(2);
    broken.say({ id: worker().calls[0]!.id, value: { npub: "a ghost" } });
    worker().say({ id: worker().calls[0]!.id, value: { npub: "npub1x" } });
    expect(await again).toEqual({ npub: "npub1x" });
  });

  test("that can't start says so", async () => {
    const vault = vaultOf();
    const failed = refusal(vault.finishKeygen());
    worker().onerror?.call(worker() as never, new Event("error") as ErrorEvent);
    expect(await failed).toMatchObject({ code: "vault_unavailable" });
  });
});

test("locking ends the worker with all that it held", async () => {
  const vault = vaultOf();
  expect(await vault.isUnlocked()).toBe(null);
  expect(started, "asking does not start one").toHaveLength(0);
  const failed = refusal(vault.finishKeygen());
  await vault.lock();
  expect(worker().ended).toBe(true);
  expect(await failed).toMatchObject({ code: "locked" });
  expect(await vault.isUnlocked()).toBe(null);
});

describe("progress", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("rises towards the end, and is there when the work is", async () => {
    const vault = vaultOf();
    const seen: number[] = [];
    const made = vault.makeKit({ passphrase: "p" }, (now) => seen.push(now));
    const { id } = worker().calls[0]!;
    worker().say({ id, estimate_ms: 1000 });
    vi.advanceTimersByTime(3000);
    worker().say({ id, value: { file: "", name: "" } });
    await made;
    expect(seen.length).toBeGreaterThan(20);
    expect(seen.every((now, at) => at === 0 || now > seen[at - 1]!)).toBe(true);
    expect(seen.at(-2)).toBeLessThan(1);
    expect(seen.at(-1)).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(seen.at(-1), "nothing ticks afterwards").toBe(1);
  });

  test("stops where it is when the work fails", async () => {
    const vault = vaultOf();
    const seen: number[] = [];
    const failed = refusal(vault.makeKit({ passphrase: "p" }, (now) => seen.push(now)));
    const { id } = worker().calls[0]!;
    worker().say({ id, estimate_ms: 1000 });
    vi.advanceTimersByTime(300);
    worker().say({ id, error: { code: "weak_password", message: "Weak." } });
    await failed;
    expect(seen.at(-1)).toBeLessThan(0.5);
  });

  test("is half done at half of the estimate, and never done before the work", () => {
    expect(fraction(500, 1000)).toBeCloseTo(0.45);
    expect(fraction(1000, 1000)).toBeCloseTo(0.9);
    expect(fraction(60_000, 1000)).toBeLessThan(1);
    expect(fraction(10, 0)).toBeLessThan(1);
  });
});
