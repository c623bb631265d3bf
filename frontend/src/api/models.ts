// What the web server's own REST API answers (docs/web.md); the engine's models are in wire/generated.ts.

export interface User {
  id: number;
  email: string;
  name: string;
  role: "admin" | "student";
  language: "zh" | "en" | null;
}

export interface Login {
  access_token: string;
  token_type: "bearer";
  /** Seconds. */
  expires_in: number;
  user: User;
}

export interface TutorCard {
  id: number;
  name: string;
  subject: string;
  description: string;
  language: string | null;
  face: string;
  picture_url: string;
  has_course: boolean;
}

export interface PastConversation {
  id: string;
  tutor_id: number;
  tutor_name: string;
  kb_id: string | null;
  status: "active" | "ended";
  started_at: string;
  ended_at: string | null;
  last_words: string;
}
