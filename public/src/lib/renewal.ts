/**
 * New shares of a key in use: the holders deal them under the owner's word, this device keeps its own and a new kit, and
 * accepts. Until then the old shares go on; with that they end. Server, vault, store and signing are arguments.
 */
import { isCode } from "../api/problem";
import type { Custody, GroupPublic, Progress, Statement, Vault } from "../vault/types";
import { Ceremony, type CeremonyServer, isInterruption, type OnRound, ROUNDS } from "./ceremony";
import { resent } from "./resent";
import { isSameEpoch, type Shares } from "./shares";
import type { withStatement } from "./signing";

export type RenewalServer = CeremonyServer & {
  /** Has the holders take part, under the owner's word. */
  reshare(group: string, statement: Statement): Promise<unknown>;
  /** Whether an export of the key is under way whose delay is over. */
  canExport(group: string): Promise<boolean>;
  /** The key's group as it is now. */
  present(group: string): Promise<GroupPublic>;
};
export type RenewalVault = Pick<
  Vault,
  "beginRenewal" | "takeCeremony" | "reshare" | "newShares" | "kept" | "endCeremony"
>;
export type NewShares = Awaited<ReturnType<Vault["newShares"]>>;

/** What the person wants, and what they have for it. */
export type Wanted = {
  public: GroupPublic;
  custody: Custody;
  /** This browser's share, sealed. */
  shares: string | null;
  kit: { kit: string; passphrase: string } | null;
};

/** The shares are what they were, for a reason that the server gave; the message is for people. */
export class NotRenewed extends Error {
  override name = "NotRenewed";
}

/** How far it is, in words. */
export function renewalInWords(round: number): string {
  return round > ROUNDS
    ? "A holder was interrupted: checking the new shares with it once more"
    : `Dealing new shares: step ${round} of ${ROUNDS}`;
}

/** Whether the holders want an export's delay to be over: the person's devices get the whole key without having shown it. */
export function needsExport(custody: Custody, shows: { share: boolean; kit: boolean }): boolean {
  return custody === "device" && !(shows.share && shows.kit);
}

/** One person's way to new shares of one key. */
export class Renewal {
  #begun: { ceremony: Ceremony; isAsked: boolean } | null = null;
  #made: NewShares | null = null;

  constructor(
    readonly server: RenewalServer,
    readonly vault: RenewalVault,
    readonly store: Pick<Shares, "keepNext" | "fitting">,
    /** Signs and sends a statement, under the number that is next. */
    readonly say: typeof withStatement,
  ) {}

  /** Whether there is one to go on with. */
  get isBegun(): boolean {
    return this.#begun !== null;
  }

  /**
   * Goes on until the new shares are there, and keeps this browser's beside the present one. After a broken connection
   * it goes on where it stopped; after anything else it begins anew.
   */
  async begin(wanted: Wanted, onRound: OnRound, progress: Progress, signal: AbortSignal): Promise<NewShares> {
    const { group } = wanted.public;
    return this.#unlessOver(async () => {
      this.#begun ??= { ceremony: await this.#start(wanted, progress, signal), isAsked: false };
      const begun = this.#begun;
      if (!begun.isAsked) {
        await this.say(
          group,
          (seq) => this.vault.reshare({ seq }),
          (statement) => this.server.reshare(group, statement),
        );
        begun.isAsked = true;
      }
      await begun.ceremony.until((stand) => stand.keeps, onRound, signal);
      const made = await this.vault.newShares();
      if (made.shares !== null) await this.store.keepNext(group, made.shares);
      this.#made = made;
      return made;
    });
  }

  /**
   * The kit is kept: accepts, and this browser's new share takes the old one's place. After a broken connection it may
   * be called again.
   */
  async accept(signal: AbortSignal): Promise<void> {
    const [begun, made] = [this.#begun, this.#made];
    if (!begun || !made) throw new NotRenewed("There are no new shares to accept. Begin again.");
    try {
      await this.#unlessOver(async () => {
        await this.vault.kept();
        if (begun.ceremony.stand.keeps) await begun.ceremony.step(signal);
        await begun.ceremony.until((stand) => stand.verified, () => undefined, signal);
      });
    } catch (error) {
      // What became of it the server knows, also when the ceremony itself is forgotten there.
      if (isInterruption(error) || !isSameEpoch(await this.server.present(made.public.group), made.public)) {
        throw error;
      }
    }
    await this.store.fitting(made.public);
    await this.end();
  }

  /** Leaves it: the vault forgets what it was begun with. */
  async end(): Promise<void> {
    [this.#begun, this.#made] = [null, null];
    await this.vault.endCeremony();
  }

  async #start(wanted: Wanted, progress: Progress, signal: AbortSignal): Promise<Ceremony> {
    const holders = await this.server.holders();
    const { request, needs_export } = await this.vault.beginRenewal({ ...wanted, holders }, progress);
    if (needs_export && !(await this.server.canExport(wanted.public.group))) {
      throw new NotRenewed("The wait for it is not over, or was cancelled. Ask for it first.");
    }
    // Started twice after a lost answer, one of the two is left to its end: the owner's word is about the other.
    const view = await resent(() => this.server.start(request));
    return Ceremony.of(this.server, this.vault, view, signal);
  }

  async #unlessOver<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isInterruption(error)) this.#begun = null;
      if (isCode(error, "not_found")) {
        throw new NotRenewed("The shares are what they were: it took too long, and the server has given it up. Begin again.");
      }
      throw error;
    }
  }
}
