import { ActionIcon, Loader } from "@mantine/core";
import { Square, Volume2 } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { Refused } from "../parts/Refused";
import { type Listened, listening } from "./listening";

/** What goes on with the sound at this address; null: nothing. */
function useListened(path: string): Listened | null {
  const now = useSyncExternalStore(listening.subscribe, listening.current);
  return now?.path === path ? now : null;
}

/** Plays the sound at this address, and stops it. */
export function ListenButton({ path, name }: { path: string; name: string }) {
  const { t } = useTranslation("admin");
  const state = useListened(path)?.state;
  useEffect(() => () => listening.leave(path), [path]);
  const isOn = state === "loading" || state === "playing";
  return (
    <ActionIcon
      variant={isOn ? "filled" : "light"}
      size={44}
      radius="xl"
      onClick={() => (isOn ? listening.stop() : void listening.play(path))}
      aria-label={t(isOn ? "listen.stop" : "listen.start", { name })}
      aria-busy={state === "loading"}
      data-listening={state}
    >
      {state === "loading" && <Loader size={18} color="currentColor" aria-hidden />}
      {state === "playing" && <Square size={16} fill="currentColor" aria-hidden />}
      {!isOn && <Volume2 size={19} aria-hidden />}
    </ActionIcon>
  );
}

/** Why it could not be heard. */
export function ListenTrouble({ path }: { path: string }) {
  return <Refused error={useListened(path)?.error} />;
}
