// This browser's share at work: for a person who has just said yes, or without a word for what their rules allow.

import { contributions } from "../api/contributions";
import { vault } from "../vault";
import { Contributor, type InTurn } from "./contribution";
import { shares } from "./shares";
import { withVault } from "./signing";

const inTurn: InTurn = async (name, work) => await navigator.locks.request(name, work);

/** Asks the person to unlock when that is needed. */
export const byHand = new Contributor(
  contributions,
  { contribute: (args) => withVault(() => vault.contribute(args)) },
  shares,
  inTurn,
);

/** Asks nobody. */
export const unasked = new Contributor(contributions, vault, shares, inTurn);
