/**
 * Making a new key with the server's holders. The key is never whole anywhere. Server and vault are arguments.
 */
import { isCode } from "../api/problem";
import type { Custody, Vault } from "../vault/types";
import { Ceremony, type CeremonyServer, isInterruption, type OnRound, ROUNDS } from "./ceremony";
import { resent } from "./resent";

export type KeygenVault = Pick<Vault, "beginKeygen" | "takeCeremony" | "finishKeygen">;
export type MadeKey = Awaited<ReturnType<Vault["finishKeygen"]>>;

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

/** One person's way to one new key. */
export class Keygen {
  #begun: { custody: Custody; ceremony: Ceremony } | null = null;

  constructor(
    readonly server: CeremonyServer,
    readonly vault: KeygenVault,
  ) {}

  /**
   * Makes a key. After a broken connection it goes on where it stopped; after anything else, or for another custody, it
   * begins anew.
   */
  async run(custody: Custody, onRound: OnRound, signal: AbortSignal): Promise<MadeKey> {
    try {
      if (this.#begun?.custody !== custody) this.#begun = { custody, ceremony: await this.#begin(custody, signal) };
      await this.#begun.ceremony.until((stand) => stand.verified, onRound, signal);
      const made = await this.vault.finishKeygen();
      this.#begun = null;
      return made;
    } catch (error) {
      if (!isInterruption(error)) this.#begun = null;
      if (isCode(error, "not_found")) throw forgotten();
      throw error;
    }
  }

  /** Leaves it: one that has not come to its end is ended, so that the holders don't wait. */
  async leave(): Promise<void> {
    const begun = this.#begun;
    this.#begun = null;
    if (begun && !begun.ceremony.stand.verified) await begun.ceremony.cancel();
  }

  async #begin(custody: Custody, signal: AbortSignal): Promise<Ceremony> {
    const holders = await this.server.holders();
    // One whose beginning was lost is left to its end: the holders take part in one ceremony for each group.
    const view = await resent(async () => this.server.start(await this.vault.beginKeygen({ holders, custody })));
    return Ceremony.of(this.server, this.vault, view, signal);
  }
}

const forgotten = (): NoKeyMade =>
  new NoKeyMade("No key was made: it took too long, and the server has given it up. Begin again.");
