import { afterEach, describe, expect, test, vi } from "vitest";
import { proxyUrl } from "../conversation/socket";
import { speak, startWords } from "../i18n";
import { call, refusal } from "./http";

const original = globalThis.fetch;

afterEach(() => {
  globalThis.fetch = original;
});

/** With a document for its title and language, and a browser that prefers another language. */
vi.stubGlobal("document", { documentElement: {} });
vi.stubGlobal("navigator", { languages: ["fr"] });
startWords();

describe("the web server", () => {
  test.each(["zh", "en"] as const)("is asked in the language of the page: %s", async (language) => {
    let asked: string | null = null;
    globalThis.fetch = async (_path, init) => {
      asked = new Headers(init?.headers).get("Accept-Language");
      return new Response(JSON.stringify({}));
    };
    speak(language);
    await call("GET", "/api/me");
    expect(asked).toBe(language);
    expect(proxyUrl(5, "https://school.example/lesson/2?x=1#y").href).toBe(
      `wss://school.example/api/ws/proxy/user/5?language=${language}`,
    );
  });

  test("is quoted with its own sentence, where it has one", () => {
    expect(refusal(403, null, '{"detail": "只有管理员可以这样做。"}').message).toBe("只有管理员可以这样做。");
    expect(refusal(429, "17", "{}")).toMatchObject({ message: "", retryAfterS: 17 });
    expect(refusal(502, "soon", "<h1>Bad Gateway</h1>")).toMatchObject({ message: "", retryAfterS: null });
  });
});
