import type { VoiceManner } from "../../wire/generated";

export const VOICES_PATH = "/api/admin/voices";

export const voicePath = (name: string) => `${VOICES_PATH}/${encodeURIComponent(name)}`;

/** Where a voice is heard; no name: the engine's usual one. */
export function samplePath(name: string, manner: Partial<VoiceManner>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(manner)) if (value !== null) query.set(key, String(value));
  return `${name ? voicePath(name) : VOICES_PATH}/sample?${query}`;
}
