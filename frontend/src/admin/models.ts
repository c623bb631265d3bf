// What the web server answers to administrators; the engine's models are in wire/generated.ts.

import type { Health } from "../wire/generated";

export interface TutorWish {
  name: string;
  subject: string;
  description: string;
  language: string | null;
  /** Empty: the engine's own. */
  prompt: string;
  /** Null: the engine's own. */
  model: string | null;
  /** Rate and pitch are from 0.5 to 2; an empty name: the engine's usual voice. */
  voice: { name: string; rate: number; pitch: number };
  face: string;
  kb_id: string | null;
  /** What it does with a question that the course does not answer. */
  outside: "say_so" | "general";
  published: boolean;
}

export interface Tutor extends TutorWish {
  id: number;
  /** After a change: what stands between the tutor and its language model or voice. */
  notes: string[];
}

export interface Student {
  id: number;
  email: string;
  name: string;
  active: boolean;
  created_at: string;
  last_seen_at: string | null;
}

export interface Base {
  kb_id: string;
  name: string;
  documents: number;
  passages: number;
  /** The model whose vectors are searched beside the words; null: the words alone. */
  embedder: string | null;
}

export interface ModelState {
  name: string;
  state: string;
  reason: string;
}

export interface LiveSession {
  id: string;
  student_name: string;
  tutor_name: string;
  started_at: string;
  last_activity: string;
}

export interface EngineOverview {
  gpu_server: Health | { status: "unhealthy"; error: string };
  enabled: boolean;
  dashboard_url: string;
}
