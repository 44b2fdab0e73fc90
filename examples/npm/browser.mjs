// A bundle in a page: the model works in a worker, the page gets tiles. Apache-2.0.

/** A bundle behind a worker that runs `serve` of ./worker.mjs; it does one thing after the other. */
export class Upscaler {
  #worker;
  #last = 0;
  #listeners = new Map();

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data: { id, ...message } }) => this.#listeners.get(id)?.(message);
    worker.onerror = ({ message }) => {
      for (const hear of this.#listeners.values()) hear({ error: message || "the worker failed" });
    };
  }

  /** Open a variant of the bundle at an address; its golden vectors have been run then. */
  open(folder, { variant = "fp32", provider = null } = {}) {
    return this.#first("open", { folder: absolute(folder), variant, provider });
  }

  /** The golden vectors of every variant; with `device` named, also device.json, with latencies. */
  golden(folder, { device = "", provider = null } = {}) {
    return this.#first("golden", { folder: absolute(folder), device, provider });
  }

  /** The enlarged picture, tile by tile; stop by leaving the loop, or by a signal. */
  enlarge(picture, { tile = 128, signal } = {}) {
    return this.#ask("enlarge", { picture, tile }, signal);
  }

  /** Its bicubic enlargement, in bands of `rows` rows of the small picture. */
  bicubic(picture, { rows = 128, signal } = {}) {
    return this.#ask("bicubic", { picture, rows }, signal);
  }

  close() {
    this.#worker.terminate();
  }

  async #first(task, request) {
    for await (const value of this.#ask(task, request)) return value;
  }

  async *#ask(task, request, signal) {
    if (signal?.aborted) return;
    const id = (this.#last += 1);
    const heard = [];
    let wake;
    const hear = (message) => {
      heard.push(message);
      wake?.();
    };
    const stop = () => hear({ done: true });
    this.#listeners.set(id, hear);
    signal?.addEventListener("abort", stop);
    this.#worker.postMessage({ id, task, ...request });
    try {
      while (true) {
        while (!heard.length) await new Promise((resume) => (wake = resume));
        const { value, done, error } = heard.shift();
        if (error) throw new Error(error);
        if (done || signal?.aborted) return;
        yield value;
      }
    } finally {
      this.#listeners.delete(id);
      signal?.removeEventListener("abort", stop);
      this.#worker.postMessage({ id, task: "cancel" });
    }
  }
}

const absolute = (folder) => new URL(folder, location.href).href.replace(/\/$/, "");
