// Something that a page does or reads, with its state for the template.

import { Cancelled } from "../api/problem";

/** A thing that a person starts: busy, how far, and what went wrong. */
export class Task {
  busy = $state(false);
  /** 0 to 1 while a long computation runs. */
  progress = $state<number | null>(null);
  error = $state.raw<unknown>(null);
  readonly onProgress = (fraction: number): void => {
    this.progress = fraction;
  };

  /** Runs it unless it runs already. Gives back undefined when it failed; the error is kept for the page. */
  async run<T>(action: (progress: (fraction: number) => void) => Promise<T>): Promise<T | undefined> {
    if (this.busy) return undefined;
    this.busy = true;
    this.error = null;
    this.progress = null;
    try {
      return await action(this.onProgress);
    } catch (error) {
      if (!(error instanceof Cancelled)) this.error = error;
      return undefined;
    } finally {
      this.busy = false;
      this.progress = null;
    }
  }
}

/** A thing that a page shows: the last good answer stays while it is read again. */
export class Loaded<T> {
  data = $state.raw<T | undefined>(undefined);
  error = $state.raw<unknown>(null);
  busy = $state(false);
  #run = 0;

  constructor(readonly read: () => Promise<T>) {}

  readonly load = async (): Promise<void> => {
    const run = ++this.#run;
    this.busy = true;
    try {
      const data = await this.read();
      if (run !== this.#run) return;
      this.data = data;
      this.error = null;
    } catch (error) {
      if (run === this.#run && !(error instanceof Cancelled)) this.error = error;
    } finally {
      if (run === this.#run) this.busy = false;
    }
  };
}
