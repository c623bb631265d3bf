import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLanguageName } from "../../parts/useLanguageName";
import type { VoicePublic } from "../../wire/generated";
import parts from "../parts/Parts.module.css";
import { Removal } from "../parts/Removal";
import { RemoveButton } from "../parts/RemoveButton";
import { TUTORS, VOICES } from "../queries";
import { ListenButton, ListenTrouble } from "./Listen";
import { samplePath, voicePath } from "./sample";

/** The voices of people, and who speaks with them. */
export function Cloned({ voices }: { voices: VoicePublic[] }) {
  const { t } = useTranslation("admin");
  const [removing, setRemoving] = useState<string | null>(null);
  return (
    <>
      <ul className={parts.rows} aria-label={t("voices.cloned")}>
        {voices.map((voice) => (
          <li key={voice.name}>
            <Voice voice={voice} remove={() => setRemoving(voice.name)} />
          </li>
        ))}
      </ul>
      {removing !== null && (
        <Removal
          words={{
            title: t("voices.removeTitle", { name: removing }),
            hint: t("voices.removeHint"),
            yes: t("voices.remove"),
            notOurs: t("voices.notOurs"),
          }}
          path={voicePath(removing)}
          list={VOICES.queryKey}
          close={() => setRemoving(null)}
        />
      )}
    </>
  );
}

function Voice({ voice, remove }: { voice: VoicePublic; remove: () => void }) {
  const { t, i18n } = useTranslation("admin");
  const nameOf = useLanguageName();
  const speakers = useSpeakers(voice);
  const path = samplePath(voice.name, { language: voice.language ?? i18n.language });
  return (
    <>
      <div className={parts.row}>
        <span>
          <span className={parts.who}>{voice.name}</span>
          <span className={parts.facts}>
            {voice.language && <span>{nameOf(voice.language)}</span>}
            {speakers !== null && (
              <span>{speakers ? t("voices.speakers", { names: speakers }) : t("voices.nobody")}</span>
            )}
          </span>
        </span>
        <ListenButton path={path} name={voice.name} />
        <RemoveButton label={t("voices.removeOne", { name: voice.name })} remove={remove} />
      </div>
      <ListenTrouble path={path} />
    </>
  );
}

/** The names of the tutors who speak with it; empty: nobody does; null: not known yet. */
function useSpeakers({ name, tutors }: VoicePublic): string | null {
  const { i18n } = useTranslation();
  const all = useQuery(TUTORS).data;
  if (!all) return null;
  const speaking = all.filter(({ id, voice }) => voice.name === name || tutors.includes(id));
  return new Intl.ListFormat(i18n.language).format(speaking.map((tutor) => tutor.name));
}
