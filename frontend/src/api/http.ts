// Calls to the web server. Every refusal is a `Refusal` with a sentence for the learner.

import { tokens } from "../auth/tokens";
import { spoken } from "../i18n";

export class Refusal extends Error {
  constructor(
    /** Of HTTP; 0: the web server could not be reached. */
    readonly status: number,
    /** The server's; empty when it had none. */
    sentence: string,
    /** After how long another try may help. */
    readonly retryAfterS: number | null = null,
  ) {
    super(sentence);
  }
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A JSON answer, or undefined where there is none (204). */
export async function call<T>(method: Method, path: string, body?: unknown): Promise<T> {
  const answer = await send(method, path, body);
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

/** A file, such as a picture. */
export async function download(path: string): Promise<Blob> {
  return (await send("GET", path)).blob();
}

/** An answer that is not read yet, for one that comes bit by bit. Ends with `signal`. */
export async function send(
  method: Method,
  path: string,
  body?: unknown,
  signal: AbortSignal | null = null,
): Promise<Response> {
  const headers: Record<string, string> = { "Accept-Language": spoken() };
  const token = tokens.current();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const json = body === undefined ? null : JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(path, { method, headers, body: json, signal });
  } catch {
    throw new Refusal(0, "");
  }
  if (answer.ok) return answer;
  // The token that was sent, not one that has come since: another page may have logged in again.
  if (answer.status === 401 && token) tokens.refused(token);
  throw await refusalOf(answer);
}

async function refusalOf(answer: Response): Promise<Refusal> {
  const body = await answer.text().catch(() => "");
  return refusal(answer.status, answer.headers.get("Retry-After"), body);
}

/** What an answer that is no success says; `retryAfter` and `body` as they came. */
export function refusal(status: number, retryAfter: string | null, body: string): Refusal {
  const retryAfterS = Number(retryAfter) || null;
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    return new Refusal(status, typeof detail === "string" ? detail : "", retryAfterS);
  } catch {
    return new Refusal(status, "", retryAfterS);
  }
}
