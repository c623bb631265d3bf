// The token that says who is here: kept between visits, renewed while the page is open, shared by all tabs.

const KEY = "tutor.login";
const RENEW_AT = 0.6; // of its life: a failed renewal can be tried again before it ends
const LOOK_MS = 20_000;

interface Kept {
  token: string;
  fromMs: number;
  untilMs: number;
}

type Listener = () => void;

class Tokens {
  private kept: Kept | null = read();
  private lastHere = personOf(this.kept);
  private readonly listeners = new Set<Listener>();

  constructor() {
    globalThis.addEventListener?.("storage", ({ key }) => {
      if (key !== KEY) return;
      this.kept = read();
      if (this.isSomebodyElse()) location.reload(); // whatever this page shows is another person's
      this.tell();
    });
  }

  /** Null when nobody is logged in. */
  current = (): string | null => {
    return this.kept && this.kept.untilMs > Date.now() ? this.kept.token : null;
  };

  keep(token: string, lifeS: number): void {
    const fromMs = Date.now();
    this.set({ token, fromMs, untilMs: fromMs + lifeS * 1000 });
  }

  forget(): void {
    this.set(null);
  }

  /** The web server did not take this one. */
  refused(token: string): void {
    if (this.kept?.token === token) this.forget();
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Renews the token in time for as long as somebody is logged in; ends with the function it returns. */
  keepFresh(renew: () => Promise<void>): () => void {
    let renewing = false;
    const look = () => {
      if (this.kept && !this.current()) this.forget();
      if (!this.kept || renewing) return;
      const { fromMs, untilMs } = this.kept;
      if (Date.now() < fromMs + RENEW_AT * (untilMs - fromMs)) return;
      renewing = true;
      renew()
        .catch(() => {}) // tried again at the next look; a refusal has logged out by itself
        .finally(() => {
          renewing = false;
        });
    };
    look();
    const timer = setInterval(look, LOOK_MS);
    document.addEventListener("visibilitychange", look); // timers sleep with the page
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }

  private isSomebodyElse(): boolean {
    const [before, now] = [this.lastHere, personOf(this.kept)];
    this.lastHere = now ?? before; // between two persons there is nobody
    return before !== null && now !== null && before !== now;
  }

  private set(kept: Kept | null): void {
    this.kept = kept;
    this.lastHere = personOf(kept) ?? this.lastHere;
    try {
      if (kept) localStorage.setItem(KEY, JSON.stringify(kept));
      else localStorage.removeItem(KEY);
    } catch {
      // Without storage the login ends with the page.
    }
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function read(): Kept | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null") as Partial<Kept> | null;
    if (typeof kept?.token !== "string" || !kept.fromMs || !kept.untilMs) return null;
    return { token: kept.token, fromMs: kept.fromMs, untilMs: kept.untilMs };
  } catch {
    return null;
  }
}

/** The `sub` of the JWT; null when nobody is logged in. */
function personOf(kept: Kept | null): string | null {
  try {
    const payload = kept?.token.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/");
    return payload ? String((JSON.parse(atob(payload)) as { sub?: unknown }).sub) : null;
  } catch {
    return null;
  }
}

export const tokens = new Tokens();
