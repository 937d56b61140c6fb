/**
 * A key that people share: who holds a share of it, how many of them sign together with the server, and that in words.
 * They make it, answer its apps and change who they are with the command-line client; this page has no share of one.
 */
import type { KeyDetail, PendingRequest } from "../api/types";

export type Sharing = {
  /** How many people hold a share. */
  people: number;
  /** How many of them sign together with the server. */
  signers: number;
  /** Whether the one who looks is among them. */
  amongThem: boolean;
};

/** The people who share a key, as `viewer` sees them: its owner, if nobody is named. Null when its owner alone has it. */
export function sharingOf(
  key: Pick<KeyDetail, "owner" | "public" | "members">,
  viewer: string = key.owner,
): Sharing | null {
  const members = key.members ?? [];
  if (members.length === 0) return null;
  const people = key.public.holders.filter(({ role }) => role === "device").length;
  const amongThem =
    viewer === key.owner ? people > members.length : members.some(({ person }) => person === viewer);
  return { people, signers: key.public.threshold - 1, amongThem };
}

/** "Shared by 3 people; any 2 of you sign together with this server." */
export function sharingInWords({ people, signers, amongThem }: Sharing): string {
  const whom = amongThem ? "you" : "them";
  return `Shared by ${people} people; ${some(people, signers)} of ${whom} ${signs(signers)} together with this server.`;
}

/** "any 2 of the 3 people who share it": what goes behind "signs". */
export function signersOf({ people, signers }: Sharing): string {
  if (signers < people) return `${some(people, signers)} of the ${people} people who share it`;
  return people === 2 ? "both people who share it" : `all ${people} people who share it`;
}

/** "any 2 of you", "each of you": who has to answer. */
export function whoAnswers({ people, signers, amongThem }: Sharing): string {
  return `${some(people, signers)} of ${amongThem ? "you" : "them"}`;
}

/** How far a request is: how many have to answer, and how many are at it. */
export function atIt(sharing: Sharing, signers: PendingRequest["signers"]): string {
  const needed = signers?.needed ?? sharing.signers;
  const given = signers?.given.length ?? 0;
  const whom = sharing.amongThem ? "of you" : "of the people who share the key";
  if (given === 0) return `${needed} ${whom} ${needed === 1 ? "has" : "have"} to answer`;
  return `${given} of ${needed} ${given === 1 ? "is" : "are"} at it`;
}

/** How many of the people have enough shares for the whole key, without the server; null when not even all have. */
export function enoughForTheKey({ people, signers }: Sharing): number | null {
  return people > signers ? signers + 1 : null;
}

function some(people: number, signers: number): string {
  if (signers === people) return people === 2 ? "both" : `all ${people}`;
  return signers === 1 ? "any one" : `any ${signers}`;
}

function signs(signers: number): string {
  return signers === 1 ? "signs" : "sign";
}
