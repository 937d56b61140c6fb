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
import { devicesIn, needsExport, NotRenewed, Renewal, renewalInWords, type JoinWanted, type Wanted } from "./renewal";

type View = CeremonyView & { round: number };
const problem = (code: string, status = 409) => new ApiProblem(status, code, code);
const publicOf = (epoch: number): GroupPublic => ({ group: "aa", epoch, threshold: 2, pubkey: "p", holders: [] });
/** The round in which everybody accepts. */
const LAST = 5;
const WANTED: Wanted = {
  public: publicOf(0),
  custody: "device",
  others: { leave: false, add: false },
  shares: "old",
  kit: { kit: "k", passphrase: "p" },
};

/** What was done, in order. */
let steps: string[];

/** Its holders speak once the owner's word is there; the first rounds are theirs alone. */
class Server {
  rounds = 0;
  /** How many looks pass before another device has joined. */
  missing = 0;
  isAsked = false;
  epoch = 0;
  canExportNow = true;
  holders = async () => ({ holders: [] });
  canExport = async () => this.canExportNow;
  present = async () => publicOf(this.epoch);

  start = async (): Promise<View> => {
    steps.push("start");
    this.rounds = this.missing > 0 ? 0 : 1;
    return this.answer();
  };

  join = async (id: string): Promise<View> => {
    steps.push(`join ${id}`);
    [this.rounds, this.isAsked] = [1, true];
    return this.answer();
  };

  cancel = async (id: string) => void steps.push(`cancel ${id}`);

  reshare = async (group: string) => {
    steps.push(`word ${group}`);
    this.isAsked = true;
  };

  look = async (): Promise<View> => {
    if (this.missing > 0 && --this.missing === 0) this.rounds = 1;
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
    return { operation_id: "c1", due_at: 0, participants: [], round: this.rounds };
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
    waits_for: server.missing > 0 ? 1 : 0,
  }));
  joinRenewal = vi.fn(async () => ({ keys: [{ number: 4, receiving_key: "r" }] }));
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

  test("wait for other devices, and are asked for only when those have joined", async () => {
    server.missing = 60;
    expect(await begin()).toMatchObject({ shares: "new" });
    expect(rounds.filter((round) => round === 0)).toHaveLength(60);
    expect(steps).toEqual(["start", "word aa", "say 3", "say 4", "keep aa new"]);
  });

  test("are cancelled while they wait, without a word of the owner's", async () => {
    server.missing = 60;
    const begun = renewal.begin(WANTED, () => undefined, () => undefined, left.signal).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000);
    left.abort(new Cancelled());
    await renewal.leave();
    expect(await begun).toBeInstanceOf(Cancelled);
    expect(steps).toEqual(["start", "cancel c1"]);
    expect([renewal.isBegun, device.endCeremony.mock.calls.length]).toEqual([false, 1]);
  });

  test("are ended for everybody when the page is left, unless this device has accepted", async () => {
    await begin();
    await renewal.leave();
    expect(steps.at(-1)).toBe("cancel c1");
    await begin();
    server.say = async () => Promise.reject(new NoAnswer());
    expect(await accept()).toBeInstanceOf(NoAnswer);
    steps = [];
    await renewal.leave();
    expect(steps).toEqual([]);
  });
});

describe("new shares that another device has begun", () => {
  const OFFER: JoinWanted = { public: publicOf(0), shares: null, view: { operation_id: "c1", due_at: 0, participants: [] } };
  const join = () => done(renewal.join(OFFER, (round) => rounds.push(round), left.signal));

  test("are come to, kept and accepted, without a word of the owner's from here", async () => {
    expect(await join()).toMatchObject({ shares: "new" });
    expect(await accept()).toBeUndefined();
    expect(steps).toEqual(["join c1", "say 3", "say 4", "keep aa new", "kept", "say 5", "enter aa 1"]);
    expect(device.beginRenewal).not.toHaveBeenCalled();
  });

  test("are joined once, also when the connection breaks afterwards", async () => {
    const say = server.say;
    server.say = async () => Promise.reject(new NoAnswer());
    expect(await join()).toBeInstanceOf(NoAnswer);
    server.say = say;
    expect(await join()).toMatchObject({ shares: "new" });
    expect(device.joinRenewal).toHaveBeenCalledOnce();
  });

  test("are not joined for a page that was left", async () => {
    left.abort(new Cancelled());
    expect(await join()).toBeInstanceOf(Cancelled);
    expect(steps).toEqual([]);
  });

  test("wait long for the device that has the kit", async () => {
    await join();
    const say = server.say;
    let looks = 0;
    server.say = async () => server.look();
    const look = server.look;
    server.look = async () => ((looks += 1) < 400 ? look() : say("c1", { round: LAST } as CeremonyPackage));
    expect(await accept()).toBeUndefined();
    expect(server.epoch).toBe(1);
  });
});

test("devices are told apart by what they have, and whether they have come", () => {
  const holders = [2, 5].map((index) => ({ index, role: "device", verifying_share: "" }));
  const device = (number: number, receives: number, joined: boolean) => ({ number, role: "device", joined, receives });
  const participants = [
    { number: 1, role: "bunker", joined: true, receives: 1 },
    device(4, 6, false),
    device(2, 2, true),
    device(3, 5, false),
    { number: 5, role: "device", joined: true, receives: null },
  ];
  const told = (own: number | null) =>
    devicesIn({ operation_id: "c1", due_at: 0, participants }, { ...publicOf(0), holders }, own);
  expect(told(2)).toEqual([
    { number: 4, name: "The device that joins", joined: false },
    { number: 2, name: "This browser", joined: true },
    { number: 3, name: "Your other device", joined: false },
  ]);
  expect(told(null).map(({ name }) => name).slice(1)).toEqual([
    "Your other device with share 2",
    "Your other device with share 5",
  ]);
});

test("a wait is needed where the person's devices get the whole key without having shown it", () => {
  const shown = [true, false].flatMap((share) => [true, false].map((kit) => ({ share, kit })));
  expect(shown.map((it) => needsExport("device", it))).toEqual([false, true, true, true]);
  expect(shown.map((it) => needsExport("hosted", it))).toEqual([false, false, false, false]);
});

test("the rounds are told in words, also when a holder was interrupted", () => {
  expect(renewalInWords(0)).toMatch(/^Waiting for the other device/);
  expect(renewalInWords(2)).toBe("Dealing new shares: step 2 of 5");
  expect(renewalInWords(6)).toMatch(/once more/);
});
