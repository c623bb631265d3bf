/** Those that the engine's voices and recognisers share most often (ISO 639-1). */
export const LANGUAGES: readonly string[] = [
  ...["zh", "en", "ar", "bg", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu"],
  ...["id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "sw"],
  ...["ta", "th", "tr", "uk", "ur", "vi"],
];
