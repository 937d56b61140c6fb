// An export of a key: asked for, waited for, cancelled. What is done with what the holders then do is the page's.

import { api, call } from "../api/client";
import { vault } from "../vault";
import { withReauth, withStatement } from "./signing";
import { Loaded, type Task } from "./task.svelte";

export class ExportWait {
  readonly #params = () => ({ path: { group: this.group() } });
  readonly wait = new Loaded(() => call(api.GET("/keys/{group}/export", { params: this.#params() })));

  constructor(
    readonly group: () => string,
    readonly task: Task,
  ) {}

  /** When the delay is over, Unix seconds; null when nothing was asked for. */
  get readyAt(): number | null {
    return this.wait.data && this.wait.data.state !== "none" ? this.wait.data.ready_at : null;
  }

  isReady(now: number): boolean {
    return this.wait.data?.state === "ready" || (this.readyAt !== null && this.readyAt <= now);
  }

  /** Asks for it. Gives whether it was. */
  async begin(): Promise<boolean> {
    const group = this.group();
    return this.#said(() =>
      withReauth(() =>
        withStatement(
          group,
          (seq) => vault.exportBegin({ group, seq }),
          (statement) => call(api.POST("/keys/{group}/export", { params: this.#params(), body: { statement } })),
        ),
      ),
    );
  }

  /** Takes it back. Gives whether it was. */
  async cancel(): Promise<boolean> {
    const group = this.group();
    return this.#said(() =>
      withStatement(
        group,
        (seq) => vault.exportCancel({ group, seq }),
        (statement) => call(api.DELETE("/keys/{group}/export", { params: this.#params(), body: { statement } })),
      ),
    );
  }

  async #said(say: () => Promise<unknown>): Promise<boolean> {
    const done = await this.task.run(async () => {
      await say();
      return true;
    });
    await this.wait.load();
    return done ?? false;
  }
}
