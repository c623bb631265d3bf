import { useEffect, useState } from "react";
import { tokens } from "../../auth/tokens";
import type { TutorWish } from "../models";

// What has been written and not saved, by tutor: kept while other pages are looked at.
const drafts = new Map<string, TutorWish>();

tokens.subscribe(() => {
  if (!tokens.current()) drafts.clear(); // somebody else may log in here
});

export interface Draft {
  wish: TutorWish;
  isChanged: boolean;
  change: (news: Partial<TutorWish>) => void;
  /** Back to what is saved. */
  discard: () => void;
  /** This has been saved; what has been written since is kept. */
  settle: (sent: TutorWish) => void;
}

export function useDraft(key: string, saved: TutorWish): Draft {
  const [draft, setDraft] = useState(() => drafts.get(key));
  const isChanged = draft !== undefined;
  useEffect(() => {
    if (!isChanged) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isChanged]);
  const change = (news: Partial<TutorWish>) => {
    const next = { ...(drafts.get(key) ?? saved), ...news };
    drafts.set(key, next);
    setDraft(next);
  };
  const discard = () => {
    drafts.delete(key);
    setDraft(undefined);
  };
  const settle = (sent: TutorWish) => {
    if (drafts.get(key) === sent) discard();
  };
  return { wish: draft ?? saved, isChanged, change, discard, settle };
}
