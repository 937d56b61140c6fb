/**
 * A ceremony with the server's holders, round by round: the vault speaks for this device, and what it says is carried
 * to the server. Server and vault are arguments.
 */
import { ApiProblem, Cancelled, isCode, NoAnswer } from "../api/problem";
import type {
  CeremonyJoin,
  CeremonyPackage,
  CeremonyStand,
  CeremonyStart,
  CeremonyView,
  HolderList,
  Vault,
} from "../vault/types";
import { resent } from "./resent";

/** What the server is asked. Answers have what was said after position `after`. */
export type CeremonyServer = {
  holders(): Promise<HolderList>;
  start(request: CeremonyStart): Promise<CeremonyView>;
  /** Comes to one that another device began. */
  join(ceremony: string, keys: CeremonyJoin): Promise<CeremonyView>;
  say(ceremony: string, said: CeremonyPackage, after: number): Promise<CeremonyView>;
  look(ceremony: string, after: number): Promise<CeremonyView>;
  /** Ends it for everybody. */
  cancel(ceremony: string): Promise<unknown>;
};
export type CeremonyVault = Pick<Vault, "takeCeremony">;
/** Told the round that is due, 0 while somebody has not joined; and how it stands. */
export type OnRound = (round: number, view: CeremonyView) => void;

/** Rounds when nobody is interrupted. */
export const ROUNDS = 5;
/** Pauses before looking again while a holder is awaited; the last is repeated. */
const PAUSES_MS = [250, 500, 1_000, 2_000];
/** Longer than a round's time on the server, which ends a ceremony itself: with its holders, and with a person's devices. */
const MOST_LOOKS = { holders: 45, devices: 1_000 };

export class Ceremony {
  private constructor(
    readonly server: CeremonyServer,
    readonly vault: CeremonyVault,
    /** How it stands, as the server shows it, and as the vault sees it. */
    public view: CeremonyView,
    public stand: CeremonyStand,
    readonly awaits: keyof typeof MOST_LOOKS,
  ) {}

  get id(): string {
    return this.view.operation_id;
  }

  /** One that was started or joined. When the page was left meanwhile, it is ended: nobody is to wait for it. */
  static async of(
    server: CeremonyServer,
    vault: CeremonyVault,
    view: CeremonyView,
    signal: AbortSignal,
    awaits: keyof typeof MOST_LOOKS = "holders",
  ): Promise<Ceremony> {
    if (signal.aborted) void server.cancel(view.operation_id).catch(() => undefined);
    return new Ceremony(server, vault, view, await take(vault, view, signal), awaits);
  }

  /** Ends it, so that nobody waits for this device any longer. If that fails, its time runs out. */
  async cancel(): Promise<void> {
    await this.server.cancel(this.id).catch(() => undefined);
  }

  /** Goes on until it stands so. After a broken connection it may be called again. */
  async until(isThere: (stand: CeremonyStand) => boolean, onRound: OnRound, signal: AbortSignal): Promise<void> {
    for (let looks = 0; !isThere(this.stand); ) {
      const { packages, round } = this.stand;
      onRound(round, this.view);
      if (packages.length === 0 || looks > 0) await pause(looks, signal);
      await this.step(signal);
      looks = this.stand.round > round ? 0 : looks + 1;
      if (looks > MOST_LOOKS[this.awaits]) throw new NoAnswer("The holders do not go on.");
    }
  }

  /** Says what is due, or looks what others have said; and takes it in. */
  async step(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const view = await this.#exchange();
    this.stand = await take(this.vault, view, signal);
    this.view = view;
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

const pause = (looks: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, PAUSES_MS[Math.min(looks, PAUSES_MS.length - 1)]);
    signal.addEventListener("abort", end);
  });
