import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiProblem, Cancelled, NoAnswer } from "../api/problem";
import {
  VaultError,
  type CeremonyPackage,
  type CeremonyStand,
  type CeremonyView,
  type GroupPublic,
  type Statement,
} from "../vault/types";
import { needsExport, NotRenewed, Renewal, renewalInWords, type Wanted } from "./renewal";

type View = CeremonyView & { round: number };
const problem = (code: string, status = 409) => new ApiProblem(status, code, code);
const publicOf = (epoch: number): GroupPublic => ({ group: "aa", epoch, threshold: 2, pubkey: "p", holders: [] });
/** The round in which everybody accepts. */
const LAST = 5;
const WANTED: Wanted = { public: publicOf(0), custody: "device", shares: "old", kit: { kit: "k", passphrase: "p" } };

/** What was done, in order. */
let steps: string[];

/** Its holders speak once the owner's word is there; the first rounds are theirs alone. */
class Server {
  rounds = 0;
  isAsked = false;
  epoch = 0;
  canExportNow = true;
  holders = async () => ({ holders: [] });
  canExport = async () => this.canExportNow;
  present = async () => publicOf(this.epoch);

  start = async (): Promise<View> => {
    steps.push("start");
    this.rounds = 1;
    return this.answer();
  };

  reshare = async (group: string) => {
    steps.push(`word ${group}`);
    this.isAsked = true;
  };

  look = async (): Promise<View> => {
    if (this.isAsked && this.rounds < 3) this.rounds = 3;
    return this.answer();
  };

  say = async (_id: string, { round }: CeremonyPackage): Promise<View> => {
    steps.push(`say ${round}`);
    if (round === this.rounds) this.rounds += 1;
    if (this.rounds > LAST) this.epoch = 1;
    return this.answer();
  };

  private answer(): View {
    return { operation_id: "c1", round: this.rounds };
  }
}

/** Gets a share, and deals none: speaks from the third round on, and accepts what was kept. */
class Device {
  isKept = false;
  needsExport = false;
  refusal: Error | null = null;
  beginRenewal = vi.fn(async () => ({
    request: { kind: "reshare" as const, group: "aa", threshold: 2, round_seconds: 1800, participants: [] },
    needs_export: this.needsExport,
  }));
  reshare = async ({ seq }: { seq: number }) => ({ id: `s${seq}` }) as Statement;
  newShares = async () => ({ npub: "npub1x", public: publicOf(1), shares: "new" });
  kept = async () => {
    steps.push("kept");
    this.isKept = true;
  };
  endCeremony = vi.fn(async () => undefined);

  takeCeremony = async ({ view }: { view: CeremonyView }): Promise<CeremonyStand> => {
    if (this.refusal) throw this.refusal;
    const { round } = view as View;
    const keeps = round === LAST && !this.isKept;
    const said = { ceremony: "c1", party: 3, round, body: "", signature: "" };
    const packages = round >= 3 && round <= LAST && !keeps ? [said] : [];
    return { packages, next: round, round, keeps, verified: round > LAST };
  };
}

const store = {
  keepNext: async (group: string, next: string) => void steps.push(`keep ${group} ${next}`),
  fitting: async ({ group, epoch }: GroupPublic) => {
    steps.push(`enter ${group} ${epoch}`);
    return null;
  },
};

let server: Server, device: Device, renewal: Renewal, rounds: number[], left: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  [steps, server, device, rounds, left] = [[], new Server(), new Device(), [], new AbortController()];
  renewal = new Renewal(server, device, store, async (_group, make, send) => send(await make(7)));
});
afterEach(() => void vi.useRealTimers());

async function done<T>(work: Promise<T>): Promise<T | unknown> {
  const result = work.catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return result;
}
const begin = () => done(renewal.begin(WANTED, (round) => rounds.push(round), () => undefined, left.signal));
const accept = () => done(renewal.accept(left.signal));

describe("new shares", () => {
  test("are dealt under the owner's word, kept, and only then accepted", async () => {
    expect(await begin()).toMatchObject({ shares: "new", public: { epoch: 1 } });
    expect(steps).toEqual(["start", "word aa", "say 3", "say 4", "keep aa new"]);
    expect(rounds).toEqual([1, 3, 4]);
    expect(server.epoch).toBe(0);
    steps = [];
    expect(await accept()).toBeUndefined();
    expect(steps).toEqual(["kept", "say 5", "enter aa 1"]);
    expect(device.endCeremony).toHaveBeenCalledOnce();
    expect(renewal.isBegun).toBe(false);
  });

  test("are not begun at the server while a wait for them is not over", async () => {
    [device.needsExport, server.canExportNow] = [true, false];
    expect(await begin()).toBeInstanceOf(NotRenewed);
    expect(steps).toEqual([]);
    server.canExportNow = true;
    expect(await begin()).toMatchObject({ shares: "new" });
  });

  test("go on where they stopped after a broken connection, with one word of the owner's", async () => {
    const say = server.say;
    server.say = async () => Promise.reject(new NoAnswer());
    expect(await begin()).toBeInstanceOf(NoAnswer);
    server.say = say;
    expect(await begin()).toMatchObject({ shares: "new" });
    expect(steps.filter((it) => /start|word/.test(it))).toEqual(["start", "word aa"]);
    expect(device.beginRenewal).toHaveBeenCalledOnce();
  });

  test("are begun anew after the vault gave them up", async () => {
    device.refusal = new VaultError("ceremony_failed", "The shares are what they were.");
    expect(await begin()).toBe(device.refusal);
    expect(renewal.isBegun).toBe(false);
    device.refusal = null;
    expect(await begin()).toMatchObject({ shares: "new" });
    expect(device.beginRenewal).toHaveBeenCalledTimes(2);
  });

  test("are in force when the last word arrived and only its answer was lost", async () => {
    await begin();
    const say = server.say;
    server.say = async (...args) => {
      await say(...args);
      throw new NoAnswer();
    };
    expect(await accept()).toBeInstanceOf(NoAnswer);
    expect([server.epoch, renewal.isBegun]).toEqual([1, true]);
    server.say = async () => Promise.reject(problem("not_found", 404));
    expect(await accept()).toBeUndefined();
    expect(steps.at(-1)).toBe("enter aa 1");
  });

  test("that the server has given up leave the old ones, and say so", async () => {
    await begin();
    server.look = async () => Promise.reject(problem("not_found", 404));
    const failed = await accept();
    expect(failed).toBeInstanceOf(NotRenewed);
    expect((failed as Error).message).toMatch(/what they were/);
    expect(steps).not.toContain("enter aa 1");
    expect(await accept(), "and can't be accepted any more").toBeInstanceOf(NotRenewed);
  });

  test("of a page that was left say nothing more to the vault", async () => {
    await begin();
    left.abort(new Cancelled());
    expect(await accept()).toBeInstanceOf(Cancelled);
    expect(server.epoch).toBe(0);
  });
});

test("a wait is needed where the person's devices get the whole key without having shown it", () => {
  const shown = [true, false].flatMap((share) => [true, false].map((kit) => ({ share, kit })));
  expect(shown.map((it) => needsExport("device", it))).toEqual([false, true, true, true]);
  expect(shown.map((it) => needsExport("hosted", it))).toEqual([false, false, false, false]);
});

test("the rounds are told in words, also when a holder was interrupted", () => {
  expect(renewalInWords(2)).toBe("Dealing new shares: step 2 of 5");
  expect(renewalInWords(6)).toMatch(/once more/);
});
