/**
 * This device's part in answering a request, where it holds a share of the key: it takes the server's offer, the vault
 * judges that it is what was shown and contributes, and the server finishes it. Server, vault and store are arguments.
 */
import { isCode } from "../api/problem";
import type { PendingRequest } from "../api/types";
import { VaultError, type GroupPublic, type Offer, type Custody, type Vault } from "../vault/types";
import { resent } from "./resent";
import type { Shares } from "./shares";

/** `answered`: the app has its answer. `waiting`: other devices have to contribute, too. */
export type Contributed = "answered" | "waiting";
export type ContributionServer = {
  offer(group: string, request: string): Promise<Offer>;
  /** `round`: the offer's. */
  contribute(group: string, request: string, made: { reply: object; round: number }): Promise<Contributed>;
  /** The key's group as it is now. */
  present(group: string): Promise<GroupPublic>;
};
export type ContributionVault = Pick<Vault, "contribute">;
export type ContributionStore = Pick<Shares, "of" | "fitting" | "memory" | "remember">;
/** Runs what has this name one after the other, over all tabs of this browser. */
export type InTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** An offer ends when the server's memory does; it is asked for another so many times in all. */
const MOST_OFFERS = 3;

/** This browser has no share of the key; the message is for people. */
export class NoShareHere extends Error {
  override name = "NoShareHere";

  constructor() {
    super(
      "This browser has no share of this key that still works. Answer in the browser that has the newest one. If that one is lost, renew the shares here with your newest kit: Identity, “Renew the shares”.",
    );
  }
}

/** Where the shares of a key are. */
export function custodyOf(group: Pick<GroupPublic, "holders">): Custody {
  return group.holders.some(({ role }) => role === "device") ? "device" : "hosted";
}

/** Whether the owner's rules allow a request, so that only this device's part is missing. */
export function isAllowed(request: Pick<PendingRequest, "waits_for">): boolean {
  return request.waits_for.length === 1 && request.waits_for[0] === "device";
}

export class Contributor {
  constructor(
    readonly server: ContributionServer,
    readonly vault: ContributionVault,
    readonly store: ContributionStore,
    readonly inTurn: InTurn,
  ) {}

  /** Contributes to a request as it was `shown`. */
  async give(group: string, shown: PendingRequest): Promise<Contributed> {
    const shares = (await this.store.of(group)) ?? (await this.#present(group));
    try {
      return await this.#giveWith(group, shares, shown);
    } catch (error) {
      // The one that took its place, when the page was closed before it was told so.
      if (!(error instanceof VaultError) || error.code !== "share_of_another_epoch") throw error;
      const present = await this.#present(group);
      if (present === shares) throw error;
      return await this.#giveWith(group, present, shown);
    }
  }

  /** This device's share of the present epoch. */
  async #present(group: string): Promise<string> {
    const shares = await this.store.fitting(await this.server.present(group));
    if (shares === null) throw new NoShareHere();
    return shares;
  }

  async #giveWith(group: string, shares: string, shown: PendingRequest): Promise<Contributed> {
    // What is remembered of an app may only grow, so its requests take turns.
    return this.inTurn(`passport.contribution ${group} ${shown.connection}`, async () => {
      for (let offers = 1; ; offers += 1) {
        try {
          return await this.#once(group, shares, shown);
        } catch (error) {
          if (!isCode(error, "offer_gone") || offers >= MOST_OFFERS) throw error;
        }
      }
    });
  }

  async #once(group: string, shares: string, shown: PendingRequest): Promise<Contributed> {
    const { connection, request } = shown;
    const offer = await resent(() => this.server.offer(group, request));
    const memory = await this.store.memory(group, connection);
    const { reply, round, memory: next } = await this.vault.contribute({ shares, request: shown, offer, memory });
    await this.store.remember(group, next);
    // It is the turn of other devices.
    if (reply === null) return "waiting";
    return resent(() => this.server.contribute(group, request, { reply, round }));
  }
}
