import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiProblem, Cancelled, NoAnswer } from "../api/problem";
import { VaultError, type Custody, type CeremonyPackage, type CeremonyStand, type CeremonyView } from "../vault/types";
import { ROUNDS } from "./ceremony";
import { Keygen, NoKeyMade, roundInWords } from "./keygen";

/** A view as these two read it: how often all have spoken, and by which position that was said. */
type View = CeremonyView & { round: number; next: number };
const problem = (code: string, status = 409) => new ApiProblem(status, code, code);
const HOLDERS = { holders: [] };
const MADE = { npub: "npub1x", group: "aa", statement: { id: "s" }, ceremony: "c1" };

/** Takes each round's package once, and the same one again. Two holders speak at once, unless they are away. */
class Server {
  rounds = 0;
  started = 0;
  said: string[] = [];
  asked: [string, number][] = [];
  /** How many looks pass before the holders speak. */
  away = 0;
  /** Thrown instead of answers, after the request was worked on. */
  lost: Error[] = [];
  holders = async () => HOLDERS;

  start = async () => {
    this.started += 1;
    [this.rounds, this.said] = [1, []];
    return this.answer();
  };

  say = async (id: string, { round, body }: CeremonyPackage, after: number) => {
    this.asked.push([`say ${id} ${round}`, after]);
    if (round > this.rounds) throw problem("round_over");
    if (this.said.length < round) {
      this.said.push(body);
      if (this.away === 0) this.rounds += 1;
    } else if (this.said[round - 1] !== body) throw problem("package_altered");
    return this.answer();
  };

  join = async () => this.answer();

  cancel = async (id: string) => void this.asked.push([`cancel ${id}`, 0]);

  look = async (id: string, after: number) => {
    this.asked.push([`look ${id}`, after]);
    if (this.away > 0 && --this.away === 0) this.rounds += 1;
    return this.answer();
  };

  private answer(): View {
    const lost = this.lost.shift();
    if (lost) throw lost;
    return { operation_id: `c${this.started}`, due_at: 0, participants: [], round: this.rounds, next: this.said.length + 2 * (this.rounds - 1) };
  }
}

/** Speaks once in each round. What it says is drawn anew by each keygen. */
class Device {
  draws = 0;
  taken: View[] = [];
  refusal: Error | null = null;
  beginKeygen = vi.fn(async (_: { custody: Custody }) => {
    this.draws += 1;
    return { kind: "keygen" as const, group: "aa", threshold: 2, round_seconds: 60, participants: [] };
  });
  finishKeygen = vi.fn(async () => MADE as never);

  takeCeremony = async ({ view }: { view: CeremonyView }): Promise<CeremonyStand> => {
    if (this.refusal) throw this.refusal;
    const { round, next } = view as View;
    const due = round <= ROUNDS && next === 3 * (round - 1);
    this.taken.push(view as View);
    const said = { ceremony: view.operation_id, party: 3, round, body: `${this.draws}:${round}`, signature: "" };
    return { packages: due ? [said] : [], next, round, keeps: false, verified: round > ROUNDS };
  };
}

let server: Server, device: Device, keygen: Keygen, rounds: number[], left: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  [server, device, rounds, left] = [new Server(), new Device(), [], new AbortController()];
  keygen = new Keygen(server, device);
});
afterEach(() => void vi.useRealTimers());

/** Runs it, with all waits in no time. Gives the key or what was thrown. */
async function run(custody: Custody = "hosted") {
  const made = keygen.run(custody, (round) => rounds.push(round), left.signal).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return made;
}

describe("a keygen", () => {
  test("says in each round what is due, and asks for what it has not heard", async () => {
    expect(await run()).toEqual(MADE);
    expect(server.asked).toEqual([1, 2, 3, 4, 5].map((round) => [`say c1 ${round}`, (round - 1) * 3]));
    expect(rounds).toEqual([1, 2, 3, 4, 5]);
  });

  test("looks again while a holder is awaited, and goes on when it has spoken", async () => {
    server.away = 3;
    expect(await run()).toEqual(MADE);
    expect(server.asked.filter(([what]) => what === "look c1")).toHaveLength(3);
    expect(server.said).toHaveLength(ROUNDS);
  });

  test("says the same again after an answer was lost", async () => {
    const start = server.start;
    server.start = async () => {
      const view = await start();
      server.lost = [new NoAnswer(), problem("unavailable", 503)];
      return view;
    };
    expect(await run()).toEqual(MADE);
    expect(server.asked.slice(0, 4)).toEqual([["say c1 1", 0], ["say c1 1", 0], ["say c1 1", 0], ["say c1 2", 3]]);
    expect(server.said).toHaveLength(ROUNDS);
  });

  test("is another one when it is not known whether it was begun", async () => {
    server.lost = [new NoAnswer(), new NoAnswer()];
    expect(await run()).toEqual(MADE);
    expect(device.draws).toBe(3);
    expect(server.said.every((body) => body.startsWith("3:"))).toBe(true);
  });

  test("looks what was said when its round is over without it", async () => {
    const say = server.say;
    server.say = async (...args) => {
      server.say = say;
      await say(...args);
      throw problem("round_over");
    };
    expect(await run()).toEqual(MADE);
    expect(server.asked.slice(0, 3)).toEqual([["say c1 1", 0], ["look c1", 0], ["say c1 2", 3]]);
  });
});

