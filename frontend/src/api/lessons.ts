// A lesson's session: made once, found again by a page that comes back, ended when the learner leaves.

import type { MessagePublic, SessionCreated } from "../wire/generated";
import { call, Refusal } from "./http";
import type { PastConversation } from "./models";

export interface Lesson {
  /** The web server's. */
  id: string;
  /** The engine's, which messages on the socket name. */
  engineId: string;
}

/** The engine's id is the last part of its address (`…/ws/ws/{session_id}`). */
export function lessonOf({
  session_id,
  engine_url,
}: Pick<SessionCreated, "session_id" | "engine_url">): Lesson {
  return { id: session_id, engineId: engine_url.split("/").at(-1) || session_id };
}

/** The lesson that this learner has left open with this tutor, with what was said in it; null: none. */
export async function openLesson(userId: number, tutorId: number): Promise<[Lesson, MessagePublic[]] | null> {
  const kept = recall(userId, tutorId);
  if (!kept) return null;
  try {
    await call("GET", `/api/student/sessions/${kept.id}`);
    return [kept, await messagesOf(kept.id)];
  } catch (refusal) {
    if (!(refusal instanceof Refusal) || refusal.status !== 404) throw refusal;
    forgetLesson(userId, tutorId);
    return null;
  }
}

export async function createLesson(userId: number, tutorId: number): Promise<Lesson> {
  const wish = { tutor_id: tutorId };
  let created: SessionCreated;
  try {
    created = await call<SessionCreated>("POST", "/api/student/sessions", wish);
  } catch (refusal) {
    // Too many of this learner's own: those that other pages have left behind make room.
    if (!(refusal instanceof Refusal) || refusal.status !== 429) throw refusal;
    await endOthers();
    created = await call<SessionCreated>("POST", "/api/student/sessions", wish);
  }
  const lesson = lessonOf(created);
  remember(userId, tutorId, lesson);
  return lesson;
}

export async function endLesson(userId: number, tutorId: number, lesson: Lesson): Promise<void> {
  forgetLesson(userId, tutorId);
  await call("DELETE", `/api/student/sessions/${lesson.id}`);
}

export async function messagesOf(conversationId: string): Promise<MessagePublic[]> {
  return call<MessagePublic[]>("GET", `/api/student/conversations/${conversationId}/messages`);
}

async function endOthers(): Promise<void> {
  const all = await call<PastConversation[]>("GET", "/api/student/conversations?limit=20");
  const open = all.filter(({ status }) => status === "active");
  await Promise.allSettled(open.map(({ id }) => call("DELETE", `/api/student/sessions/${id}`)));
}

const key = (userId: number, tutorId: number) => `tutor.lesson.${userId}.${tutorId}`;

function recall(userId: number, tutorId: number): Lesson | null {
  try {
    const kept = JSON.parse(localStorage.getItem(key(userId, tutorId)) ?? "null") as Partial<Lesson> | null;
    return kept?.id && kept.engineId ? { id: kept.id, engineId: kept.engineId } : null;
  } catch {
    return null;
  }
}

function remember(userId: number, tutorId: number, lesson: Lesson): void {
  try {
    localStorage.setItem(key(userId, tutorId), JSON.stringify(lesson));
  } catch {
    // Without storage a reload begins a new lesson.
  }
}

export function forgetLesson(userId: number, tutorId: number): void {
  try {
    localStorage.removeItem(key(userId, tutorId));
  } catch {
    // Nothing was kept either.
  }
}
