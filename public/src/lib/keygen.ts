/**
 * Making a new key with the server's holders: the vault speaks for this device, and what it says is carried to the
 * server round by round. The key is never whole anywhere. Server and vault are arguments.
 */
import { ApiProblem, Cancelled, isCode, NoAnswer } from "../api/problem";
import type {
  CeremonyPackage,
  CeremonyStand,
  CeremonyStart,
  CeremonyView,
  Custody,
  HolderList,
  Vault,
} from "../vault/types";
import { resent } from "./resent";

/** What the server is asked. Answers have what was said after position `after`. */
export type KeygenServer = {
  holders(): Promise<HolderList>;
  start(request: CeremonyStart): Promise<CeremonyView>;
  say(ceremony: string, said: CeremonyPackage, after: number): Promise<CeremonyView>;
  look(ceremony: string, after: number): Promise<CeremonyView>;
};
export type KeygenVault = Pick<Vault, "beginKeygen" | "takeCeremony" | "finishKeygen">;
export type MadeKey = Awaited<ReturnType<Vault["finishKeygen"]>>;

/** Rounds when nobody is interrupted. */
export const ROUNDS = 5;
/** Pauses before looking again while a holder is awaited; the last is repeated. */
const PAUSES_MS = [250, 500, 1_000, 2_000];
/** Longer than a round's time on the server, which ends a ceremony itself. */
const MOST_LOOKS = 45;

/** No key was made, for a reason that the server gave; the message is for people. */
export class NoKeyMade extends Error {
  override name = "NoKeyMade";
}

/** How far it is, in words. */
export function roundInWords(custody: Custody, round: number): string {
  const others = custody === "hosted" ? "the two holders" : "the server’s holder";
  return round > ROUNDS
    ? "A holder was interrupted: checking the key with it once more"
    : `Making the key with ${others}: step ${round} of ${ROUNDS}`;
}

type Ceremony = { id: string; custody: Custody; stand: CeremonyStand };

/** One person's way to one new key. */
export class Keygen {
  #ceremony: Ceremony | null = null;

  constructor(
    readonly server: KeygenServer,
    readonly vault: KeygenVault,
  ) {}

  /**
   * Makes a key. After a broken connection it goes on where it stopped; after anything else, or for another custody, it
   * begins anew.
   */
  async run(custody: Custody, onRound: (round: number) => void, signal: AbortSignal): Promise<MadeKey> {
    try {
      if (this.#ceremony?.custody !== custody) this.#ceremony = await this.#begin(custody, signal);
      const ceremony = this.#ceremony;
      for (let looks = 0; !ceremony.stand.verified; ) {
        const { packages, round } = ceremony.stand;
        onRound(round);
        if (packages.length === 0 || looks > 0) await pause(looks);
        const view = await this.#exchange(ceremony.id, ceremony.stand);
        ceremony.stand = await this.#take(view, signal);
        looks = ceremony.stand.round > round ? 0 : looks + 1;
        if (looks > MOST_LOOKS) throw new NoAnswer("The holders do not go on.");
      }
      const made = await this.vault.finishKeygen();
      this.#ceremony = null;
      return made;
    } catch (error) {
      if (!isInterruption(error)) this.#ceremony = null;
      if (isCode(error, "not_found")) throw forgotten();
      throw error;
    }
  }

  async #begin(custody: Custody, signal: AbortSignal): Promise<Ceremony> {
    const holders = await this.server.holders();
    // One whose beginning was lost is left to its end: the holders take part in one ceremony for each group.
    const view = await resent(async () => this.server.start(await this.vault.beginKeygen({ holders, custody })));
    return { id: view.operation_id, custody, stand: await this.#take(view, signal) };
  }

  /** Says what is due, or looks what others have said. */
  async #exchange(id: string, { packages, next }: CeremonyStand): Promise<CeremonyView> {
    const look = (): Promise<CeremonyView> => resent(() => this.server.look(id, next));
    let view: CeremonyView | null = null;
    for (const said of packages) {
      try {
        view = await resent(() => this.server.say(id, said, next));
      } catch (error) {
        // It went on, or ended, without this: what was said meanwhile tells the vault why.
        if (!isCode(error, "round_over", "ceremony_over")) throw error;
        return look();
      }
    }
    return view ?? look();
  }

  /** Who has left the page must not speak in a ceremony that the vault has begun since. */
  #take(view: CeremonyView, signal: AbortSignal): Promise<CeremonyStand> {
    signal.throwIfAborted();
    return this.vault.takeCeremony({ view });
  }
}

/** Whether the ceremony can go on from where it is. */
function isInterruption(error: unknown): boolean {
  const passes = error instanceof ApiProblem && (error.status >= 500 || [401, 429].includes(error.status));
  return passes || error instanceof NoAnswer || error instanceof Cancelled;
}

const forgotten = (): NoKeyMade =>
  new NoKeyMade("No key was made: it took too long, and the server has given it up. Begin again.");

const pause = (looks: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(looks, PAUSES_MS.length - 1)]));
