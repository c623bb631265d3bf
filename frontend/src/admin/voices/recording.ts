// A person's recording on its way to become a voice.

export const LEAST_S = 3; // the engine's limits
export const MOST_S = 30;
export const LIMIT_BYTES = 6_000_000;

/** Seconds; null: the browser does not know this kind of sound, though the engine may. */
export async function secondsOf(file: Blob): Promise<number | null> {
  const context = new OfflineAudioContext(1, 1, 16_000);
  try {
    return (await context.decodeAudioData(await file.arrayBuffer())).duration;
  } catch {
    return null;
  }
}

export type Trouble = "tooShort" | "tooLong" | "tooLarge";

/** Why the engine would not take it; null: it may. */
export function troubleOf(bytes: number, seconds: number | null): Trouble | null {
  if (bytes > LIMIT_BYTES) return "tooLarge";
  if (seconds === null) return null;
  if (seconds < LEAST_S) return "tooShort";
  return seconds > MOST_S ? "tooLong" : null;
}

export async function base64Of(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const portions: string[] = [];
  const length = 0x8000; // as many arguments as any browser takes
  for (let at = 0; at < bytes.length; at += length)
    portions.push(String.fromCharCode(...bytes.subarray(at, at + length)));
  return btoa(portions.join(""));
}
