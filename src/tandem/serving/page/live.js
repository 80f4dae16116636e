/**
 * Keeps outputs up to date while somebody draws: one request at a time, and when it is answered the newest state goes
 * next. What came in between is left out.
 *
 * @typedef {"pick" | "all"} What  the selected output alone, or all of them
 */
export class Live {
  /** @param {(what: What, signal: AbortSignal) => Promise<void>} compute @param {(error: unknown) => void} onError @param {() => void} onIdle */
  constructor(compute, onError, onIdle) {
    this._compute = compute;
    this._onError = onError;
    this._onIdle = onIdle;
    /** @type {What | null} */
    this._wanted = null;
    this._isRunning = false;
    this._abort = new AbortController();
  }

  get isBusy() { return this._isRunning; }

  /** @param {What} what */
  ask(what) {
    if (this._wanted !== "all") this._wanted = what;
    if (!this._isRunning) void this._run();
  }

  /** Forgets what is asked for and what runs: it belongs to another model. */
  drop() {
    this._wanted = null;
    this._abort.abort();
    this._abort = new AbortController();
  }

  async _run() {
    this._isRunning = true;
    while (this._wanted) {
      const what = this._wanted;
      this._wanted = null;
      try {
        await this._compute(what, this._abort.signal);
      } catch (error) {
        if (!(error instanceof DOMException && error.name === "AbortError")) this._onError(error);
      }
    }
    this._isRunning = false;
    this._onIdle();
  }
}

/** Work that may wait until nothing else is to be done; the newest of it counts. */
export class Later {
  /** @param {(signal: AbortSignal) => Promise<void>} work @param {number} delay  in ms */
  constructor(work, delay) {
    this._work = work;
    this._delay = delay;
    this._timer = 0;
    this._abort = new AbortController();
  }

  cancel() {
    clearTimeout(this._timer);
    this._abort.abort();
  }

  ask() {
    this.cancel();
    this._abort = new AbortController();
    const { signal } = this._abort;
    this._timer = window.setTimeout(() => {
      this._work(signal).catch((error) => {
        if (!signal.aborted) console.info("left out:", error);
      });
    }, this._delay);
  }
}
