// Server-sent events over `fetch`: the browser's own EventSource cannot send the login.

import { send } from "../api/http";

/** Finds the events in pieces of text, wherever those are cut. Only their data matters here. */
export class EventParser {
  private rest = "";
  private data: string[] = [];

  /** The data of the events that this piece has completed. */
  push(piece: string): string[] {
    const text = this.rest + piece;
    // A carriage return at the end may be the first half of a line's end.
    const half = text.endsWith("\r") ? "\r" : "";
    const lines = text.slice(0, text.length - half.length).split(/\r\n|\r|\n/);
    this.rest = (lines.pop() ?? "") + half;
    return lines.flatMap((line) => this.read(line));
  }

  private read(line: string): string[] {
    if (line.startsWith("data:")) {
      this.data.push(line.slice(5).replace(/^ /, ""));
      return [];
    }
    if (line || !this.data.length) return []; // a comment or another field; an event without data
    const event = this.data.join("\n");
    this.data = [];
    return [event];
  }
}

/** What is told at this address, until it is over. Raises `Refusal`, and an error when it breaks off. */
export async function* follow<T>(path: string, signal: AbortSignal): AsyncGenerator<T> {
  const answer = await send("GET", path, undefined, signal);
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const data of parser.push(value)) yield JSON.parse(data) as T;
    }
  } finally {
    await reader.cancel().catch(() => {}); // it may have broken off
  }
}
