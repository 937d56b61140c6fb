// What went wrong, for people: what happened, and what to do next. Null for what needs no words.

import { ApiProblem, Cancelled, NoAnswer } from "../api/problem";
import { VaultError } from "../vault";
import { NoShareHere } from "./contribution";
import { NoKeyMade } from "./keygen";
import { NotRenewed } from "./renewal";
import { PasskeyError } from "./passkeys";
import { NotKept } from "./shares";

export type Explained = { title: string; detail: string; retry: boolean };

const BY_CODE: Record<string, (problem: ApiProblem) => Explained> = {
  too_many_attempts: (problem) => ({
    title: "Too many attempts",
    detail: `To keep others from guessing, wait ${duration(problem.retryAfter ?? 60)} and try again.`,
    retry: false,
  }),
  credentials_invalid: () => ({
    title: "That did not match",
    detail: "The username or the password is not right. Check both and try again.",
    retry: false,
  }),
  passkey_refused: () => ({
    title: "This passkey was not accepted",
    detail: "It may have been removed from the account. Use another one, or your password.",
    retry: false,
  }),
  username_taken: () => ({
    title: "This username is taken",
    detail: "Somebody already has it. Choose another one.",
    retry: false,
  }),
  recovery_refused: () => ({
    title: "This kit does not open an account here",
    detail: "It may belong to another server, or its account may be gone. Check the address at the top of your browser.",
    retry: false,
  }),
  statement_not_newer: () => ({
    title: "Something else was faster",
    detail: "Another tab or device changed this identity at the same moment. Look at what it is now, and try again.",
    retry: true,
  }),
  no_such_request: () => ({
    title: "This request is no longer waiting",
    detail: "It was answered elsewhere, or its time ran out. Nothing more is to do.",
    retry: false,
  }),
  approval_needed: () => ({
    title: "Your rules ask you now",
    detail: "They were changed since this was shown. Approve it once more if you want it.",
    retry: false,
  }),
  offer_gone: () => ({
    title: "The server was interrupted",
    detail: "It forgot its part before this device had done its own. Nothing was signed. Try again.",
    retry: true,
  }),
  already_contributed: () => ({
    title: "Your part is there",
    detail: "Now the others who share the key have to give theirs. Nothing more is to do here.",
    retry: false,
  }),
  enough_contributions: () => ({
    title: "Others are at it",
    detail: "As many as have to are answering it already. Look again in a minute, in case one of them leaves.",
    retry: true,
  }),
  not_your_share: () => ({
    title: "You have no share of this key",
    detail: "Who shares it was changed, perhaps. Ask its owner.",
    retry: false,
  }),
  not_found: (problem) => ({ title: "There is nothing here", detail: problem.detail, retry: false }),
  group_exists: () => ({
    title: "This identity exists already",
    detail: "It was made before. Open it from the start page.",
    retry: false,
  }),
};

export function explain(error: unknown): Explained | null {
  if (error instanceof Cancelled) return null;
  if (error instanceof NoAnswer) {
    return navigator.onLine
      ? { title: "The server did not answer", detail: "It may be busy, or the connection broke. Try again.", retry: true }
      : { title: "You are offline", detail: "Connect to the internet, then try again.", retry: true };
  }
  if (error instanceof ApiProblem) return ofProblem(error);
  if (error instanceof VaultError || error instanceof NoKeyMade || error instanceof NotRenewed || error instanceof NoShareHere)
    return { title: "That did not work", detail: error.message, retry: false };
  if (error instanceof NotKept) return { title: "This browser keeps nothing", detail: error.message, retry: false };
  if (error instanceof PasskeyError) return { title: "No passkey was used", detail: error.message, retry: false };
  console.error(error);
  return {
    title: "This page made a mistake",
    detail: "Nothing was sent that you did not see. Reload the page and try again.",
    retry: true,
  };
}

function ofProblem(problem: ApiProblem): Explained {
  const known = BY_CODE[problem.code];
  if (known) return known(problem);
  if (problem.status >= 500) {
    const id = problem.requestId ? ` If it stays, report the number ${problem.requestId}.` : "";
    return { title: "The server has a problem", detail: `Try again in a moment.${id}`, retry: true };
  }
  if (problem.status === 401) {
    return { title: "You are signed out", detail: "This session has ended. Sign in again.", retry: false };
  }
  return { title: "The server said no", detail: problem.detail, retry: false };
}

/** "40 seconds", "3 minutes", "2 hours": rounded up. */
export function duration(seconds: number): string {
  const [count, unit] =
    seconds < 90
      ? [Math.ceil(seconds), "second"]
      : seconds < 5400
        ? [Math.ceil(seconds / 60), "minute"]
        : [Math.ceil(seconds / 3600), "hour"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
