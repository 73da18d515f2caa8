/* Tasks in order, a few at once, that can be cancelled. */

const AT_ONCE = 4;

/** Runs `run(task, signal)` for each task; calls `changed()` after each, and when there is nothing left. */
export class Work {
  constructor(run, changed) {
    Object.assign(this, { run, changed, waiting: [], running: 0, stop: new AbortController() });
  }

  get busy() {
    return this.running > 0 || this.waiting.length > 0;
  }

  add(tasks) {
    this.waiting.push(...tasks);
    while (this.running < AT_ONCE && this.waiting.length) this.next();
    this.changed();
  }

  /** Drops what waits and aborts what runs. */
  cancel() {
    this.waiting = [];
    this.stop.abort();
    this.stop = new AbortController();
    this.changed();
  }

  async next() {
    const task = this.waiting.shift();
    if (!task) return;
    this.running++;
    try {
      await this.run(task, this.stop.signal);
    } finally {
      this.running--;
      this.next();
      this.changed();
    }
  }
}
