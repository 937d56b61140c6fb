// Dialogs that any page may need in the middle of something. The app shows them (components/Prompts.svelte).

import { Cancelled } from "../api/problem";

export type PromptKind = "unlock" | "reauthenticate";
type Waiting = { kind: PromptKind; resolve: () => void; reject: (reason: unknown) => void };

class Prompts {
  current = $state.raw<Waiting | null>(null);
  #queue: Promise<unknown> = Promise.resolve();

  /** Resolves when the person has done it; throws `Cancelled` when they closed it. One dialog at a time. */
  ask(kind: PromptKind): Promise<void> {
    const asked = this.#queue.then(
      () =>
        new Promise<void>((resolve, reject) => {
          this.current = { kind, resolve, reject };
        }),
    );
    this.#queue = asked.catch(() => undefined).finally(() => (this.current = null));
    return asked;
  }

  done(): void {
    this.current?.resolve();
  }

  cancel(): void {
    this.current?.reject(new Cancelled());
  }
}

export const prompts = new Prompts();
