import { beforeEach, expect, test, vi } from "vitest";

const KEY = "tutor.login";

let stored: Map<string, string>;
let reloads: number;
let heard: (event: { key: string }) => void;

beforeEach(() => {
  stored = new Map();
  reloads = 0;
  vi.resetModules();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
  vi.stubGlobal("addEventListener", (_name: string, listener: typeof heard) => {
    heard = listener;
  });
  const reload = () => {
    reloads += 1;
  };
  vi.stubGlobal("location", { reload });
});

function tokenOf(person: string): string {
  return `h.${btoa(JSON.stringify({ sub: person })).replace(/=+$/, "")}.s`;
}

/** What another tab does. */
function logsInElsewhere(person: string | null): void {
  const kept = { token: tokenOf(person ?? ""), fromMs: Date.now(), untilMs: Date.now() + 60_000 };
  if (person === null) stored.delete(KEY);
  else stored.set(KEY, JSON.stringify(kept));
  heard({ key: KEY });
}

test("a page is loaded anew when another tab logs somebody else in", async () => {
  const { tokens } = await import("./tokens");
  tokens.keep(tokenOf("1"), 60);
  logsInElsewhere(null);
  expect(tokens.current()).toBeNull();
  expect(reloads).toBe(0);
  logsInElsewhere("2");
  expect(tokens.current()).toBe(tokenOf("2"));
  expect(reloads).toBe(1);
});

test("not when another tab renews the login, or logs the same person in again", async () => {
  const { tokens } = await import("./tokens");
  tokens.keep(tokenOf("1"), 60);
  logsInElsewhere("1");
  logsInElsewhere(null);
  logsInElsewhere("1");
  expect(reloads).toBe(0);
});

test("not when somebody else logs in here", async () => {
  const { tokens } = await import("./tokens");
  tokens.keep(tokenOf("1"), 60);
  tokens.forget();
  tokens.keep(tokenOf("2"), 60);
  logsInElsewhere("2");
  expect(reloads).toBe(0);
});
