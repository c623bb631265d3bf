// One voice is heard at a time, whichever button asked for it.

import { send } from "../../api/http";

export interface Listened {
  path: string;
  state: "loading" | "playing" | "failed";
  /** Of `failed`. */
  error: unknown;
}

type Listener = () => void;

/** The sound at this address. Raises `Refusal`; ends with `signal`. */
export type Fetch = (path: string, signal: AbortSignal) => Promise<Blob>;

const fetched: Fetch = async (path, signal) => (await send("GET", path, undefined, signal)).blob();

export class Listening {
  private now: Listened | null = null;
  private stopLoading = new AbortController();
  private url = "";
  private element: HTMLAudioElement | null = null;
  private readonly listeners = new Set<Listener>();

  constructor(
    private readonly fetch: Fetch = fetched,
    private readonly make: () => HTMLAudioElement = () => new Audio(),
  ) {}

  current = (): Listened | null => this.now;

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** To be called when a button is pressed: a browser lets nothing else begin to sound. */
  async play(path: string): Promise<void> {
    this.stop();
    const element = this.element ?? this.make();
    this.element = element;
    element.load(); // Safari remembers that it was touched while the button was pressed
    const { signal } = this.stopLoading;
    this.set({ path, state: "loading", error: null });
    try {
      const sound = await this.fetch(path, signal);
      if (signal.aborted) return;
      this.url = URL.createObjectURL(sound);
      element.src = this.url;
      element.onended = () => this.stop();
      await element.play();
      if (!signal.aborted) this.set({ path, state: "playing", error: null });
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      this.set({ path, state: "failed", error });
    }
  }

  stop(): void {
    this.stopLoading.abort();
    this.stopLoading = new AbortController();
    if (this.element) {
      this.element.onended = null;
      this.element.pause();
      this.element.removeAttribute("src");
    }
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
    if (this.now) this.set(null);
  }

  /** Whoever shows this is no longer there. */
  leave(path: string): void {
    if (this.now?.path === path) this.stop();
  }

  private set(now: Listened | null): void {
    this.now = now;
    for (const listener of this.listeners) listener();
  }
}

export const listening = new Listening();