describe("one that is interrupted", () => {
  test("by a connection that stays away goes on where it stopped", async () => {
    const say = server.say;
    server.say = async (...args) => (args[1].round === 3 ? Promise.reject(new NoAnswer()) : say(...args));
    expect(await run()).toBeInstanceOf(NoAnswer);
    server.say = say;
    expect(await run()).toEqual(MADE);
    expect(server.started).toBe(1);
    expect(device.draws).toBe(1);
  });

  test("by holders that never speak is given up in the end", async () => {
    server.away = 10_000;
    expect(await run()).toBeInstanceOf(NoAnswer);
    expect(server.asked.length).toBeLessThan(60);
  });

  test.each([
    ["the vault's words", new VaultError("ceremony_failed", "No key was made: the server's cosigner did not answer in time.")],
    ["a locked vault", new VaultError("locked", "Locked.")],
  ])("by %s begins anew the next time", async (_, refusal) => {
    device.refusal = refusal;
    expect(await run()).toBe(refusal);
    device.refusal = null;
    expect(await run()).toEqual(MADE);
    expect(server.started).toBe(2);
    expect(device.draws).toBe(2);
    expect(server.said.every((body) => body.startsWith("2:"))).toBe(true);
  });

  test("by a server that has forgotten it says so, and begins anew the next time", async () => {
    const say = server.say;
    server.say = async () => Promise.reject(problem("not_found", 404));
    const failed = await run();
    expect(failed).toBeInstanceOf(NoKeyMade);
    expect((failed as Error).message).toMatch(/Begin again/);
    server.say = say;
    expect(await run()).toEqual(MADE);
    expect(server.started).toBe(2);
  });

  test("begins anew when the person has chosen another custody since", async () => {
    const say = server.say;
    server.say = async (...args) => (args[1].round === 3 ? Promise.reject(new NoAnswer()) : say(...args));
    expect(await run()).toBeInstanceOf(NoAnswer);
    server.say = say;
    expect(await run("device")).toEqual(MADE);
    expect(server.started).toBe(2);
    expect(device.beginKeygen.mock.calls.map(([{ custody }]) => custody)).toEqual(["hosted", "device"]);
  });

  test("by leaving the page says nothing more to the vault", async () => {
    const say = server.say;
    server.say = async (...args) => {
      if (args[1].round === 2) left.abort(new Cancelled());
      return say(...args);
    };
    expect(await run()).toBeInstanceOf(Cancelled);
    expect(device.taken).toHaveLength(2);
    expect(device.finishKeygen).not.toHaveBeenCalled();
  });

  test("by leaving the page is ended for the holders, also when it was just beginning", async () => {
    const say = server.say;
    server.say = async () => Promise.reject(new NoAnswer());
    expect(await run()).toBeInstanceOf(NoAnswer);
    await keygen.leave();
    await keygen.leave();
    const cancelled = () => server.asked.filter(([what]) => what.startsWith("cancel"));
    expect(cancelled()).toEqual([["cancel c1", 0]]);
    server.say = say;
    const start = server.start;
    server.start = async () => {
      left.abort(new Cancelled());
      return start();
    };
    expect(await run()).toBeInstanceOf(Cancelled);
    expect(cancelled().at(-1)).toEqual(["cancel c2", 0]);
  });

  test("not at all is not ended when it is left", async () => {
    expect(await run()).toEqual(MADE);
    await keygen.leave();
    expect(server.asked.filter(([what]) => what.startsWith("cancel"))).toEqual([]);
  });
});

test("the rounds are told in words, also when a holder was interrupted", () => {
  expect(roundInWords("hosted", 2)).toBe("Making the key with the two holders: step 2 of 5");
  expect(roundInWords("device", 2)).toBe("Making the key with the server’s holder: step 2 of 5");
  expect(roundInWords("hosted", 6)).toMatch(/once more/);
});
