/**
 * Renewals that another device of the person's has begun and that wait for this browser. The vault judges one again when
 * this browser joins it. The server is an argument.
 */
import { isCode } from "../api/problem";
import type { CeremonyView, GroupPublic } from "../vault/types";
import { isSameEpoch } from "./shares";

/** A ceremony, with what tells whether it waits for this browser. */
export type OfferView = CeremonyView & { kind: string; status: string; group: string; present: GroupPublic | null };
export type OfferServer = {
  /** The ceremonies that name the account, oldest first. */
  list(): Promise<string[]>;
  look(ceremony: string): Promise<OfferView>;
};
/** Who would join: the account, and the number of the share that this browser has, if it has one. */
export type Joiner = { owner: string; has: number | null };

/** Whether a renewal of this group has a place for this browser: that of its share, or one for a new device. */
export function waitsFor({ owner, has }: Joiner, present: GroupPublic, view: OfferView): boolean {
  if (view.kind !== "reshare" || view.status !== "joining" || view.present === null) return false;
  if (!isSameEpoch(view.present, present)) return false;
  const isNew = (number: number): boolean => present.holders.every(({ index }) => index !== number);
  return view.participants.some(({ role, owner: of, joined, receives }) => {
    if (role !== "device" || of !== owner || joined || receives == null) return false;
    return has === null ? isNew(receives) : receives === has;
  });
}

/** Looks for them again and again, and at none twice that has gone on or ended. */
export class Offers {
  #past = new Set<string>();

  constructor(readonly server: OfferServer) {}

  /** The newest that waits for this browser: one that was given up waits for nobody any more. */
  async find(joiner: Joiner, present: GroupPublic): Promise<OfferView | null> {
    for (const ceremony of (await this.server.list()).reverse()) {
      if (this.#past.has(ceremony)) continue;
      const view = await this.#look(ceremony);
      if (view && waitsFor(joiner, present, view)) return view;
      if (view?.status !== "joining") this.#past.add(ceremony);
    }
    return null;
  }

  async #look(ceremony: string): Promise<OfferView | null> {
    try {
      return await this.server.look(ceremony);
    } catch (error) {
      // Wiped since it was listed.
      if (isCode(error, "not_found")) return null;
      throw error;
    }
  }
}
