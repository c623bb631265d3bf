import { useEffect, useState, useSyncExternalStore } from "react";
import type { TutorCard } from "../api/models";
import { Classroom } from "./classroom";
import { BLANK } from "./view";

const blank = () => BLANK;
const nothing = () => () => {};

/** The classroom of this learner with this tutor, and what it looks like now; null for a moment at first. */
export function useClassroom(tutor: TutorCard, userId: number) {
  const [classroom, setClassroom] = useState<Classroom | null>(null);
  useEffect(() => {
    const entered = new Classroom({ id: tutor.id }, userId);
    setClassroom(entered);
    return entered.leave;
  }, [tutor.id, userId]);
  const view = useSyncExternalStore(classroom?.subscribe ?? nothing, classroom?.view ?? blank);
  return { classroom, view };
}
