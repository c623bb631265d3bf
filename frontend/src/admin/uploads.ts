// Files on their way, a few at a time. They go on while other pages of the administration are looked at.

import { tokens } from "../auth/tokens";
import { sendFile } from "./sending";

const AT_ONCE = 2; // the web server takes eight, of all administrators together

export interface Upload {
  id: number;
  /** What it is for: uploads of one page have the same. */
  target: string;
  name: string;
  state: "queued" | "sending" | "refused";
  /** From 0 to 1. */
  part: number;
  /** Of `refused`. */
  error: unknown;
}

export interface Order {
  target: string;
  name: string;
  path: string;
  file: Blob;
  /** It has arrived; this was answered. */
  done: (answer: unknown) => void;
  /** Why it would be refused after a long while on its way. */
  refused?: unknown;
}

type Listener = () => void;

export class Uploads {
  private all: readonly Upload[] = [];
  private readonly orders = new Map<number, Order & { stop: AbortController }>();
  private readonly listeners = new Set<Listener>();
  private last = 0;

  constructor(private readonly send: typeof sendFile = sendFile) {}

  list = (): readonly Upload[] => this.all;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  add(order: Order): void {
    const id = ++this.last;
    const { target, name, refused = null } = order;
    this.orders.set(id, { ...order, stop: new AbortController() });
    this.set([
      ...this.all,
      { id, target, name, state: refused ? "refused" : "queued", part: 0, error: refused },
    ]);
    this.next();
  }

  retry(id: number): void {
    this.change(id, { state: "queued", part: 0, error: null });
    this.next();
  }

  /** Also when it is half sent. */
  drop(id: number): void {
    this.orders.get(id)?.stop.abort();
    this.orders.delete(id);
    this.set(this.all.filter((upload) => upload.id !== id));
    this.next();
  }

  dropAll(): void {
    for (const { id } of this.all) this.drop(id);
  }

  private next(): void {
    const sending = this.all.filter(({ state }) => state === "sending").length;
    const waiting = this.all.filter(({ state }) => state === "queued");
    for (const { id } of waiting.slice(0, Math.max(AT_ONCE - sending, 0))) void this.deliver(id);
  }

  private async deliver(id: number): Promise<void> {
    const order = this.orders.get(id);
    if (!order) return;
    this.change(id, { state: "sending" });
    try {
      const progress = (part: number) => this.change(id, { part });
      order.done(await this.send(order.path, order.file, progress, order.stop.signal));
      this.drop(id);
    } catch (error) {
      this.change(id, { state: "refused", error });
      this.next();
    }
  }

  private change(id: number, news: Partial<Upload>): void {
    this.set(this.all.map((upload) => (upload.id === id ? { ...upload, ...news } : upload)));
  }

  private set(all: readonly Upload[]): void {
    this.all = all;
    for (const listener of this.listeners) listener();
  }
}

export const uploads = new Uploads();

/** Files that would be lost with the page. */
function warn(event: BeforeUnloadEvent): void {
  if (uploads.list().some(({ state }) => state !== "refused")) event.preventDefault();
}

globalThis.addEventListener?.("beforeunload", warn);
tokens.subscribe(() => {
  if (!tokens.current()) uploads.dropAll(); // somebody else may log in here
});
