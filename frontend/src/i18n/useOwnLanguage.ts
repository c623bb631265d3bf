import { useEffect } from "react";
import { useUser } from "../auth/useLogin";
import { speak } from ".";

/** Speaks the language that the person who is logged in has chosen, on whichever device. */
export function useOwnLanguage(): void {
  const { data: user } = useUser();
  const language = user?.language;
  useEffect(() => {
    if (language) speak(language);
  }, [language]);
}
