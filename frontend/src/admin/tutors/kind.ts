const DRAWN = ["mei", "anna", "david"]; // by the engine itself

/** What a tutor's face was made of, as far as its address depends on it. */
export function kindOf(face: string): "drawn" | "photo" {
  return DRAWN.includes(face) ? "drawn" : "photo";
}
