import type { VoicePublic } from "../../wire/generated";

type Choice = Pick<VoicePublic, "name" | "language" | "engine">;

/** Those whose name holds the words, and that speak the language; null: any. */
export function wanted<V extends Choice>(voices: readonly V[], words: string, language: string | null): V[] {
  const sought = words.trim().toLowerCase();
  return voices.filter(
    (voice) =>
      voice.name.toLowerCase().includes(sought) &&
      (!language || !voice.language || voice.language === language),
  );
}

/** Each engine with its voices, in the order in which they come. */
export function enginesOf<V extends Choice>(voices: readonly V[]): [string, V[]][] {
  const engines = new Map<string, V[]>();
  for (const voice of voices) engines.set(voice.engine, [...(engines.get(voice.engine) ?? []), voice]);
  return [...engines];
}

/** What not all of them speak; ISO 639-1. */
export function languagesOf(voices: readonly Choice[]): string[] {
  return [...new Set(voices.flatMap(({ language }) => language ?? []))].sort();
}
