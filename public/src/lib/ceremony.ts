/**
 * A ceremony with the server's holders, round by round: the vault speaks for this device, and what it says is carried
 * to the server. Server and vault are arguments.
 */
import { ApiProblem, Cancelled, isCode, NoAnswer } from "../api/problem";
import type { CeremonyPackage, CeremonyStand, CeremonyStart, CeremonyView, HolderList, Vault } from "../vault/types";
import { resent } from "./resent";

/** What the server is asked. Answers have what was said after position `after`. */
export type CeremonyServer = {
  holders(): Promise<HolderList>;
  start(request: CeremonyStart): Promise<CeremonyView>;
  say(ceremony: string, said: CeremonyPackage, after: number): Promise<CeremonyView>;
  look(ceremony: string, after: number): Promise<CeremonyView>;
};
export type CeremonyVault = Pick<Vault, "takeCeremony">;
export type OnRound = (round: number) => void;

/** Rounds when nobody is interrupted. */
export const ROUNDS = 5;
/** Pauses before looking again while a holder is awaited; the last is repeated. */
const PAUSES_MS = [250, 500, 1_000, 2_000];
/** Longer than a round's time on the server, which ends a ceremony itself. */
const MOST_LOOKS = 45;

export class Ceremony {
  private constructor(
    readonly server: CeremonyServer,
    readonly vault: CeremonyVault,
    readonly id: string,
    /** How it stands. */
    public stand: CeremonyStand,
  ) {}

  /** One that was started. */
  static async of(
    server: CeremonyServer,
    vault: CeremonyVault,
    view: CeremonyView,
    signal: AbortSignal,
  ): Promise<Ceremony> {
    return new Ceremony(server, vault, view.operation_id, await take(vault, view, signal));
  }

  /** Goes on until it stands so. After a broken connection it may be called again. */
  async until(isThere: (stand: CeremonyStand) => boolean, onRound: OnRound, signal: AbortSignal): Promise<void> {
    for (let looks = 0; !isThere(this.stand); ) {
      const { packages, round } = this.stand;
      onRound(round);
      if (packages.length === 0 || looks > 0) await pause(looks);
      await this.step(signal);
      looks = this.stand.round > round ? 0 : looks + 1;
      if (looks > MOST_LOOKS) throw new NoAnswer("The holders do not go on.");
    }
  }

  /** Says what is due, or looks what others have said; and takes it in. */
  async step(signal: AbortSignal): Promise<void> {
    this.stand = await take(this.vault, await this.#exchange(), signal);
  }

  async #exchange(): Promise<CeremonyView> {
    const { packages, next } = this.stand;
    const look = (): Promise<CeremonyView> => resent(() => this.server.look(this.id, next));
    let view: CeremonyView | null = null;
    for (const said of packages) {
      try {
        view = await resent(() => this.server.say(this.id, said, next));
      } catch (error) {
        // It went on, or ended, without this: what was said meanwhile tells the vault why.
        if (!isCode(error, "round_over", "ceremony_over")) throw error;
        return look();
      }
    }
    return view ?? look();
  }
}

/** Whether a ceremony can go on from where it is. */
export function isInterruption(error: unknown): boolean {
  const passes = error instanceof ApiProblem && (error.status >= 500 || [401, 429].includes(error.status));
  return passes || error instanceof NoAnswer || error instanceof Cancelled;
}

/** Who has left the page must not speak in a ceremony that the vault has begun since. */
function take(vault: CeremonyVault, view: CeremonyView, signal: AbortSignal): Promise<CeremonyStand> {
  signal.throwIfAborted();
  return vault.takeCeremony({ view });
}

const pause = (looks: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(looks, PAUSES_MS.length - 1)]));
